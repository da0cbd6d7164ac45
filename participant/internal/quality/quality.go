// Package quality words what a finished model does on a participant's own held-out rows, beside what the job measured over all
// participants. All of it is for that participant's operator: it is written to this machine alone.
package quality

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"tributary/models/metrics"
	"tributary/participant/internal/engine"
)

// View is an evaluation with what follows from it. What the rows can't say, as an AUC of one class, is nil.
type View struct {
	Type             string       `json:"type"`
	Own              Numbers      `json:"own"`
	All              *Numbers     `json:"all"`        // what the job's sums say of all participants' rows; nil: the job measures nothing
	AllNoised        bool         `json:"all_noised"` // of a private job
	AUCLow           *float64     `json:"auc_low"`    // 95 % interval of the own AUC, by DeLong
	AUCHigh          *float64     `json:"auc_high"`
	AveragePrecision *float64     `json:"average_precision"`
	Brier            *float64     `json:"brier"`
	CalibrationError *float64     `json:"calibration_error"` // expected, over 10 ranges
	Calibration      []Calibrated `json:"calibration,omitempty"`
	Lift             []Lift       `json:"lift,omitempty"`
	Decision         *Decision    `json:"decision,omitempty"`
	Classes          []string     `json:"classes,omitempty"`
	Confusion        [][]int64    `json:"confusion,omitempty"` // held-out rows by class, then by predicted class
	Groups           []Group      `json:"groups,omitempty"`
	MinCount         int64        `json:"min_count,omitempty"` // rows below which nothing is told of a group

	roc []metrics.Point
}

// Numbers are metrics that a participant's own rows and the job's both have.
type Numbers struct {
	HeldOut   int64    `json:"held_out"` // rows; of recommendations pairs of a user and an item
	Positives int64    `json:"positives"`
	AUC       *float64 `json:"auc"`
	LogLoss   *float64 `json:"log_loss"`
	Accuracy  *float64 `json:"accuracy"`

	TopK     int      `json:"top_k,omitempty"` // of recommendations, as all that follows
	Users    int64    `json:"users,omitempty"`
	Recall   *float64 `json:"recall,omitempty"`
	NDCG     *float64 `json:"ndcg,omitempty"`
	MAP      *float64 `json:"map,omitempty"`
	Coverage *float64 `json:"coverage,omitempty"`
	RMSE     *float64 `json:"rmse,omitempty"` // and of labels that are numbers, as all that follows

	MAE *float64 `json:"mae,omitempty"`
	R2  *float64 `json:"r2,omitempty"`
}

// Calibrated is a range of predicted probabilities and what came of its rows.
type Calibrated struct {
	Low       float64  `json:"low"`
	High      float64  `json:"high"`
	Rows      float64  `json:"rows"`
	Predicted *float64 `json:"predicted"`
	Observed  *float64 `json:"observed"`
}

// Lift is the rows with the highest scores.
type Lift struct {
	Share float64 `json:"share"`
	Rows  float64 `json:"rows"`
	Gain  float64 `json:"gain"`
	Lift  float64 `json:"lift"`
}

// Decision is what a threshold decides.
type Decision struct {
	Threshold     float64  `json:"threshold"`
	TruePositive  float64  `json:"true_positive"`
	FalsePositive float64  `json:"false_positive"`
	FalseNegative float64  `json:"false_negative"`
	TrueNegative  float64  `json:"true_negative"`
	Precision     *float64 `json:"precision"`
	Recall        *float64 `json:"recall"`
	Specificity   *float64 `json:"specificity"`
	F1            *float64 `json:"f1"`
}

// Group is the quality on the rows of one value of a column.
type Group struct {
	Group    string   `json:"group"` // "country=DE", "country=other", "country:missing"
	Rows     int64    `json:"rows"`
	Shown    bool     `json:"shown"`    // false: fewer than min_count rows, of which nothing is told
	Positive *float64 `json:"positive"` // share of rows with a positive label
	Selected *float64 `json:"selected"` // share of rows taken for positive
	Recall   *float64 `json:"recall"`   // share of positives taken for such
	AUC      *float64 `json:"auc"`
}

// Of derives a view at a threshold in [0, 1], an edge between bins or raised to the next.
func Of(e *engine.Evaluation, threshold float64) *View {
	own := e.Own
	out := &View{Type: e.Type, Own: numbers(own.Summary), AllNoised: e.Noised, Classes: own.Classes, Confusion: own.Confusion, MinCount: own.MinGroup}
	if e.Measured {
		all := numbers(e.All)
		out.All = &all
	}
	if own.Scores == nil {
		return out
	}
	h := *own.Scores
	low, high := h.AUCInterval(0)
	out.AUCLow, out.AUCHigh = known(low), known(high)
	out.AveragePrecision, out.Brier, out.CalibrationError = known(h.AveragePrecision()), known(h.Brier()), known(h.CalibrationError())
	for _, b := range h.Calibration() {
		out.Calibration = append(out.Calibration, Calibrated{b.Low, b.High, b.Rows, known(b.Predicted), known(b.Observed)})
	}
	for _, r := range h.Lift() {
		out.Lift = append(out.Lift, Lift(r))
	}
	c := h.Confusion(threshold)
	out.Decision = &Decision{c.Threshold, c.TruePositive, c.FalsePositive, c.FalseNegative, c.TrueNegative, known(c.Precision()), known(c.Recall()), known(c.Specificity()), known(c.F1())}
	out.roc = h.ROC()
	for _, g := range own.Groups {
		told := Group{Group: g.Name, Rows: g.Rows, Shown: g.Scores != nil}
		if g.Scores != nil {
			c := g.Scores.Confusion(threshold)
			auc, _ := g.Scores.AUC(0)
			positives, negatives := g.Scores.Totals()
			told.Positive = known(metrics.Mean(positives, int64(positives+negatives)))
			told.Selected, told.Recall, told.AUC = known(c.Selected()), known(c.Recall()), known(auc)
		}
		out.Groups = append(out.Groups, told)
	}
	return out
}

func numbers(s metrics.Summary) Numbers {
	return Numbers{s.HeldOut, s.Positives, known(s.AUC), known(s.LogLoss), known(s.Accuracy), s.TopK, s.Users, known(s.Recall), known(s.NDCG), known(s.MAP), known(s.Coverage), known(s.RMSE), known(s.MAE), known(s.R2)}
}

func known(v metrics.Value) *float64 {
	if !v.Known {
		return nil
	}
	return &v.V
}

// number shows a metric; nil is "-".
func number(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.4f", *v)
}

// Notice says whose the numbers are.
const Notice = "These numbers are of this participant's own rows, exact and without noise: nothing of them was sent, and they aren't covered by any job's approval or privacy account. Don't pass them on."

// Table compares own rows with all, row by row: a name, the own value, all participants'.
func (v *View) Table() [][3]string {
	all := v.All
	if all == nil {
		all = &Numbers{}
	}
	count := func(n int64) string {
		if v.All == nil {
			return "-"
		}
		return fmt.Sprint(n)
	}
	if v.Own.TopK > 0 {
		k, pairs := v.Own.TopK, count(all.HeldOut)
		if v.AllNoised {
			pairs = "-" // a private job counts users alone
		}
		return [][3]string{
			{"held-out pairs", fmt.Sprint(v.Own.HeldOut), pairs}, {"users measured", fmt.Sprint(v.Own.Users), count(all.Users)},
			{fmt.Sprintf("recall@%d", k), number(v.Own.Recall), number(all.Recall)}, {fmt.Sprintf("NDCG@%d", k), number(v.Own.NDCG), number(all.NDCG)},
			{fmt.Sprintf("MAP@%d", k), number(v.Own.MAP), number(all.MAP)}, {"coverage", number(v.Own.Coverage), number(all.Coverage)}, {"RMSE", number(v.Own.RMSE), number(all.RMSE)},
		}
	}
	rows := [][3]string{{"held-out rows", fmt.Sprint(v.Own.HeldOut), count(all.HeldOut)}}
	if v.Own.MAE != nil || all.RMSE != nil || all.MAE != nil || all.R2 != nil {
		return append(rows, [3]string{"RMSE", number(v.Own.RMSE), number(all.RMSE)}, [3]string{"mean absolute error", number(v.Own.MAE), number(all.MAE)}, [3]string{"R²", number(v.Own.R2), number(all.R2)})
	}
	if v.Classes == nil {
		auc := number(v.Own.AUC)
		if v.AUCLow != nil {
			auc += fmt.Sprintf(" (95 %%: %.4f to %.4f)", *v.AUCLow, *v.AUCHigh)
		}
		rows = append(rows, [3]string{"positives", fmt.Sprint(v.Own.Positives), count(all.Positives)}, [3]string{"AUC", auc, number(all.AUC)})
	}
	rows = append(rows, [3]string{"log loss", number(v.Own.LogLoss), number(all.LogLoss)}, [3]string{"accuracy", number(v.Own.Accuracy), number(all.Accuracy)})
	if v.Classes == nil {
		rows = append(rows, [3]string{"average precision", number(v.AveragePrecision), ""}, [3]string{"Brier score", number(v.Brier), ""}, [3]string{"calibration error", number(v.CalibrationError), ""})
	}
	return rows
}

// Text is the view for a terminal.
func (v *View) Text(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	all := "ALL PARTICIPANTS"
	if v.AllNoised {
		all += " (NOISY)"
	}
	fmt.Fprintf(t, "\tOWN ROWS\t%s\n", all)
	for _, row := range v.Table() {
		fmt.Fprintln(t, strings.Join(row[:], "\t"))
	}
	t.Flush()
	if d := v.Decision; d != nil {
		fmt.Fprintf(w, "\nAt threshold %.4g, own rows: precision %s, recall %s, specificity %s, F1 %s;\n%.0f positives found, %.0f missed; %.0f negatives right, %.0f false alarms.\n", d.Threshold,
			number(d.Precision), number(d.Recall), number(d.Specificity), number(d.F1), d.TruePositive, d.FalseNegative, d.TrueNegative, d.FalsePositive)
	}
	if len(v.Confusion) > 0 {
		fmt.Fprintf(w, "\nOwn rows by class, and by the class that the model predicts:\n")
		fmt.Fprintln(t, "\t"+strings.Join(v.Classes, "\t"))
		for k, row := range v.Confusion {
			fmt.Fprintln(t, v.Classes[k]+"\t"+strings.Trim(strings.ReplaceAll(fmt.Sprint(row), " ", "\t"), "[]"))
		}
		t.Flush()
	}
	if len(v.Groups) > 0 {
		fmt.Fprintf(w, "\nOwn rows by group; of fewer than %d rows nothing is told:\n", v.MinCount)
		fmt.Fprintln(t, "GROUP\tROWS\tPOSITIVE\tSELECTED\tRECALL\tAUC")
		for _, g := range v.Groups {
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", g.Group, g.Rows, number(g.Positive), number(g.Selected), number(g.Recall), number(g.AUC))
		}
		t.Flush()
	}
	fmt.Fprintf(w, "\n%s\n", Notice)
}
