package optim

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseProgramReadsEveryField(t *testing.T) {
	p := testProgram(t)
	if p.Contributors != 4 || p.Bits != 40 || p.MaxRows != 5_000_000 || p.Model != (Model{Type: "logistic_regression", L2: 1, Solver: "newton", MaxRounds: 4, Tolerance: 1e-8}) || p.Evaluate != (Evaluation{HoldOut: true, AUC: true, LogLoss: true, Correct: true}) {
		t.Errorf("%+v", p)
	}
	var names []string
	for _, c := range p.Pipeline().Columns() {
		names = append(names, c.Name)
	}
	want := "age basket basket:missing raw country=DE country=FR country=NL country=other country:missing"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("columns %s, want %s", got, want)
	}
	if f := p.Pipeline().Features()[3]; f.MinCount != 20 || !f.Nullable || !f.MissingIndicator || f.Values[2] != "NL" {
		t.Errorf("%+v", f)
	}
}

// Each edit makes the document invalid; the error names what is wrong.
func TestParseProgramIsStrict(t *testing.T) {
	big := make([]string, 2000)
	for i := range big {
		big[i] = fmt.Sprintf("%q", fmt.Sprint("v", i))
	}
	for _, c := range []struct{ old, new, want string }{
		{`"version":1`, `"version":2`, "version"},
		{`"version":1`, `"version":1,"extra":0`, `extra: unknown key`},
		{`"version":1`, `"version":1,"version":1`, `key "version" twice`},
		{`"version":1,`, ``, "version: missing"},
		{`"version"`, `"Version"`, "version: missing"},
		{`"contributors":4`, `"contributors":0`, "contributors"},
		{`"contributors":4`, `"contributors":1639`, "1638"},
		{`"contributors":4`, `"contributors":4.0`, "want an integer"},
		{`"bits":40`, `"bits":41`, "bits"},
		{`"bits":40`, `"bits":7`, "bits"},
		{`"bits":40`, `"bits":16`, "hint: raise bits"},
		{`"max_rows":5000000`, `"max_rows":0`, "max_rows"},
		{`"max_rows":5000000`, `"max_rows":null`, "max_rows"},
		{`"min":16`, `"min":NaN`, ""},
		{`"min":16`, `"min":1e999`, "features[0].min"},
		{`"min":16`, `"min":"16"`, "features[0].min"},
		{`"min":16`, `"min":110`, `"age"`},
		{`"min":16`, `"min":-1e300`, `"age"`},
		{`"min":0`, `"min":-1`, `feature "basket": log1p`},
		{`"min":0`, `"min":-5`, `feature "basket": log1p`},
		{`"log1p":true`, `"log1p":1`, "true or false"},
		{`"log1p":true`, `"log1p":null`, "true or false"},
		{`"clip":64`, `"clip":0`, "clip"},
		{`"clip":64`, `"clip":-1`, "clip"},
		{`"name":"basket"`, `"name":"age"`, `"age"`},
		{`"name":"age"`, `"name":""`, "empty"},
		{`"name":"age"`, "\"name\":\"a\\u0007\"", "control"},
		{`"name":"age"`, `"name":null`, "want a string"},
		{`"kind":"number"`, `"kind":"numbers"`, "unknown kind"},
		{`"kind":"category"`, `"kind":"number"`, "features[3]"},
		{`"values":["DE","FR","NL"]`, `"values":[]`, `"country"`},
		{`"values":["DE","FR","NL"]`, `"values":["DE","DE"]`, "country=DE"},
		{`"values":["DE","FR","NL"]`, `"values":["DE","other"]`, "country=other"},
		{`"values":["DE","FR","NL"]`, `"values":["DE",null]`, "values"},
		{`"values":["DE","FR","NL"]`, `"values":[` + strings.Join(big, ",") + `]`, "2000"},
		{`"min_count":20`, `"min_count":-1`, "min_count"},
		{`"min_count":20`, `"min_count":20,"log1p":false`, "features[3].log1p: unknown key"},
		{`logistic_regression`, `gradient_boosting`, "unknown model"},
		{`newton`, `nadam`, "unknown solver"},
		{`"l2":1`, `"l2":-1`, "l2"},
		{`"max_rounds":4`, `"max_rounds":0`, "max_rounds"},
		{`"tolerance":1e-8`, `"tolerance":1`, "tolerance"},
		{`"tolerance":1e-8`, `"tolerance":-1`, "tolerance"},
		{`"auc","log_loss"`, `"auc","auc"`, "twice"},
		{`"auc","log_loss"`, `"auc","f1"`, "unknown metric"},
		{`"evaluate":{`, `"evaluate":{"x":1,`, "evaluate.x: unknown key"},
		{`{"version"`, `[{"version"`, ""},
	} {
		doc := strings.Replace(testDocument(), c.old, c.new, 1)
		if doc == testDocument() {
			t.Fatalf("no %s in the document", c.old)
		}
		_, err := ParseProgram([]byte(doc))
		if !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s → %.60s: %v", c.old, c.new, err)
		}
	}
	for _, doc := range []string{"", "null", "{}", testDocument() + "{}", testDocument() + "x", strings.Repeat("[", 1<<20), testDocument()[:200], "\xff"} {
		if _, err := ParseProgram([]byte(doc)); !errors.Is(err, ErrProgram) {
			t.Errorf("%.20q: %v", doc, err)
		}
	}
	if _, err := ParseProgram([]byte(strings.Replace(testDocument(), `"features":[`, `"features":[],"x":[`, 1))); err == nil {
		t.Error("no features")
	}
}

func FuzzParseProgram(f *testing.F) {
	f.Add([]byte(testDocument()))
	f.Add([]byte(privateDocument()))
	f.Add([]byte(averagingDocument(f)))
	f.Add([]byte(factorDocument))
	f.Add([]byte(implicitDocument()))
	f.Add([]byte(classDocument(f)))
	f.Add([]byte(weightedDocument()))
	f.Add([]byte(startDocument(testDocument(), 10)))
	for _, doc := range append(trainedDocuments(), bucketDocument(), strings.Replace(bucketDocument(), bucketFeatures, derivedCrosses, 1), targetDocument, sketchedDocument, privateFactorDocument) {
		f.Add([]byte(doc))
	}
	for _, solver := range []string{DPGradientDescent, DPSGD} {
		doc, err := privateSketchProgram(f, solver).Document()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProgram(data)
		if err != nil {
			if !errors.Is(err, ErrProgram) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		doc, err := p.Document()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseProgram(doc)
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("the canonical document differs: %v", err)
		}
		if twice, _ := again.Document(); !bytes.Equal(doc, twice) {
			t.Fatal("two canonical documents of one program")
		}
		s := p.Initial()
		if _, err := p.DecodeState(s.Encode()); err != nil {
			t.Fatal(err)
		}
	})
}
