package optim

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"tributary/models/pipeline"
)

const bucketFeatures = `"features":[{"name":"city","kind":"category","buckets":4096,"nullable":true,"missing_indicator":false,"min_count":20},` +
	`{"name":"country","kind":"category","values":["DE","FR"],"nullable":false,"missing_indicator":false,"min_count":20},` +
	`{"name":"city*country","kind":"cross","of":["city","country"],"buckets":1024,"nullable":false,"missing_indicator":false,"min_count":20}],`

func bucketDocument() string {
	return `{"version":1,"contributors":4,"bits":40,"max_rows":5000000,` + bucketFeatures +
		`"model":{"type":"logistic_regression","l2":1,"solver":"lbfgs","max_rounds":4,"tolerance":1e-8},"evaluate":{"holdout":true,"metrics":["auc"]}}`
}

func TestBucketsAndCrossesAreReadAndWritten(t *testing.T) {
	p, err := ParseProgram([]byte(bucketDocument()))
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Coefficients(); n != 4097+3+1025+1 {
		t.Errorf("%d coefficients", n)
	}
	doc, err := p.Document()
	if err != nil || !bytes.Equal(doc, []byte(bucketDocument())) {
		t.Errorf("%v\n%s", err, doc)
	}
	again, err := ParseProgram(doc)
	if err != nil || !reflect.DeepEqual(p.spec, again.spec) {
		t.Errorf("the document gives another program: %v", err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"buckets":4096`, `"buckets":4095`, "power of two"},
		{`"buckets":4096`, `"buckets":524288`, "features[0].buckets"},
		{`"buckets":4096`, `"buckets":4096,"values":["a"]`, "features[0].values: unknown key"},
		{`"of":["city","country"]`, `"of":["city"]`, "a cross of 1"},
		{`"of":["city","country"]`, `"of":[]`, "features[2].of"},
		{`"of":["city","country"]`, `"of":["city","land"]`, "names joined by *"},
		{`"of":["city","country"],`, ``, "features[2].of: missing"},
		{`"kind":"cross"`, `"kind":"category"`, "features[2].of: unknown key"},
		{`"buckets":1024`, `"buckets":1000`, "12291 cells"},
		{`"buckets":1024,"nullable":false`, `"buckets":1024,"nullable":true`, "never missing"},
	} {
		doc := strings.Replace(bucketDocument(), c.old, c.new, 1)
		if doc == bucketDocument() {
			t.Fatalf("no %s in the document", c.old)
		}
		if _, err := ParseProgram([]byte(doc)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s → %.60s: %v", c.old, c.new, err)
		}
	}
}

const derivedCrosses = `"features":[{"name":"age","kind":"buckets","min":16,"max":110,"nullable":true,"missing_indicator":false,"min_count":20,"edges":[30,60]},` +
	`{"name":"since.weekday","kind":"date_part","nullable":false,"missing_indicator":false,"min_count":20,"date":{"column":"since","part":"weekday","first":"2020-01-01","last":"2020-12-31"}},` +
	`{"name":"since.days","kind":"buckets","min":0,"max":365,"nullable":false,"missing_indicator":false,"min_count":20,"edges":[31],"date":{"column":"since","part":"days","first":"2020-01-01","last":"2020-12-31"}},` +
	`{"name":"age*since.weekday","kind":"cross","of":["age","since.weekday"],"buckets":28,"nullable":false,"missing_indicator":false,"min_count":20},` +
	`{"name":"since.weekday*since.days*age","kind":"cross","of":["since.weekday","since.days","age"],"buckets":32,"nullable":false,"missing_indicator":false,"min_count":20}],`

// Crosses of buckets and of dates are read and written like others, and what can't be crossed is told by the place of its name.
func TestCrossesOfBucketsAndDatesAreReadAndWritten(t *testing.T) {
	document := strings.Replace(bucketDocument(), bucketFeatures, derivedCrosses, 1)
	p, err := ParseProgram([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	if doc, err := p.Document(); err != nil || string(doc) != document || p.Coefficients() != 4+8+3+29+33+1 {
		t.Errorf("%d coefficients, %v\n%s", p.Coefficients(), err, doc)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"of":["age","since.weekday"]`, `"of":["age","since.hour"]`, "names joined by *"},
		{`"name":"age*since.weekday","kind":"cross","of":["age","since.weekday"]`, `"name":"age*since.hour","kind":"cross","of":["age","since.hour"]`, `feature "age*since.hour": of[1]: no feature "since.hour"`},
		{`"name":"age*since.weekday","kind":"cross","of":["age","since.weekday"]`, `"name":"age*since","kind":"cross","of":["age","since"]`, `feature "age*since": of[1]: no feature "since"`},
		{`"name":"age*since.weekday","kind":"cross","of":["age","since.weekday"]`, `"name":"age*age","kind":"cross","of":["age","age"]`, `feature "age*age": of[1]: feature "age" twice`},
		{`"name":"since.weekday*since.days*age","kind":"cross","of":["since.weekday","since.days","age"]`, `"name":"age*since.weekday*age","kind":"cross","of":["age*since.weekday","age"]`, `of[0]: feature "age*since.weekday" is a cross`},
		{`"name":"age*since.weekday","kind":"cross","of":["age","since.weekday"]`, `"name":"age*since.weekday*age","kind":"cross","of":["age*since.weekday","age"]`, `of[0]: no feature "age*since.weekday"`},
		{`"edges":[30,60]`, `"quantiles":3`, `feature "age*since.weekday": of[0]: feature "age" is in buckets whose edges are fitted`},
		{`"kind":"buckets","min":0,"max":365,"nullable":false,"missing_indicator":false,"min_count":20,"edges":[31]`, `"kind":"number","min":0,"max":365,"nullable":false,"log1p":false,"standardize":true,"clip":64,"missing_indicator":false`, `of[1]: feature "since.days" is a number`},
		{`"buckets":28`, `"buckets":40`, "40 buckets for 28 cells"},
		{`"buckets":32`, `"buckets":31`, "31 buckets for 56 cells"},
		{`["age","since.weekday"]`, `["age",7]`, "features[3].of"},
	} {
		doc := strings.Replace(document, c.old, c.new, 1)
		if doc == document {
			t.Fatalf("no %s in the document", c.old)
		}
		if _, err := ParseProgram([]byte(doc)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s → %.90s: %v", c.old, c.new, err)
		}
	}
	// An edge's change is another combination: a model doesn't start from that.
	q, err := ParseProgram([]byte(strings.Replace(document, "[30,60]", "[30,61]", 1)))
	if err != nil {
		t.Fatal(err)
	}
	s := &State{kind: Done, solver: p.solver, fitted: p.spec.Plain(), w: make([]float64, p.Coefficients())}
	for i := range s.w {
		s.w[i] = float64(i + 1)
	}
	got, err := q.StartFrom(p, s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range q.columns() {
		c := q.spec.Columns()[i]
		f := &q.spec.Features()[c.Feature]
		same := f.Cross == nil && (f.Name != "age" || c.Role != pipeline.CategoryRole || c.Code == 0) || c.Role == pipeline.OtherRole
		if (got[i] != 0) != same {
			t.Errorf("%s starts at %g", q.spec.ColumnName(i), got[i])
		}
	}
}

// A bucket means its values among so many buckets: a model starts from another's only where both count alike.
func TestWarmStartTellsBucketsApart(t *testing.T) {
	p, err := ParseProgram([]byte(bucketDocument()))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		old, new    string
		city, cross bool
	}{
		{`"max_rounds":4`, `"max_rounds":5`, true, true},
		{`"buckets":4096`, `"buckets":8192`, false, false},
		{`"buckets":1024`, `"buckets":512`, true, false},
		{`["DE","FR"]`, `["FR","DE"]`, true, false}, // the cells are numbered otherwise
	} {
		q, err := ParseProgram([]byte(strings.Replace(bucketDocument(), c.old, c.new, 1)))
		if err != nil {
			t.Fatal(err)
		}
		s := &State{kind: Done, solver: p.solver, fitted: p.spec.Plain(), w: make([]float64, p.Coefficients())}
		s.w[7], s.w[4097], s.w[4100+9] = 2, 3, 5 // city#7, country=DE, city*country#9
		got, err := q.StartFrom(p, s)
		if err != nil {
			t.Fatal(err)
		}
		shift := q.Coefficients() - p.Coefficients()
		if c.old == `"buckets":1024` {
			shift = 0
		}
		at := func(i int) bool { return got[i] != 0 }
		land := got[4097+shift]
		if c.old == `["DE","FR"]` {
			land = got[4098]
		}
		if at(7) != c.city || land != 3 || at(4100+shift+9) != c.cross {
			t.Errorf("%s → %s: %g %g %g", c.old, c.new, got[7], got[4097+shift], got[4100+shift+9])
		}
	}
}

// The widest open category, with others beside it, fits the solvers whose sums are as long as the model; Newton's Hessian it doesn't.
func TestWidestCategoryFitsItsSolvers(t *testing.T) {
	wide := strings.NewReplacer(`"buckets":4096`, `"buckets":262144`, `"buckets":1024`, `"buckets":32768`).Replace(bucketDocument())
	averaged := strings.Replace(wide, `"solver":"lbfgs","max_rounds":4,"tolerance":1e-8`, `"solver":"fedavg","max_rounds":4,"tolerance":0,"averaging":{"epochs":1,"batch":1,"optimizer":"sgd","learning_rate":0.1,"server_rate":1,"patience":0,"seed":"7"}`, 1)
	p, err := ParseProgram([]byte(averaged))
	if err != nil {
		t.Fatal(err)
	}
	if fit := p.Layout(Fit); fit[len(fit)-1].Name != segCategories || fit[len(fit)-1].Length != 262145+3+32769 {
		t.Errorf("FIT sums %+v", fit)
	}
	private := strings.NewReplacer(`,"min_count":20`, ``, `"solver":"lbfgs","max_rounds":4,"tolerance":1e-8`, `"solver":"dp_sgd","max_rounds":4,"sampling":{"rate_num":1,"rate_den":5,"learning_rate":1,"momentum":0.5}`,
		`"evaluate":`, `"private":{"unit":"record","clip":1,"scale":16384,"sigma2_fit":"26843545600","sigma2_train":"85899345920","sigma2_evaluate":"107374182400","bins":50},"evaluate":`).Replace(wide)
	if p, err = ParseProgram([]byte(private)); err != nil || p.Coefficients() != 262145+3+32769+1 {
		t.Error(err)
	}
	if _, err := ParseProgram([]byte(strings.Replace(wide, "lbfgs", "newton", 1))); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), "newton takes at most 2000") {
		t.Error(err)
	}
}
