package linear_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/models/pipeline"
)

// A rare category's rows are counted as other: its own lanes are zero, and its coefficient stays 0.
func TestRareCategoryFoldsIntoOther(t *testing.T) {
	table := synthetic(2_000, 13)
	country, _ := table.Column("country")
	for i := range country.Codes {
		switch {
		case i%400 == 0:
			country.Codes[i] = 1 // FR: 5 rows
		case country.Codes[i] == 1:
			country.Codes[i] = 0
		}
	}
	p := syntheticJob(1).program(t)
	s := onto(t, p, table)
	rare, other := -1, -1
	for i, c := range p.Pipeline().Columns() {
		switch c.Name {
		case "country=FR":
			rare = i
		case "country=other":
			other = i
		}
	}
	sums, err := linear.Sums(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	g, h, d := segment(t, p, optim.Train, sums, "gradient"), segment(t, p, optim.Train, sums, "hessian"), p.Coefficients()
	at := 0
	for i := range d {
		for j := i; j < d; j++ {
			if (i == rare || j == rare) && h[at] != 0 {
				t.Errorf("lane (%d, %d) of the folded column is %g", i, j, h[at])
			}
			at++
		}
	}
	if !s.Fitted().Folded[rare] || g[rare] != 0 || g[other] == 0 {
		t.Errorf("folded %t, gradients %g and %g", s.Fitted().Folded[rare], g[rare], g[other])
	}
	done, _ := train(t, p, []*dataset.Table{table})
	if done.Coefficients()[rare] != 0 || done.Coefficients()[other] == 0 {
		t.Errorf("coefficients %g and %g", done.Coefficients()[rare], done.Coefficients()[other])
	}
	scores, err := linear.Score(p, done, table)
	if err != nil {
		t.Fatal(err)
	}
	twin := pick(table, []int{400, 400})
	column, _ := twin.Column("country")
	column.Codes[0], column.Codes[1] = 1, 3 // FR, unlisted
	both, err := linear.Score(p, done, twin)
	if err != nil || both[0] != both[1] || both[0] != scores[400] {
		t.Errorf("a folded and an unlisted value score %v, %v", both, err)
	}
}

// G8: a state with a huge bias and one rare category makes the Hessian of a whole table that of one record. It is refused, in
// TRAIN and in EVALUATE, and no sum is returned.
func TestG8RareCategoryModelIsRefused(t *testing.T) {
	table := synthetic(5_000, 17)
	country, _ := table.Column("country")
	for i := range country.Codes {
		country.Codes[i] = 0
	}
	country.Codes[42] = 2
	j := syntheticJob(1)
	j.features[2] = category("country", 0, "DE", "FR", "NL")
	p := j.program(t)
	s := onto(t, p, table)
	honest, err := linear.Sums(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	// A malicious member steers the step: its uploads are chosen so that the opened gradient is the wanted one, under a
	// Hessian that is known. A diagonal one makes coefficient = -gradient/curvature.
	var rare int
	for i, c := range p.Pipeline().Columns() {
		if c.Name == "country=NL" {
			rare = i
		}
	}
	d := p.Coefficients()
	sums := optim.TrainSums{Rows: s.Fitted().Rows, Loss: 3_000, Gradient: make([]float64, d), Hessian: make([]float64, d*(d+1)/2)}
	at := 0
	for i := range d {
		sums.Hessian[at] = 50
		at += d - i
	}
	sums.Gradient[d-1], sums.Gradient[rare] = 30*50, -30*51
	chosen, _, err := p.Apply(s, p.EncodeTrain(s, sums))
	if err != nil {
		t.Fatal(err)
	}
	if w := chosen.Coefficients(); math.Abs(w[d-1]+30) > 1e-6 || math.Abs(w[rare]-30) > 1e-6 {
		t.Fatalf("the attack's coefficients are %v", w)
	}
	if got, err := linear.Sums(p, chosen, table); !errors.Is(err, linear.ErrConcentrated) || got != nil || !strings.Contains(err.Error(), "hint:") {
		t.Errorf("TRAIN at the chosen state: %v", err)
	}
	j.maxRounds = 1
	last, _, err := j.program(t).Apply(s, p.EncodeTrain(s, sums))
	if err != nil || last.Kind() != optim.Evaluate {
		t.Fatal(err)
	}
	if got, err := linear.Sums(j.program(t), last, table); !errors.Is(err, linear.ErrConcentrated) || got != nil {
		t.Errorf("EVALUATE at the chosen state: %v", err)
	}
	// Coefficients so large that every p(1-p) underflows are refused as well, and so are fewer rows than the bound.
	sums.Gradient[d-1], sums.Gradient[rare] = 4000*50, 0
	if far, _, err := p.Apply(s, p.EncodeTrain(s, sums)); err != nil {
		t.Error(err)
	} else if _, err := linear.Sums(p, far, table); !errors.Is(err, linear.ErrConcentrated) {
		t.Errorf("all probabilities 0: %v", err)
	}
	if _, err := linear.Sums(p, s, pick(table, []int{0, 1, 2, 3, 5})); !errors.Is(err, linear.ErrConcentrated) {
		t.Errorf("5 rows: %v", err)
	}
	if len(honest) == 0 {
		t.Error("the honest state has no sums")
	}
}

// A row's loss counts at most 64 nats, and probabilities stay numbers, however far a model is.
func TestLossSaturates(t *testing.T) {
	table := synthetic(2_000, 19)
	raw, _ := table.Column("raw")
	for i := range raw.Numbers { // 60 rows lie at the decision border, the others far on one side
		raw.Numbers[i] = 5
		if i < 300 {
			raw.Numbers[i] = 0
		}
	}
	j := syntheticJob(1)
	j.l2 = 0
	p := j.program(t)
	s := onto(t, p, table)
	d := p.Coefficients()
	column := slices.IndexFunc(p.Pipeline().Columns(), func(c pipeline.Column) bool { return c.Name == "raw" })
	sums := optim.TrainSums{Rows: s.Fitted().Rows, Loss: 1_000, Gradient: make([]float64, d), Hessian: make([]float64, d*(d+1)/2)}
	at := 0
	for i := range d {
		sums.Hessian[at] = 1
		at += d - i
	}
	sums.Gradient[column] = -1000 // a margin of 5,000
	far, _, err := p.Apply(s, p.EncodeTrain(s, sums))
	if err != nil {
		t.Fatal(err)
	}
	got, err := linear.Sums(p, far, table)
	if err != nil {
		t.Fatal(err)
	}
	quantise(t, p, optim.Train, got)
	want := 0.0
	for i := range table.Rows {
		switch {
		case table.Held(i):
		case i < 300:
			want += math.Ln2
		case !table.Label[i]:
			want += 64
		}
	}
	opened := segment(t, p, optim.Train, got, "loss")[0] * 64 * 2048 // 2^r ≥ 1,600 rows
	if relative(opened, want) > 1e-9 {
		t.Errorf("loss %g, want %g", opened, want)
	}
}
