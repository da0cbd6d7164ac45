package evaluation

import (
	"fmt"
	"math"
	"strings"

	"tributary/models/metrics"
)

// GroupScores are a group's held-out rows by label and score, as Scores are all rows'.
type GroupScores struct {
	Column   string    `json:"column"`
	Group    string    `json:"group"` // "country=DE", "country=other", "country:missing"
	Rows     int64     `json:"rows"`
	Positive []float64 `json:"positive,omitempty"` // empty: the group's scores weren't summed
	Negative []float64 `json:"negative,omitempty"`
}

// Fairness compares the groups of a column at a threshold: an edge between the groups' bins, which are wider than all rows'.
type Fairness struct {
	Column    string  `json:"column"`
	Threshold float64 `json:"threshold"`
	Noised    bool    `json:"noised,omitempty"`
	Groups    []Group `json:"groups"`
	// DemographicParity is the largest difference between two groups' shares of rows taken for positive, and EqualOpportunity
	// that between their shares of positives taken for such [HPS16]; nil with fewer than two groups that have one.
	//
	// [HPS16] M. Hardt, E. Price, N. Srebro: Equality of Opportunity in Supervised Learning. NIPS 2016.
	DemographicParity *float64 `json:"demographic_parity_difference"`
	EqualOpportunity  *float64 `json:"equal_opportunity_difference"`
}

// Group is the quality on one group's rows. What fewer than min_count rows would say is nil.
type Group struct {
	Group    string   `json:"group"`
	Rows     int64    `json:"rows"`
	Shown    bool     `json:"shown"`    // false: its scores weren't summed
	Positive *float64 `json:"positive"` // share of rows with a positive label
	Mean     *float64 `json:"mean"`     // mean predicted probability
	Selected *float64 `json:"selected"` // share of rows taken for positive
	Recall   *float64 `json:"recall"`   // share of positives taken for such
	AUC      *float64 `json:"auc"`
	// Noise is about how far the noise of a private job moves Selected: one standard deviation, to first order.
	Noise *float64 `json:"noise,omitempty"`
}

// fairness compares the groups of each column in turn.
func fairness(s *Scores, threshold float64) (out []Fairness) {
	var selected, recall []metrics.Value
	for i, g := range s.Groups {
		if i == 0 || g.Column != s.Groups[i-1].Column {
			out = append(out, Fairness{Column: g.Column, Threshold: threshold, Noised: s.Deviation > 0})
			selected, recall = nil, nil
		}
		f := &out[len(out)-1]
		told := Group{Group: g.Group, Rows: g.Rows}
		if len(g.Positive) > 0 && len(g.Positive) == len(g.Negative) {
			told.Shown = true
			c := told.fill(metrics.Histogram{Positive: g.Positive, Negative: g.Negative}, threshold, s.MinCount)
			f.Threshold = c.Threshold
			told.noise(s.Deviation, len(g.Positive), c)
			selected = append(selected, c.Selected())
			if told.Recall != nil {
				recall = append(recall, c.Recall())
			}
		}
		f.Groups = append(f.Groups, told)
		f.DemographicParity, f.EqualOpportunity = known(metrics.Spread(selected)), known(metrics.Spread(recall))
	}
	return out
}

// fill computes a shown group's quality.
func (g *Group) fill(h metrics.Histogram, threshold float64, least int64) metrics.Confusion {
	c := h.Confusion(threshold)
	positives, negatives := h.Totals()
	share, mean := positives/(positives+negatives), 0.0
	for _, b := range h.Calibration() {
		mean += b.Rows * b.Predicted.V / (positives + negatives)
	}
	g.Positive, g.Mean, g.Selected = &share, &mean, known(c.Selected())
	if positives >= float64(least) {
		g.Recall = known(c.Recall())
		if negatives >= float64(least) {
			auc, _ := h.AUC(0)
			g.AUC = known(auc)
		}
	}
	return c
}

// noise adds what noise of a deviation in each bin of both labels does to the share of selected rows, s: of the selected bins' counts it
// has (1-s) in that share, of the others' s.
func (g *Group) noise(deviation float64, bins int, c metrics.Confusion) {
	if deviation == 0 || g.Selected == nil {
		return
	}
	chosen, s := math.Round((1-c.Threshold)*float64(bins)), *g.Selected
	moved := deviation * math.Sqrt(2*(chosen*(1-s)*(1-s)+(float64(bins)-chosen)*s*s)) / float64(max(g.Rows, 1))
	g.Noise = &moved
}

// GroupHeader names the columns of Table.
func GroupHeader() []string {
	return []string{"GROUP", "ROWS", "POSITIVE", "MEAN PREDICTED", "SELECTED", "RECALL", "AUC", ""}
}

// Table is the groups for people.
func (f *Fairness) Table() (out [][]string) {
	for _, g := range f.Groups {
		note := ""
		switch {
		case !g.Shown && g.Rows > 0:
			note = "not shown: too few rows, or left out with such"
			if f.Noised {
				note = "not shown: too few rows for the noise"
			}
		case g.Shown && g.Recall == nil:
			note = "too few positives"
		}
		if g.Noise != nil {
			note = strings.TrimLeft(fmt.Sprintf("%s; noise moves shares by about %.3f", note, *g.Noise), "; ")
		}
		out = append(out, []string{g.Group, fmt.Sprint(g.Rows), Number(g.Positive), Number(g.Mean), Number(g.Selected), Number(g.Recall), Number(g.AUC), note})
	}
	return out
}
