package jobspec

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
)

func privateExample(t testing.TB) (*Resolved, *Contract) {
	t.Helper()
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	return mustResolve(t, mustSpec(t, string(read(t, "private.yaml"))), c, tenMembers()), c
}

func TestThePrivateExampleResolvesToTheGoldenDocuments(t *testing.T) {
	r, c := privateExample(t)
	golden(t, "private-resolved.json", string(r.Canonical())+"\n")
	golden(t, "private-program.json", string(r.Program())+"\n")
	golden(t, "private-approval.txt", ApprovalText(ApprovalInput{
		Job: r, Cohort: r.Participants, Seats: r.Participants[:7], F: 2, Expires: "2026-12-31 12:00 UTC"}))
	if err := r.Conforms(c); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(r.Canonical()), string(r.Program())) {
		t.Error("the program is not part of the job")
	}
	again, err := ParseResolved(r.Canonical())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, again); diff != "" || r.Digest() != again.Digest() {
		t.Errorf("the job changed:\n%s", diff)
	}
}

// checkBudget recomputes a private job's guarantees from its integers alone.
func checkBudget(t *testing.T, r *Resolved) {
	t.Helper()
	p := r.Private
	limit, err := r.Cap()
	if err != nil {
		t.Fatal(err)
	}
	budget, err := limit.BudgetAt(p.Order)
	if err != nil {
		t.Fatal(err)
	}
	cost, err := r.Cost(p.Order)
	if err != nil || cost > budget || cost == 0 {
		t.Errorf("the job costs %d of a budget of %d at order %d: %v", cost, budget, p.Order, err)
	}
	epsilon := limit.Epsilon.Float()
	if zcdp, err := r.GroupEpsilon(1, 1); err != nil || zcdp > epsilon {
		t.Errorf("ε by zCDP %v is above the spec's %s: %v", zcdp, p.Epsilon, err)
	}
	report, err := accountant.Epsilon(r.Releases(), limit.Delta.Float())
	if err != nil || epsilon <= 10 && report.Epsilon > epsilon { // above, the report may not find an ε
		t.Errorf("reported ε %v is above the spec's %s: %v", report.Epsilon, p.Epsilon, err)
	}
	h := uint64(r.Honest())
	for kind := kindFit; kind <= kindEvaluate; kind++ {
		o, s, ok := r.Noise(kind)
		k, has := p.Kind(kind)
		if ok != has || ok == (kind == kindEvaluate && r.Holdout.None()) {
			t.Errorf("kind %d: ok = %v", kind, ok)
		}
		if !ok {
			continue
		}
		params, err := dp.NewParams(o)
		if err != nil {
			t.Fatal(err)
		}
		if params.Sensitivity2() != s.Sensitivity2 || s.Sensitivity2 < p.Scale*p.Scale {
			t.Errorf("kind %d: Δ² = %d charged, %d clipped to, a row of norm 1 is %d", kind, s.Sensitivity2, params.Sensitivity2(), p.Scale*p.Scale)
		}
		if k.SumSigma2 != h*k.Sigma2Local || s.Sigma2 != dp.Integer(k.SumSigma2) || k.Sigma2Local < 16 {
			t.Errorf("kind %d: σ² = %d, σ_i² = %d, h = %d", kind, k.SumSigma2, k.Sigma2Local, h)
		}
		if params.Clamp() < r.MaxRows*int64(p.Scale) {
			t.Errorf("kind %d: lanes hold %d, the rows of one participant up to %d", kind, params.Clamp(), r.MaxRows*int64(p.Scale))
		}
	}
}

func TestAPrivateJobKeepsWithinItsBudgetAndLanes(t *testing.T) {
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	text := string(read(t, "private.yaml"))
	for _, epsilon := range []string{"0.1", "3", "100"} {
		for _, delta := range []string{"1e-9", "0.01"} {
			for _, e := range [][2]string{{"evaluate:\n  holdout: 0.2\n  metrics: [auc, log_loss, accuracy]\n", ""}, {"max_rounds: 12", "max_rounds: 1"}, {"max_rounds: 12", "max_rounds: 1000"}} {
				spec := edit(t, edit(t, edit(t, text, `epsilon: "1.0"`, `epsilon: "`+epsilon+`"`), `delta: "1e-5"`, `delta: "`+delta+`"`), e[0], e[1])
				checkBudget(t, mustResolve(t, mustSpec(t, spec), c, tenMembers()))
			}
		}
	}
}

func TestNoiseIsCloseToTheBudget(t *testing.T) {
	r, _ := privateExample(t)
	limit, _ := r.Cap()
	budget, _ := limit.BudgetAt(r.Private.Order)
	cost, _ := r.Cost(r.Private.Order)
	if float64(cost) < 0.9999*float64(budget) {
		t.Errorf("the job uses %.4f of its budget: that is more noise than it must have", float64(cost)/float64(budget))
	}
	for kind, share := range map[uint8]float64{kindFit: 0.20, kindTrain: 0.75, kindEvaluate: 0.05} {
		k, _ := r.Private.Kind(kind)
		c, err := accountant.ChargeFor(k.Charged(), r.Private.Order)
		got := float64(c.Units()) * float64(k.Rounds) / float64(budget)
		if err != nil || got > share || got < share*0.999 {
			t.Errorf("kind %d has %.4f of the budget, want %.2f (%v)", kind, got, share, err)
		}
	}
}

func TestWithoutAnEvaluationItsShareGoesToTheGradients(t *testing.T) {
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	text := edit(t, string(read(t, "private.yaml")), "evaluate:\n  holdout: 0.2\n  metrics: [auc, log_loss, accuracy]\n", "")
	with, _ := privateExample(t)
	r := mustResolve(t, mustSpec(t, text), c, tenMembers())
	if r.Private.Evaluate != (KindNoise{}) || r.Private.Train.SumSigma2 >= with.Private.Train.SumSigma2 || r.Private.Fit != with.Private.Fit {
		t.Errorf("noise %+v, with an evaluation %+v", r.Private, with.Private)
	}
	if _, _, ok := r.Noise(kindEvaluate); ok {
		t.Error("there are no evaluation rounds to noise")
	}
	if text := string(r.Canonical()); strings.Contains(text, `"evaluate":{"sens`) || !strings.Contains(text, `"sigma2_evaluate":"0","bins":50`) {
		t.Errorf("canonical: %s", text)
	}
	if again, err := ParseResolved(r.Canonical()); err != nil || again.Digest() != r.Digest() {
		t.Errorf("doesn't parse to itself: %v", err)
	}
}

func TestManyRowsTakeCoarserUnits(t *testing.T) {
	text := string(read(t, "private.yaml"))
	for rows, want := range map[string]uint64{"5000000": 1 << 14, "33554431": 1 << 13, "2147483648": 1 << 7} {
		c := mustContract(t, edit(t, string(read(t, "shop-customers.yaml")), "max_rows: 5000000", "max_rows: "+rows))
		r := mustResolve(t, mustSpec(t, text), c, tenMembers())
		if r.Private.Scale != want {
			t.Errorf("max_rows %s: scale %d, want %d", rows, r.Private.Scale, want)
		}
		checkBudget(t, r)
	}
}

func TestNoiseFallsWithMoreSureContributors(t *testing.T) {
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	before := uint64(1 << 63)
	for n := 4; n <= 10; n++ {
		text := edit(t, string(read(t, "private.yaml")), "min_participants: 9", fmt.Sprintf("min_participants: %d", n))
		r := mustResolve(t, mustSpec(t, text), c, tenMembers())
		if r.Private.Train.Sigma2Local >= before {
			t.Errorf("n_min = %d: σ_i² = %d, before %d", n, r.Private.Train.Sigma2Local, before)
		}
		before = r.Private.Train.Sigma2Local
		if got := r.Honest(); got != n-2 {
			t.Errorf("n_min = %d, f = 2: h = %d", n, got)
		}
	}
}

func TestAFewBigModelsAreRefused(t *testing.T) {
	spec := mustSpec(t, "version: 1\nname: j\ncontract: c@1\nfeatures: [{columns: [k], transform: one_hot}]\nmodel: {type: logistic_regression}\nprivacy: {unit: record, epsilon: \"1\", delta: \"1e-6\"}\nrun: {mode: sealed}\n")
	contract := func(values int) *Contract {
		var list []string
		for i := range values {
			list = append(list, fmt.Sprintf("v%d", i))
		}
		return mustContract(t, "{version: 1, name: c, revision: 1, key: id, max_rows: 9, label: {column: y, positive: 1, negative: 0}, columns: {k: {type: category, values: ["+strings.Join(list, ", ")+"]}}}")
	}
	r := mustResolve(t, spec, contract(1498), Options{F: 1, Contributors: 4})
	checkBudget(t, r)
	if o, _, _ := r.Noise(kindFit); o.Segments[0].Length != 1500*1501/2 {
		t.Errorf("%d lanes", o.Segments[0].Length)
	}
	_, problems := Resolve(spec, contract(1499), Options{F: 1, Contributors: 4})
	if len(problems) != 1 || problems[0].Path != "features" || !strings.Contains(problems[0].Message, "1501 output columns with the intercept, dp_gradient_descent takes at most 1500") {
		t.Errorf("problems: %v", problems)
	}
}

func TestParseResolvedRefusesOtherNoiseThanTheParametersGive(t *testing.T) {
	r, _ := privateExample(t)
	text := string(r.Canonical())
	p := r.Private
	number := func(key string, n uint64) string { return fmt.Sprintf(`"%s":"%d"`, key, n) }
	for name, test := range map[string]struct{ old, new, says string }{
		"order":              {fmt.Sprintf(`"order":%d`, p.Order), fmt.Sprintf(`"order":%d`, p.Order+1), "private.order"},
		"scale":              {`"delta":"1e-5","order":18,"scale":16384`, `"delta":"1e-5","order":18,"scale":8192`, "private.scale"},
		"fit's Δ²":           {number("sensitivity2", p.Fit.Sensitivity2), number("sensitivity2", p.Fit.Sensitivity2-1), "private.kinds.fit"},
		"train's σ²":         {number("sigma2_local", p.Train.Sigma2Local), number("sigma2_local", p.Train.Sigma2Local-1), "private.kinds.train"},
		"train's sum":        {`,` + number("sum_sigma2", p.Train.SumSigma2), `,` + number("sum_sigma2", p.Train.SumSigma2+7), "private.kinds.train"},
		"evaluate's σ²":      {number("sigma2_local", p.Evaluate.Sigma2Local), number("sigma2_local", p.Evaluate.Sigma2Local+1), "private.kinds.evaluate"},
		"one round more":     {`"rounds":12`, `"rounds":13`, "private.kinds.train"},
		"no evaluation":      {text[strings.Index(text, `,"evaluate":{"sens`):strings.Index(text, `},"program"`)], `}`, "private.kinds.evaluate"},
		"rounds of training": {`"max_rounds":12`, `"max_rounds":13`, "private.kinds.train"},
		"epsilon":            {`"epsilon":"1.0"`, `"epsilon":"1.1"`, "private."},
		"delta":              {`"delta":"1e-5"`, `"delta":"1e-6"`, "private."},
		"n_min":              {`"n_min":9`, `"n_min":10`, "private.kinds.fit"},
		"f":                  {`"f":2`, `"f":1`, "private.kinds.fit"},
		"committee for f":    {`"threshold":5`, `"threshold":4`, "committee"},
		"max_rows":           {`"max_rows":5000000`, `"max_rows":500000000`, "private.scale"},
		"a feature less":     {`{"name":"age","kind":"number","min":16,"max":110,"nullable":false,"log1p":false,"scale":true,"missing_indicator":false},`, ``, "private.kinds"},
		"program's σ²":       {number("sigma2_train", p.Train.SumSigma2), number("sigma2_train", p.Train.SumSigma2+1), "other bytes"},
		"program's scale":    {`"clip":1,"scale":16384`, `"clip":1,"scale":8192`, "other bytes"},
		"bins":               {`"bins":50`, `"bins":51`, "other bytes"},
		"σ² a number":        {number("sigma2_local", p.Fit.Sigma2Local), fmt.Sprintf(`"sigma2_local":%d`, p.Fit.Sigma2Local), ""},
		"unit":               {`"unit":"record","clip":1,"epsilon"`, `"unit":"row","clip":1,"epsilon"`, "private.unit"},
		"another unit":       {`"unit":"record","clip":1,"epsilon"`, `"unit":"silo","clip":1,"epsilon"`, "other bytes"},
		"clip of a record":   {`"unit":"record","clip":1,"epsilon"`, `"unit":"record","clip":2,"epsilon"`, "private.clip"},
		"program's unit":     {`"unit":"record","clip":1,"scale"`, `"unit":"user","clip":1,"scale"`, "other bytes"},
		"rate":               {`"rate_num":"1","rate_den":"1"},"train"`, `"rate_num":"1","rate_den":"2"},"train"`, "private.kinds.fit"},
		"noised":             {`"mode":"sealed"`, `"mode":"noised"`, "committee"},
		"sampling":           {`"max_rounds":12`, `"max_rounds":12,"sampling":{"rate_num":1,"rate_den":20,"learning_rate":4,"momentum":0.9}`, "sampling"},
		"n_min below":        {`"n_min":9`, `"n_min":3`, "n_min"},
		"n_min above":        {`"n_min":9`, `"n_min":11`, "n_min"},
		"f negative":         {`"f":2`, `"f":-1`, "f"},
		"f missing":          {`"f":2,`, ``, ""},
		"epsilon large":      {`"epsilon":"1.0"`, `"epsilon":"101"`, "at most 100"},
		"delta large":        {`"delta":"1e-5"`, `"delta":"0.5"`, "at most 0.01"},
		"epsilon zero":       {`"epsilon":"1.0"`, `"epsilon":"0"`, "not above 0"},
		"epsilon no decimal": {`"epsilon":"1.0"`, `"epsilon":"one"`, "not a decimal"},
		"called exact":       {`"privacy":"private"`, `"privacy":"exact"`, "private"},
		"solver":             {`"dp_gradient_descent"`, `"newton"`, "solver"},
		"tolerance":          {`"max_rounds":12`, `"max_rounds":12,"tolerance":1e-8`, "tolerance"},
		"standardize":        {`"max":110,"nullable":false,"log1p":false,"scale":true`, `"max":110,"nullable":false,"log1p":false,"standardize":true,"clip":64,"scale":true`, "have clip and clip_quantiles"},
		"not scaled":         {`"max":110,"nullable":false,"log1p":false,"scale":true`, `"max":110,"nullable":false,"log1p":false,"scale":false`, "scale"},
		"min_count":          {`"values":["mobile","desktop","tablet"],"nullable":false,"missing_indicator":false`, `"values":["mobile","desktop","tablet"],"nullable":false,"missing_indicator":false,"min_count":20`, "other bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			edited := edit(t, text, test.old, test.new)
			_, err := ParseResolved([]byte(edited))
			if !errors.Is(err, ErrNotCanonical) || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("accepted or another error: %v", err)
			}
			if strings.HasPrefix(test.says, "private.kinds") && !errors.Is(err, ErrNoise) {
				t.Errorf("not ErrNoise: %v", err)
			}
		})
	}
	exact, _ := example(t)
	for _, with := range []string{`"f":1,"n_min":3,`, `"private":null,`} {
		edited := edit(t, string(exact.Canonical()), `"round_timeout_ms"`, with+`"round_timeout_ms"`)
		if _, err := ParseResolved([]byte(edited)); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("an exact job with %s: %v", with, err)
		}
	}
	if _, _, ok := exact.Noise(kindFit); ok || exact.Honest() != 0 || exact.Releases() != nil {
		t.Error("an exact job has no noise")
	}
	if _, err := exact.Cost(2); !errors.Is(err, ErrNoise) {
		t.Errorf("an exact job's cost: %v", err)
	}
}

func TestRandomPrivateJobsParseToThemselvesAndKeepTheirBudget(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	for range 40 {
		f := random.IntN(3)
		committee, _ := DefaultCommittee(f, maxSeats)
		n := max(3, f+2, committee.Of) + random.IntN(40)
		nMin := f + 2 + random.IntN(n-f-1)
		spec := fmt.Sprintf(`version: 1
name: j
contract: shop-customers@1
features: [{columns: [%s], transform: %s, missing: %s}, {columns: [country], transform: one_hot}]
model: {type: logistic_regression, max_rounds: %d}
privacy: {unit: record, epsilon: "%d.%02d", delta: "%de-%d"}
run: {mode: sealed, min_participants: %d, bits: %d}
%s`, pick("age", "age, basket_90d", "visits_30d"), pick("scale", "[log1p, scale]"), pick("none", "indicator"), 1+random.IntN(50),
			random.IntN(20), 10+random.IntN(90), 1+random.IntN(9), 3+random.IntN(9), nMin, 36+random.IntN(5), pick("", "evaluate: {holdout: 0.3}\n"))
		r := mustResolve(t, mustSpec(t, spec), c, Options{F: f, Contributors: n})
		checkBudget(t, r)
		again, err := ParseResolved(r.Canonical())
		if err != nil || string(again.Canonical()) != string(r.Canonical()) {
			t.Fatalf("%v\n%s\n%s", err, spec, r.Canonical())
		}
		if diff := cmp.Diff(r, again, cmp.Comparer(func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) })); diff != "" {
			t.Fatalf("the job changed:\n%s", diff)
		}
	}
}

func TestAPersonHeldTwiceOrRunAgainCostsMore(t *testing.T) {
	r, _ := privateExample(t)
	alone, err := r.GroupEpsilon(1, 1)
	if err != nil || alone > 1 {
		t.Errorf("ε = %v, %v", alone, err)
	}
	twice, _ := r.GroupEpsilon(2, 1)
	again, _ := r.GroupEpsilon(1, MaxTries)
	if !(twice > again && again > alone) {
		t.Errorf("held twice %v, run three times %v, once %v", twice, again, alone)
	}
}
