package evaluation

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// Groups of a column by four bins: 10 of each label count.
func grouped() *Scores {
	s := scores()
	s.MinCount = 10
	s.Groups = []GroupScores{
		{Column: "sex", Group: "sex=f", Rows: 50, Positive: []float64{2, 3, 5, 10}, Negative: []float64{20, 5, 3, 2}},
		{Column: "sex", Group: "sex=m", Rows: 40, Positive: []float64{0, 0, 4, 16}, Negative: []float64{2, 8, 5, 5}},
		{Column: "sex", Group: "sex=other", Rows: 0},
		{Column: "sex", Group: "sex:missing", Rows: 30, Positive: []float64{0, 1, 3, 5}, Negative: []float64{11, 5, 3, 2}},
		{Column: "region", Group: "region=a", Rows: 117, Positive: []float64{0, 1, 3, 50}, Negative: []float64{50, 5, 6, 2}},
		{Column: "region", Group: "region=b", Rows: 3},
	}
	return s
}

func TestFairnessOfKnownGroups(t *testing.T) {
	e := Of(grouped(), 0.4) // raised to 0.5, an edge between the groups' bins
	if len(e.Fairness) != 2 {
		t.Fatalf("%d columns", len(e.Fairness))
	}
	f := e.Fairness[0]
	near := func(what string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > 1e-12 {
			t.Errorf("%s %s, want %g", what, Number(got), want)
		}
	}
	near("selected f", f.Groups[0].Selected, 20.0/50)
	near("selected m", f.Groups[1].Selected, 30.0/40)
	near("positive f", f.Groups[0].Positive, 20.0/50)
	near("recall f", f.Groups[0].Recall, 15.0/20)
	near("recall m", f.Groups[1].Recall, 1)
	near("mean m", f.Groups[1].Mean, (2*0.125+8*0.375+9*0.625+21*0.875)/40)
	// 30 rows with 9 positives: their recall isn't told, their selection is.
	near("selected missing", f.Groups[3].Selected, 13.0/30)
	near("parity", f.DemographicParity, 30.0/40-20.0/50)
	near("opportunity", f.EqualOpportunity, 1-15.0/20)
	if f.Threshold != 0.5 || f.Groups[3].Recall != nil || f.Groups[3].AUC != nil || f.Groups[0].AUC == nil || f.Groups[2].Shown {
		t.Errorf("%+v", f)
	}
	// A single group has no difference.
	if r := e.Fairness[1]; r.DemographicParity != nil || r.EqualOpportunity != nil || r.Groups[1].Shown || r.Groups[1].Selected != nil {
		t.Errorf("%+v", r)
	}
	var text strings.Builder
	e.WriteTables(&text)
	for _, row := range e.Rows() {
		text.WriteString(strings.Join(row, ": ") + "\n")
	}
	for _, want := range []string{"Groups of sex, at threshold 0.5:", "too few positives", "not shown: too few rows", "Demographic parity difference 0.350000, equal opportunity difference 0.250000.",
		"groups of region: demographic parity difference -, equal opportunity difference -"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "sex=other    0     -         -               -         -         -         not shown") {
		t.Error("a group of no rows is said to be too small")
	}
}

func TestGroupsSurviveSplit(t *testing.T) {
	text, err := json.Marshal(map[string]any{"rows": 3, "scores": grouped()})
	if err != nil {
		t.Fatal(err)
	}
	_, s := Split(string(text))
	if s == nil || len(s.Groups) != 6 || s.MinCount != 10 || len(s.Groups[5].Positive) != 0 {
		t.Errorf("%+v", s)
	}
	if document, err := json.Marshal(Of(s, 0.5)); err != nil || !strings.Contains(string(document), `"demographic_parity_difference":0.35`) {
		t.Errorf("%s, %v", document, err)
	}
}

// In a private job the table says what the noise alone does: 10 rows more or less in each bin move the selected share of 50 rows, 0.4,
// by √(2·(2·0.6² + 2·0.4²))·10/50, and a group without scores is one that the noise covers.
func TestFairnessOfNoisedGroups(t *testing.T) {
	s := grouped()
	s.Deviation = 10
	e := Of(s, 0.5)
	f := e.Fairness[0]
	if n := f.Groups[0].Noise; !f.Noised || n == nil || math.Abs(*n-math.Sqrt(2*(2*0.36+2*0.16))/5) > 1e-12 {
		t.Errorf("noise %s", Number(n))
	}
	var text strings.Builder
	e.WriteTables(&text)
	for _, want := range []string{"noise moves shares by about 0.288", "too few positives; noise moves", "not shown: too few rows for the noise"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}
