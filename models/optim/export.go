package optim

import (
	"encoding/json"
	"errors"
	"math"
	"slices"

	"tributary/models/metrics"
	"tributary/models/pipeline"
)

// ErrNotFitted is returned by Export before FIT: there is no model yet.
var ErrNotFitted = errors.New("no model before FIT")

// exportModel is the JSON form of a model. A raw record is scored by
//
//	1/(1+exp(-(intercept + Σ coefficient·value)/norm))
//
// over the columns. A number is first clamped to [min, max], then to [lowest, highest] if it has them; its value is (t-mean)/sd clamped to ±clip when it is standardised or
// scaled and t otherwise, t being log(1+x) or x; 0 when it is missing or the column is folded. An indicator's value is 1 or 0;
// a bucket's is 1 where from ≤ x < to, the number or what date says of a date; values of folded columns, unlisted values, and missing
// ones without a column of their own count as the feature's "other"; those of an open category or a cross are numbered, see package
// hashing. The norm is √(1+Σ value²) where unit_norm is set, as in private linear models of labels with values, and 1 elsewhere. A factorization machine adds
// Σ_{i<j} ⟨factor_i, factor_j⟩·value_i·value_j over its columns to the sum. Counts and metrics of a private model are noised.
// The offset, a column of the record that isn't among the others, clamped to its [min, max] and never missing, is added to the sum. With classes there is such a sum for each, of
// intercepts and coefficients by class, and a class's probability is exp(its sum) by the total of these. A test says how surely a
// coefficient isn't 0, see inference.go. With a label that is a number, the sum is the prediction, in the label's unit and clamped
// to its [min, max]; errors are in that unit, too, and the objective and the training loss are of half the squared error in the
// label's deviations. Package score reads it.
type exportModel struct {
	Format       string         `json:"format"`
	Version      int            `json:"version"`
	Type         string         `json:"type"`
	Private      bool           `json:"private,omitempty"`
	UnitNorm     bool           `json:"unit_norm,omitempty"`
	L1           float64        `json:"l1,omitempty"`
	L2           float64        `json:"l2"`
	Factors      int            `json:"factors,omitempty"`
	Offset       *documentRange `json:"offset,omitempty"`     // the record's value of this column is added to the sum
	Label        *exportLabel   `json:"label,omitempty"`      // that is a number
	Classes      []string       `json:"classes,omitempty"`    // of a label with several
	Intercept    *float64       `json:"intercept,omitempty"`  // of one with two
	Intercepts   []float64      `json:"intercepts,omitempty"` // by class
	Test         *exportTest    `json:"intercept_test,omitempty"`
	Tests        []*exportTest  `json:"intercept_tests,omitempty"` // by class; null: unknown
	TestNote     string         `json:"tests,omitempty"`           // what the tests are worth
	Columns      []exportColumn `json:"columns"`
	TrainingRows int64          `json:"training_rows"`
	Rounds       int            `json:"train_rounds"`
	Converged    *bool          `json:"converged,omitempty"` // of exact models
	Metrics      *exportMetrics `json:"metrics,omitempty"`
}

type exportColumn struct {
	Name        string        `json:"name"`
	Feature     string        `json:"feature"`
	Role        string        `json:"role"` // number, missing, value, bucket, buckets, other
	Value       *string       `json:"value,omitempty"`
	Number      *exportNumber `json:"number,omitempty"`
	Bucket      *exportBucket `json:"bucket,omitempty"`
	Range       *exportRange  `json:"range,omitempty"`    // of a number in buckets; on their other
	Date        *documentDate `json:"date,omitempty"`     // of a part of a date; on its number or other
	Nullable    bool          `json:"nullable,omitempty"` // the feature may be missing; on its number or other
	Folded      bool          `json:"folded"`
	Coefficient *float64      `json:"coefficient,omitempty"`
	ByClass     []float64     `json:"coefficients,omitempty"`
	Factor      []float64     `json:"factor,omitempty"` // of a factorization machine, length factors
	Test        *exportTest   `json:"test,omitempty"`   // of a converged model without L1, by newton or with standard_errors
	Tests       []*exportTest `json:"tests,omitempty"`  // by class; null: unknown

	Buckets *exportBuckets `json:"buckets,omitempty"` // of all buckets of an open category or a cross at once
}

// exportLabel is a number, with the contract's range and what FIT found, in the contract's unit; of a private model, which finds nothing,
// the range's middle and half of its width.
type exportLabel struct {
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
	SD   float64 `json:"sd"`
}

// exportTest is Wald's test of one coefficient, in the coefficient's own units.
type exportTest struct {
	StandardError float64 `json:"standard_error"`
	Z             float64 `json:"z"`
	P             float64 `json:"p_value"`
}

type exportNumber struct {
	Min         float64 `json:"min"`
	Max         float64 `json:"max"`
	Log1p       bool    `json:"log1p"`
	Standardize bool    `json:"standardize"`
	Scale       bool    `json:"scale,omitempty"`
	Mean        float64 `json:"mean"`
	SD          float64 `json:"sd"`
	Clip        float64 `json:"clip"`

	Lowest  *float64 `json:"lowest,omitempty"` // fitted quantiles
	Highest *float64 `json:"highest,omitempty"`
}

type exportMetrics struct {
	Noised    bool      `json:"noised,omitempty"`
	Objective *float64  `json:"objective,omitempty"`      // of exact models
	TrainLoss *float64  `json:"train_log_loss,omitempty"` // of exact models
	TrainHalf *float64  `json:"train_loss,omitempty"`     // in its place, of labels that are numbers
	HeldOut   int64     `json:"held_out_rows"`
	Positives int64     `json:"held_out_positives"`
	AUC       *float64  `json:"auc,omitempty"`
	LogLoss   *float64  `json:"log_loss,omitempty"`
	Accuracy  *float64  `json:"accuracy,omitempty"`
	RMSE      *float64  `json:"rmse,omitempty"`
	MAE       *float64  `json:"mae,omitempty"`
	R2        *float64  `json:"r2,omitempty"`
	Confusion [][]int64 `json:"confusion,omitempty"` // held-out rows by class, then by predicted class
}

// Export writes a fitted model as an indented JSON document that is enough to score raw records. Coefficients are those of the
// output columns, so of standardised numbers where the job asks for that. Metrics are there once the state is Done.
func Export(p *Program, s *State) ([]byte, error) {
	if s.Fitted() == nil {
		return nil, ErrNotFitted
	}
	out, err := json.MarshalIndent(p.solver.export(s), "", "  ")
	if err != nil {
		return nil, err
	}
	return append(out, '\n'), nil
}

// exportModel is the document of a linear model or a factorization machine.
func (p *Program) exportModel(s *State) *exportModel {
	m := &exportModel{
		Format: "tributary-model", Version: 1, Type: p.Model.Type, L1: p.Model.L1, L2: p.Model.L2, Factors: p.Model.Factors,
		TrainingRows: s.fitted.Rows, Rounds: int(s.rounds),
	}
	last := p.columns()
	if p.Label != nil {
		m.Classes, m.Intercepts = p.Label.Classes, p.byClass(s, last)
	} else {
		last = p.Coefficients() - 1
		intercept := p.exportIntercept(s)
		if p.Target != nil {
			mean, sd := p.LabelUnits(s.fitted)
			m.Label = &exportLabel{p.Target.Min, p.Target.Max, mean, sd}
		}
		m.Intercept = &intercept
	}
	if p.Weighting != nil {
		m.Offset = p.Weighting.Offset.document()
	}
	if m.Private, m.UnitNorm = p.Private(), p.UnitNorm(); !m.Private {
		m.Converged = &s.converged
	}
	for i, c := range p.spec.Columns() {
		switch {
		case p.spec.Features()[c.Feature].HashBuckets == 0 || c.Role != pipeline.CategoryRole:
			m.Columns = append(m.Columns, p.exportColumn(s, c, i))
		case c.Code == 0:
			m.Columns = append(m.Columns, p.exportBuckets(s, i))
		}
	}
	if m.Test, m.Tests = p.exportTests(s, last); slices.ContainsFunc(s.variance, func(v float64) bool { return v > 0 }) {
		if m.TestNote = "asymptotic (Wald)"; p.Model.L2 > 0 {
			m.TestNote = "approximate: the L2 penalty draws coefficients to 0, which the errors don't know"
		}
		if p.Weighting != nil && (p.Weighting.Weight != nil || p.Weighting.Classes != nil) {
			if p.Target == nil {
				m.TestNote += "; a weight counts as so many rows"
			} else {
				m.TestNote += "; weights are taken for precisions"
			}
		}
		if p.Label != nil {
			m.TestNote += "; of coefficients whose sum over the classes is given"
		}
	}
	if summary, ok := s.Metrics(); ok && (!m.Private || p.measures()) {
		m.Metrics = &exportMetrics{
			Noised: m.Private, HeldOut: summary.HeldOut, Positives: summary.Positives,
			AUC: known(summary.AUC), LogLoss: known(summary.LogLoss), Accuracy: known(summary.Accuracy),
			RMSE: known(summary.RMSE), MAE: known(summary.MAE), R2: known(summary.R2),
		}
		for k := range p.blocks() {
			if s.confusion != nil {
				m.Metrics.Confusion = append(m.Metrics.Confusion, s.confusion[k*p.blocks():(k+1)*p.blocks()])
			}
		}
		if !m.Private {
			m.Metrics.Objective, m.Metrics.TrainLoss = &summary.Objective, &summary.TrainLoss
			if p.Target != nil {
				m.Metrics.TrainLoss, m.Metrics.TrainHalf = nil, &summary.TrainLoss
			}
		}
	}
	return m
}

func (p *Program) exportColumn(s *State, c pipeline.Column, i int) exportColumn {
	f := &p.spec.Features()[c.Feature]
	out := exportColumn{Name: c.Name, Feature: f.Name, Folded: s.fitted.Folded[i]}
	out.Test, out.Tests = p.exportTests(s, i)
	if p.Label != nil {
		out.ByClass = p.byClass(s, i)
	} else {
		coefficient := float64(p.labelUnit(s) * s.w[i])
		out.Coefficient = &coefficient
	}
	if k := p.Model.Factors; k > 0 {
		// Two factors are multiplied: each has half of the unit.
		at, half := p.columns()+i*k, math.Sqrt(p.labelUnit(s))
		for _, v := range s.w[at : at+k] {
			out.Factor = append(out.Factor, float64(half*v))
		}
	}
	switch c.Role {
	case pipeline.ValueRole:
		mean, sd := p.spec.Natural(s.fitted, c.Feature)
		out.Role, out.Nullable = "number", f.Nullable
		out.Number = &exportNumber{Min: f.Min, Max: f.Max, Log1p: f.Log1p, Standardize: f.Standardize, Scale: f.Scale, Mean: mean, SD: sd, Clip: f.Clip}
		if f.Scale {
			out.Number.Standardize, out.Number.Clip = false, 1 // mean and sd tell what is mapped to ±1
		}
	case pipeline.MissingRole:
		out.Role = "missing"
	case pipeline.CategoryRole:
		out.Role, out.Value = "value", &f.Values[c.Code]
	case pipeline.OtherRole:
		out.Role, out.Nullable = "other", f.Nullable
	}
	p.exportDerived(s, c, &out)
	return out
}

// byClass is one column's coefficients, or the intercepts.
func (p *Program) byClass(s *State, column int) []float64 {
	out := make([]float64, p.blocks())
	for k := range out {
		out[k] = s.w[k*(p.columns()+1)+column]
	}
	return out
}

// exportTests are the tests of one column's coefficient, or by class, or of the intercept.
func (p *Program) exportTests(s *State, column int) (one *exportTest, byClass []*exportTest) {
	if p.Label == nil {
		return p.exportTestOf(s, column), nil
	}
	known := false
	for k := range p.blocks() {
		t := p.exportTestOf(s, k*(p.columns()+1)+column)
		known, byClass = known || t != nil, append(byClass, t)
	}
	if !known {
		return nil, nil
	}
	return nil, byClass
}

func (p *Program) exportTestOf(s *State, i int) *exportTest {
	t, ok := s.Inference(i)
	if !ok {
		return nil
	}
	t.StandardError = float64(p.labelUnit(s) * t.StandardError)
	if p.Target != nil && i == p.Coefficients()-1 {
		t = wald(p.exportIntercept(s), t.StandardError) // in the state it is a distance from the label's mean
	}
	return &exportTest{t.StandardError, t.Z, t.P}
}

// exportIntercept is that of a document: a number label's has its mean.
func (p *Program) exportIntercept(s *State) float64 {
	out := float64(p.labelUnit(s) * s.w[p.Coefficients()-1])
	if p.Target != nil {
		mean, _ := p.LabelUnits(s.fitted)
		out += mean
	}
	return out
}

// labelUnit is what a coefficient is multiplied by in a document: a number label's deviation, in the contract's unit.
func (p *Program) labelUnit(s *State) float64 {
	if p.Target == nil {
		return 1
	}
	_, sd := p.LabelUnits(s.fitted)
	return sd
}

func known(v metrics.Value) *float64 {
	if !v.Known {
		return nil
	}
	return &v.V
}
