package optim

import (
	"errors"
	"math"
	"strings"
	"testing"
)

const targetDocument = `{"version":1,"contributors":3,"bits":40,"max_rows":1000,` +
	`"features":[{"name":"age","kind":"number","min":0,"max":100,"nullable":false,"log1p":false,"standardize":true,"clip":64,"missing_indicator":false}],` +
	`"model":{"type":"linear_regression","l2":1,"solver":"newton","max_rounds":10,"tolerance":1e-8},` +
	`"evaluate":{"holdout":true,"metrics":["rmse","mae","r2","calibration"]},"label":{"min":-10,"max":90}}`

// A document of a number label is read, and written as it was.
func TestProgramOfANumberLabel(t *testing.T) {
	p, err := ParseProgram([]byte(targetDocument))
	if err != nil {
		t.Fatal(err)
	}
	if *p.Target != (Target{-10, 90}) {
		t.Errorf("label %+v", *p.Target)
	}
	doc, err := p.Document()
	if err != nil || string(doc) != targetDocument {
		t.Errorf("%v: document %s", err, doc)
	}
}

func TestProgramsOfNumberLabelsAreChecked(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(targetDocument, old) {
			t.Fatal(old)
		}
		return strings.Replace(targetDocument, old, new, 1)
	}
	fedavg := `"averaging":{"epochs":1,"batch":1,"optimizer":"adagrad","learning_rate":0.1,"server_rate":1,"patience":0,"seed":"1"}`
	for name, c := range map[string]struct{ document, part string }{
		"a model of two values":  {replace("linear_regression", "logistic_regression"), "predicts no number"},
		"no number":              {replace(`,"label":{"min":-10,"max":90}`, ""), "predicts a number"},
		"no range":               {replace(`"max":90`, `"max":-10`), "label.min"},
		"half a range":           {replace(`,"max":90`, ""), "label.max"},
		"classes too":            {replace(`"max":90`, `"max":90,"classes":["a","b"]`), "label"},
		"endless":                {replace(`"max":90`, `"max":1e300`), "label.min"},
		"auc":                    {replace(`"rmse"`, `"auc"`), "rmse, mae, r2"},
		"recall":                 {replace(`"rmse"`, `"recall"`), "recommends nothing"},
		"groups":                 {replace(`"r2","calibration"]`, `"r2"],"groups":[{"name":"country","values":["DE"],"nullable":false}],"min_count":10`), "groups"},
		"class weights":          {replace(`,"label"`, `,"weighting":{"classes":[1,2]},"label"`), "class weights"},
		"an offset":              {replace(`,"label"`, `,"weighting":{"offset":{"name":"x","min":0,"max":1}},"label"`), "offset"},
		"weights when averaging": {replace(`"solver":"newton","max_rounds":10,"tolerance":1e-8`, `"solver":"fedavg","max_rounds":10,"tolerance":1e-8,`+fedavg+`},"weighting":{"weight":{"name":"x","min":0,"max":1}`), "weighs all rows alike"},
		"rmse of two values":     {strings.Replace(replace("linear_regression", "logistic_regression"), `,"label":{"min":-10,"max":90}`, "", 1), "evaluate.metrics"},
	} {
		if _, err := ParseProgram([]byte(c.document)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// targetFit is an opened FIT sum of 100 training rows with these sums of the label's places in its range.
func targetFit(p *Program, sum, square float64) [][]float64 {
	whole, part := parts([]float64{sum})
	squareWhole, squarePart := parts([]float64{square})
	return p.assemble(Fit, map[string][]float64{
		segRows: {100}, segTargetSumWhole: whole, segTargetSumPart: part, segTargetSquareWhole: squareWhole, segTargetSquarePart: squarePart,
		segHeldOut: {0}, segPresent: {100}, segSumWhole: {50}, segSumPart: {0}, segSquareWhole: {30}, segSquarePart: {0},
	})
}

func TestSumsOfANumberLabelAreChecked(t *testing.T) {
	p, err := ParseProgram([]byte(targetDocument))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		sum, square float64
		want        error
	}{
		"varies":            {50, 30, nil},
		"constant":          {50, 25, ErrConstant},
		"all at zero":       {0, 0, ErrConstant},
		"square above mean": {50, 60, ErrSums},
		"mean above range":  {130, 120, ErrSums},
		"negative":          {-50, 30, ErrSums},
	} {
		s, _, err := p.Apply(p.Initial(), targetFit(p, c.sum, c.square))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if c.want != nil || err != nil {
			continue
		}
		mean, sd := p.LabelUnits(s.fitted)
		if mean != 40 || math.Abs(sd-100*math.Sqrt(0.05)) > 1e-12 || p.Standardised(s.fitted, 40) != 0 {
			t.Errorf("label %g ± %g", mean, sd)
		}
		// A state with another mean isn't one.
		bad := *s
		fitted := *s.fitted
		bad.fitted, fitted.LabelSD = &fitted, 2
		if _, err := p.DecodeState(bad.Encode()); !errors.Is(err, ErrState) {
			t.Errorf("a deviation beyond the range is taken: %v", err)
		}
	}
}

// Where training starts at an earlier model, the penalty alone can make a solver accept coefficients whose gradient didn't fit its
// lanes: the job ends instead.
func TestClippedGradientIsNeverAccepted(t *testing.T) {
	for _, solver := range []string{Newton, LBFGS} {
		text := strings.NewReplacer(`"newton"`, `"`+solver+`"`, `"l2":1`, `"l2":1000000`, `"label":`, `"start":{"model":"`+strings.Repeat("ab", 32)+`","coefficients":[100,0]},"label":`).Replace(targetDocument)
		p, err := ParseProgram([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := p.Apply(p.Initial(), targetFit(p, 50, 30))
		if err != nil {
			t.Fatal(err)
		}
		sums := func(loss float64) [][]float64 {
			sums := TrainSums{Rows: 100, Loss: loss, Gradient: []float64{-1e9, 3}, Hessian: []float64{100, 0, 100}}
			if solver == LBFGS {
				return p.EncodeGradient(s, sums)
			}
			return p.EncodeTrain(s, sums)
		}
		for _, segment := range sums(5) {
			for _, v := range segment {
				if math.Abs(v) > float64(p.lane()) {
					t.Errorf("%s: a lane of %g", solver, v)
				}
			}
		}
		if s, _, err = p.Apply(s, sums(5)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Apply(s, sums(201)); !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "warm_start") {
			t.Errorf("%s: %v", solver, err)
		}
	}
}
