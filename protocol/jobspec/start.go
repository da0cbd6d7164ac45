package jobspec

import (
	"encoding/hex"
	"fmt"
	"math"
)

// Start is an earlier model that training starts from instead of zero.
type Start struct {
	Model        [32]byte  // its state's digest
	Coefficients []float64 // in the contract's units, as the program's model has them
}

type startJSON struct {
	Model        string    `json:"model"`
	Coefficients []float64 `json:"coefficients"`
}

func (s *Start) json() *startJSON {
	if s == nil {
		return nil
	}
	return &startJSON{hex.EncodeToString(s.Model[:]), s.Coefficients}
}

// start reads a resolved start; the encoding shows whether the digest was written as it should be.
func (j *startJSON) start(report report) *Start {
	if j == nil {
		return nil
	}
	s := &Start{Coefficients: append([]float64{}, j.Coefficients...)}
	if b, err := hex.DecodeString(j.Model); err != nil || copy(s.Model[:], b) != len(s.Model) || len(b) != len(s.Model) {
		report(show(j.Model)+" is not a digest", "", "program.start.model")
	}
	return s
}

// warmStart reads the digest of a model's state.
func (d *document) warmStart(v value) *[32]byte {
	s, ok := d.text(v)
	if !ok {
		return nil
	}
	var out [32]byte
	if b, err := hex.DecodeString(s); err != nil || len(b) != len(out) {
		d.at(v.path, v.at, show(s)+" is not the digest of a model's state", "write the 64 hexadecimal digits that tributary model show tells as state")
		return nil
	} else {
		copy(out[:], b)
	}
	return &out
}

// matchStart keeps a start to the models that have one.
func (d *document) matchStart(s *Spec) {
	if d.given("model.warm_start") && (s.Privacy.Kind == KindPrivate || s.Model.Type == typeFactorization) {
		d.report("only linear models of exact jobs start from an earlier one", "remove warm_start", "model.warm_start")
	}
}

// startOf has the earlier model looked up; the rest of the job must be resolved.
func startOf(s *Spec, o Options, r *Resolved, report report) {
	if s.WarmStart == nil {
		return
	}
	if o.Start == nil {
		report("there are no earlier models here to start from", "remove warm_start", "model.warm_start")
		return
	}
	coefficients, err := o.Start(*s.WarmStart, r.Program())
	if err != nil {
		report(err.Error(), "see tributary model list for models and their states", "model.warm_start")
		return
	}
	r.Start = &Start{Model: *s.WarmStart, Coefficients: coefficients}
	r.checkStart(report, "model.warm_start")
}

// checkStart checks a start whatever it was read from.
func (r *Resolved) checkStart(report report, path string) {
	s := r.Start
	if s == nil {
		return
	}
	if r.Private != nil || r.Model.Factors > 0 {
		report("only linear models of exact jobs start from an earlier one", "", path)
	}
	if n := r.Coefficients(); len(s.Coefficients) != n {
		report(fmt.Sprintf("%d coefficients to start from, the model has %d", len(s.Coefficients), n), "", path)
	}
	for i, c := range s.Coefficients {
		if !(math.Abs(c) <= maxCoefficient) || negativeZero(c) {
			report(fmt.Sprintf("coefficient %d to start from is %v", i, c), "", path)
			return
		}
	}
}

// maxCoefficient bounds a coefficient to start from.
const maxCoefficient = 1e30
