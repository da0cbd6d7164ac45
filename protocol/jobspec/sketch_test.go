package jobspec

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"tributary/crypto/dp/accountant"
)

const sketchesPrivate = `version: 1
name: sketches
contract: shop@1
features:
  - {columns: [age], transform: scale, clip: {quantiles: [0.05, 0.95]}}
  - {columns: [income], transform: [log1p, standardize], missing: indicator}
  - {columns: [since], transform: days, buckets: {quantiles: 10}}
model: {type: logistic_regression, max_rounds: 12}
evaluate: {holdout: 0.2}
privacy: {unit: record, epsilon: "1.0", delta: "1e-5"}
run: {mode: sealed}
`

// What a private job fits of numbers is resolved, noised by a round of its own, and told.
func TestPrivateNumbersAreFittedFromNoisedCounts(t *testing.T) {
	c := mustContract(t, transformsContract)
	r := mustResolve(t, mustSpec(t, sketchesPrivate), c, four)
	again, err := ParseResolved(r.Canonical())
	if err != nil || again.Conforms(c) != nil || string(again.Canonical()) != string(r.Canonical()) {
		t.Fatalf("%v", err)
	}
	if got := fmt.Sprint(r.Sketched()); got != "[age income since.days]" {
		t.Errorf("sketches of %s", got)
	}
	for _, part := range []string{
		`{"name":"age","kind":"number","min":16,"max":110,"nullable":false,"log1p":false,"scale":true,"missing_indicator":false,"clip_quantiles":[0.05,0.95]}`,
		`"nullable":true,"log1p":true,"standardize":true,"clip":3,"scale":true,"missing_indicator":true,"clip_quantiles":[0.01,0.99]}`,
		`"name":"since.days","kind":"buckets","min":0,"max":2132,"nullable":true,"missing_indicator":false,"quantiles":10,`,
		fmt.Sprintf(`"sigma2_sketch":"%d"`, r.Private.Sketch.SumSigma2),
	} {
		if text := string(r.Program()); !strings.Contains(text, part) {
			t.Errorf("%s isn't in\n%s", part, text)
		}
	}
	o, charged, ok := r.Noise(kindSketch)
	// Two 1s in each of three sketches.
	if s := o.Segments[0]; !ok || s.Length != 3*544 || float64(s.Clip) < math.Sqrt(6)*float64(r.Private.Scale) || float64(s.Clip) > math.Sqrt(6)*float64(r.Private.Scale)+1 || s.Norm2() != s.Clip*s.Clip {
		t.Errorf("%+v", s)
	}
	if charged.Sensitivity2 != o.Segments[0].Norm2() || r.Private.Sketch.Rounds != 1 {
		t.Errorf("charged %+v", charged)
	}
	// All rounds together are within ε, and the counts have their share.
	limit, _ := r.Cap()
	total := accountant.Units(0)
	for _, kind := range kinds {
		n, _ := r.Private.Kind(kind)
		one, err := accountant.ChargeFor(n.Charged(), r.Private.Order)
		if err != nil {
			t.Fatal(err)
		}
		total += one.Units() * accountant.Units(n.Rounds)
	}
	budget, _ := limit.BudgetAt(r.Private.Order)
	if cost, err := r.Cost(r.Private.Order); err != nil || cost != total || total > budget || len(r.Releases()) != 4 {
		t.Errorf("charges %d, cost %d of %d: %v", total, cost, budget, err)
	}
	approval := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"a", "b", "c", "d"}, F: 1})
	for _, line := range []string{
		"age: clamped to its quantiles 0.05 and 0.95, which are fitted, what is between them scaled to ±1\n",
		"income: clamped to its quantiles 0.01 and 0.99, which are fitted, log1p, standardised, ±3 deviations scaled to ±1, with an indicator for missing\n",
		"since.days: days since 2015-03-01, 10 buckets of about as many rows, whose edges are fitted\n",
		"Rounds      1 to count rows by bin, 1 to fit, 12 to train (all of them are run), 1 to evaluate;",
		"one record adds 2.45 at most (L2 norm over all of them)\n",
		"with noise: of how many rows lie in each of up to 512 bins of age, income, since.days, of the products",
	} {
		if !strings.Contains(approval, line) {
			t.Errorf("the approval lacks %q:\n%s", line, approval)
		}
	}
}

// The counts' noise can't be left to the coordinator: what doesn't follow from ε is refused.
func TestSketchNoiseOtherThanEpsilonGivesIsRefused(t *testing.T) {
	r := mustResolve(t, mustSpec(t, sketchesPrivate), mustContract(t, transformsContract), four)
	text := string(r.Canonical())
	sketch := text[strings.Index(text, `"kinds":{"sketch":{`)+len(`"kinds":`):]
	sketch = sketch[:strings.Index(sketch, `"fit":`)]
	for name, edit := range map[string][2]string{
		"less local noise":       {fmt.Sprintf(`"sigma2_local":"%d","sum_sigma2":"%d","rounds":1,"rate_num":"1","rate_den":"1"},"fit"`, r.Private.Sketch.Sigma2Local, r.Private.Sketch.SumSigma2), fmt.Sprintf(`"sigma2_local":"%d","sum_sigma2":"%d","rounds":1,"rate_num":"1","rate_den":"1"},"fit"`, r.Private.Sketch.Sigma2Local-1, r.Private.Sketch.SumSigma2)},
		"a smaller sensitivity":  {fmt.Sprintf(`"sketch":{"sensitivity2":"%d"`, r.Private.Sketch.Sensitivity2), fmt.Sprintf(`"sketch":{"sensitivity2":"%d"`, r.Private.Sketch.Sensitivity2/2)},
		"no counts":              {sketch, "{"},
		"less said than is":      {fmt.Sprintf(`"sigma2_sketch":"%d"`, r.Private.Sketch.SumSigma2), `"sigma2_sketch":"1"`},
		"other quantiles":        {`"clip_quantiles":[0.05,0.95]`, `"clip_quantiles":[0.05,0.05]`},
		"deviations unquantiled": {`,"clip_quantiles":[0.01,0.99]`, ``},
		"clip without deviation": {`"standardize":true,"clip":3,`, `"clip":3,`},
	} {
		edited := strings.Replace(text, edit[0], edit[1], 1)
		if edited == text {
			t.Fatalf("%s: nothing to edit", name)
		}
		if _, err := ParseResolved([]byte(edited)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// √n·rows is rounded up, or a unit could add more than its noise covers.
func TestClipIsNeverBelowTheNorm(t *testing.T) {
	for n := 1; n <= 2*maxSketched; n++ {
		for _, rows := range []uint64{1, 3, 1 << 14, 1<<20 + 1} {
			c := rootClip(n, rows)
			if square := uint64(n) * rows * rows; c*c < square || (c-1)*(c-1) >= square {
				t.Fatalf("%d 1s, %d rows: clip %d", n, rows, c)
			}
		}
	}
}

// A noised job's contributions are charged one by one, but its program knows the noise of their sum: that of many large units must not
// come out smaller than it is. Without counts, and with them.
func TestTheNoiseOfManyContributionsFitsItsNumber(t *testing.T) {
	edits := strings.NewReplacer(`unit: record`, `unit: user, clip: "10000"`, "mode: sealed", "mode: noised")
	for _, text := range []string{sketchesPrivate, strings.NewReplacer(", clip: {quantiles: [0.05, 0.95]}", "", "[log1p, standardize]", "[log1p, scale]", "  - {columns: [since], transform: days, buckets: {quantiles: 10}}\n", "").Replace(sketchesPrivate)} {
		r := mustResolve(t, mustSpec(t, edits.Replace(text)), mustContract(t, transformsContract), Options{F: 1, Contributors: 1000})
		for _, kind := range kinds {
			if k, _ := r.Private.Kind(kind); k.SumSigma2 > math.MaxUint64/uint64(r.NMin) {
				t.Errorf("kind %d: %d contributions of variance %d at scale %d", kind, r.NMin, k.SumSigma2, r.Private.Scale)
			}
		}
		n := r.noiseProgram()
		if n.Sigma2Train/uint64(r.NMin) != r.Private.Train.SumSigma2 || n.Sigma2Sketch/uint64(r.NMin) != r.Private.Sketch.SumSigma2 || r.sketches() != (n.Sigma2Sketch > 0) {
			t.Errorf("%+v", n)
		}
	}
}

func TestAPrivateJobFitsFewColumns(t *testing.T) {
	contract, columns := strings.Builder{}, []string{}
	contract.WriteString("version: 1\nname: wide\nrevision: 1\nkey: id\nmax_rows: 1000\nlabel: {column: y, positive: \"yes\", negative: \"no\"}\ncolumns:\n")
	for i := range maxSketched + 1 {
		columns = append(columns, fmt.Sprint("c", i))
		fmt.Fprintf(&contract, "  c%d: {type: number, min: 0, max: 1}\n", i)
	}
	text := edit(t, sketchesPrivate, "contract: shop@1", "contract: wide@1")
	features := text[strings.Index(text, "  - {columns: [age]"):strings.Index(text, "model:")]
	text = strings.Replace(text, features, "  - {columns: ["+strings.Join(columns, ", ")+"], transform: standardize}\n", 1)
	_, problems := Resolve(mustSpec(t, text), mustContract(t, contract.String()), four)
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "those of 256 at most") || problems[0].Path != "features" {
		t.Errorf("%v", problems)
	}
}
