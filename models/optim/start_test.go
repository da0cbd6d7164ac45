package optim

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func startDocument(base string, coefficients int) string {
	return fmt.Sprintf(`%s,"start":{"model":"%s","coefficients":[%s]}}`, strings.TrimSuffix(base, "}"), strings.Repeat("0a", 32), strings.TrimSuffix(strings.Repeat("0.25,", coefficients), ","))
}

// The starting point follows from program and fitted pipeline alone: a state with another one is refused.
func TestStateBeforeTrainingIsAtTheStart(t *testing.T) {
	for _, base := range []string{testDocument(), classDocument(t), strings.Replace(strings.Replace(averagingDocument(t), `factorization_machine`, LogisticRegression, 1), `"factors":2,`, ``, 1)} {
		plain, err := ParseProgram([]byte(base))
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParseProgram([]byte(startDocument(base, plain.Coefficients())))
		if err != nil {
			t.Fatal(err)
		}
		v := fitSums(p)
		v[segClasses] = []float64{500, 400, 100}
		s, _, err := p.Apply(p.Initial(), p.assemble(Fit, v))
		if err != nil {
			t.Fatal(err)
		}
		data := s.Encode()
		got, err := p.DecodeState(data)
		if err != nil || !bytes.Equal(got.Encode(), data) || s.w[2] != 0.25 || s.w[p.spec.FirstColumn(3)+1] != 0 {
			t.Errorf("%s: %v, %v", p.Model.Solver, err, s.w)
		}
		if _, err := plain.DecodeState(data); !errors.Is(err, ErrState) {
			t.Errorf("%s: a started state in a job that starts at zero: %v", p.Model.Solver, err)
		}
		s.w[2] = 0.5
		if _, err := p.DecodeState(s.Encode()); !errors.Is(err, ErrState) {
			t.Errorf("%s: another start: %v", p.Model.Solver, err)
		}
	}
}

func TestParseStartIsStrict(t *testing.T) {
	p := testProgram(t)
	good := startDocument(testDocument(), p.Coefficients())
	for _, c := range []struct{ old, new, want string }{
		{`"model":"0a`, `"model":"0A`, "start.model"},
		{`"model":"0a`, `"model":"`, "start.model"},
		{`[0.25,`, `[`, "start: 9 coefficients"},
		{`[0.25,`, `[1e31,`, "start.coefficients"},
		{`[0.25,`, `["1",`, "start.coefficients"},
		{`"coefficients"`, `"x":1,"coefficients"`, "start.x: unknown key"},
	} {
		doc := strings.Replace(good, c.old, c.new, 1)
		if _, err := ParseProgram([]byte(doc)); doc == good || !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: %v", c.old, c.new, err)
		}
	}
	for _, base := range []string{averagingDocument(t), privateDocument()} {
		if _, err := ParseProgram([]byte(startDocument(base, 10))); err == nil || !strings.Contains(err.Error(), "only linear models") {
			t.Error(err)
		}
	}
}
