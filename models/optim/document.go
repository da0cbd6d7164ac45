package optim

import (
	"encoding/json"
	"strconv"

	"tributary/models/pipeline"
)

// The keys of a document, in their order. A pointer is nil where the job's kind doesn't have the key.

type documentNumber struct {
	Name             string   `json:"name"`
	Kind             string   `json:"kind"`
	Min              float64  `json:"min"`
	Max              float64  `json:"max"`
	Nullable         bool     `json:"nullable"`
	Log1p            bool     `json:"log1p"`
	Standardize      *bool    `json:"standardize,omitempty"`
	Clip             *float64 `json:"clip,omitempty"`
	Scale            bool     `json:"scale,omitempty"`
	MissingIndicator bool     `json:"missing_indicator"`

	Quantiles []float64     `json:"clip_quantiles,omitempty"`
	Date      *documentDate `json:"date,omitempty"`
}

type documentCategory struct {
	Name             string   `json:"name"`
	Kind             string   `json:"kind"`
	Values           []string `json:"values"`
	Nullable         bool     `json:"nullable"`
	MissingIndicator bool     `json:"missing_indicator"`
	MinCount         *int64   `json:"min_count,omitempty"`
}

type documentModel struct {
	Type           string             `json:"type"`
	L1             float64            `json:"l1,omitempty"`
	L2             float64            `json:"l2"`
	Solver         string             `json:"solver"`
	MaxRounds      int                `json:"max_rounds"`
	Tolerance      *float64           `json:"tolerance,omitempty"`
	Patience       int                `json:"patience,omitempty"`
	StandardErrors bool               `json:"standard_errors,omitempty"`
	Factors        int                `json:"factors,omitempty"`
	Averaging      *documentAveraging `json:"averaging,omitempty"`
	Sampling       *documentSampling  `json:"sampling,omitempty"`

	Recommendation *documentRecommendation `json:"recommendation,omitempty"`
}

type documentAveraging struct {
	Epochs       int     `json:"epochs"`
	Batch        int     `json:"batch"`
	Optimizer    string  `json:"optimizer"`
	LearningRate float64 `json:"learning_rate"`
	Proximal     float64 `json:"proximal,omitempty"`
	ServerRate   float64 `json:"server_rate"`
	Patience     int     `json:"patience"`
	Seed         string  `json:"seed"`
}

type documentSampling struct {
	RateNum      uint64  `json:"rate_num"`
	RateDen      uint64  `json:"rate_den"`
	LearningRate float64 `json:"learning_rate"`
	Momentum     float64 `json:"momentum"`
	Seed         string  `json:"seed,omitempty"` // of a factorization machine
}

type documentPrivacy struct {
	Unit           string `json:"unit"`
	Clip           uint64 `json:"clip"`
	Scale          uint64 `json:"scale"`
	Sigma2Sketch   string `json:"sigma2_sketch,omitempty"`
	Sigma2Fit      string `json:"sigma2_fit"`
	Sigma2Train    string `json:"sigma2_train"`
	Sigma2Evaluate string `json:"sigma2_evaluate"`
	Bins           int    `json:"bins"`
}

type documentEvaluate struct {
	HoldOut  bool            `json:"holdout"`
	Metrics  []string        `json:"metrics"`
	Groups   []documentGroup `json:"groups,omitempty"`
	MinCount int64           `json:"min_count,omitempty"`
}

type documentStart struct {
	Model        string    `json:"model"`
	Coefficients []float64 `json:"coefficients"`
}

type documentLabel struct {
	Classes []string `json:"classes,omitempty"`
	MinRows int64    `json:"min_rows,omitempty"`
	Min     *float64 `json:"min,omitempty"` // of a number, as max
	Max     *float64 `json:"max,omitempty"`
}

type document struct {
	Version      int                `json:"version"`
	Contributors int                `json:"contributors"`
	Bits         int                `json:"bits"`
	MaxRows      int64              `json:"max_rows"`
	Features     []any              `json:"features"`
	Model        documentModel      `json:"model"`
	Private      *documentPrivacy   `json:"private,omitempty"`
	Evaluate     documentEvaluate   `json:"evaluate"`
	Label        *documentLabel     `json:"label,omitempty"`
	Weighting    *documentWeighting `json:"weighting,omitempty"`
	Start        *documentStart     `json:"start,omitempty"`
}

// Document is the program as canonical JSON: ParseProgram of it gives an equal program.
func (p *Program) Document() ([]byte, error) {
	out := document{
		Version: 1, Contributors: p.Contributors, Bits: p.Bits, MaxRows: p.MaxRows,
		Model:    documentModel{Type: p.Model.Type, L1: p.Model.L1, L2: p.Model.L2, Solver: p.Model.Solver, MaxRounds: p.Model.MaxRounds, Patience: p.Model.Patience, Factors: p.Model.Factors},
		Evaluate: documentEvaluate{HoldOut: p.Evaluate.HoldOut, Metrics: []string{}},
	}
	for _, f := range p.spec.Features() {
		if d := p.documentDerived(&f); d != nil {
			out.Features = append(out.Features, d)
			continue
		}
		if f.Kind == pipeline.Number {
			n := documentNumber{f.Name, "number", f.Min, f.Max, f.Nullable, f.Log1p, &f.Standardize, &f.Clip, f.Scale, f.MissingIndicator, documentQuantiles(&f), documentDateOf(&f)}
			if p.Private() && !f.Standardize {
				n.Standardize, n.Clip = nil, nil
			}
			out.Features = append(out.Features, n)
			continue
		}
		if f.HashBuckets > 0 {
			out.Features = append(out.Features, p.documentBuckets(&f))
			continue
		}
		c := documentCategory{f.Name, "category", f.Values, f.Nullable, f.MissingIndicator, &f.MinCount}
		if p.Private() {
			c.MinCount = nil
		}
		out.Features = append(out.Features, c)
	}
	if q := p.privacy; q != nil {
		decimal := func(v uint64) string { return strconv.FormatUint(v, 10) }
		out.Private = &documentPrivacy{string(q.Unit), q.Clip, q.Scale, "", decimal(q.Sigma2Fit), decimal(q.Sigma2Train), decimal(q.Sigma2Evaluate), q.Bins}
		if p.sketched() {
			out.Private.Sigma2Sketch = decimal(q.Sigma2Sketch)
		}
	}
	switch {
	case p.Target != nil:
		out.Label = &documentLabel{Min: &p.Target.Min, Max: &p.Target.Max}
	case p.Label != nil:
		out.Label = &documentLabel{Classes: p.Label.Classes, MinRows: p.Label.MinRows}
	}
	out.Weighting = p.Weighting.document()
	if p.Start != nil {
		out.Start = &documentStart{p.Start.Model, p.Start.Coefficients}
	}
	out.Evaluate.Groups, out.Evaluate.MinCount = p.documentGroups()
	p.solver.describe(&out)
	for _, m := range p.Evaluate.metrics() {
		if *m.on {
			out.Evaluate.Metrics = append(out.Evaluate.Metrics, m.name)
		}
	}
	return json.Marshal(out)
}
