package local

import (
	"errors"
	"fmt"
	"math"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/metrics"
	"tributary/models/mf"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

// Evaluation is a finished model's quality on one participant's own held-out rows. Its numbers are exact, of few rows, and without
// noise in private jobs, too: they are for that participant's eyes and must never be sent.
type Evaluation struct {
	Summary metrics.Summary // Rows and HeldOut are this participant's; of a model with a label without TrainLoss and Objective

	Scores    *metrics.Histogram `json:",omitempty"` // of a label with two values: held-out rows by metrics.Bins
	Classes   []string           `json:",omitempty"` // of a label with several
	Confusion [][]int64          `json:",omitempty"` // then: held-out rows by class, then by the class of the largest probability

	Groups   []optim.GroupScores `json:",omitempty"` // of a job that evaluates by groups; those below MinGroup rows have no Scores
	MinGroup int64               `json:",omitempty"`
}

// Evaluate measures a model whose training is over on a table's held-out rows, whatever metrics the job asks for. Without any its
// metrics are unknown.
func Evaluate(p *optim.Program, s *optim.State, t *dataset.Table) (*Evaluation, error) {
	if s.Kind() != optim.Done && s.Kind() != optim.Evaluate {
		return nil, fmt.Errorf("%w: its training isn't over", linear.ErrState)
	}
	if p.Model.Recommendation != nil {
		summary, err := mf.Measure(p, s, t)
		return &Evaluation{Summary: summary}, err
	}
	held, err := heldOut(t)
	if err != nil {
		return nil, err
	}
	out := &Evaluation{Summary: metrics.Summary{Rows: int64(t.Rows - held.Rows), HeldOut: int64(held.Rows)}}
	if p.Label != nil {
		return out, out.classes(p, s, held)
	}
	if p.Target != nil {
		return out, out.numbers(p, s, held)
	}
	return out, out.labels(p, s, held)
}

// numbers measures a label that is a number, in the contract's unit.
func (e *Evaluation) numbers(p *optim.Program, s *optim.State, held *dataset.Table) error {
	predicted, err := Score(p, s, held)
	if err != nil || held.Rows == 0 {
		return err
	}
	n, mean := float64(held.Rows), 0.0
	for _, y := range held.Target {
		mean += y / n
	}
	square, absolute, around := 0.0, 0.0, 0.0
	for i, y := range held.Target {
		off := predicted[i] - y
		square, absolute, around = square+off*off, absolute+math.Abs(off), around+(y-mean)*(y-mean)
	}
	e.Summary.RMSE, e.Summary.MAE = metrics.Value{Known: true, V: math.Sqrt(square / n)}, metrics.Mean(absolute, e.Summary.HeldOut)
	if width := p.Target.Max - p.Target.Min; around > 0x1p-30*n*width*width { // less is rounding
		e.Summary.R2 = metrics.Value{Known: true, V: 1 - square/around}
	}
	return nil
}

// labels measures a label with two values.
func (e *Evaluation) labels(p *optim.Program, s *optim.State, held *dataset.Table) error {
	scores, err := Score(p, s, held)
	if err != nil {
		return err
	}
	h := metrics.Histogram{Positive: make([]float64, metrics.Bins), Negative: make([]float64, metrics.Bins)}
	loss, right := 0.0, 0
	for i, q := range scores {
		bins, own := h.Negative, 1-q
		if held.Label[i] {
			bins, own = h.Positive, q
			e.Summary.Positives++
		}
		bins[metrics.Bin(q)]++
		loss += logLoss(own)
		if (q >= 0.5) == held.Label[i] {
			right++
		}
	}
	e.Scores = &h
	e.Summary.AUC, _ = h.AUC(0)
	e.Summary.LogLoss, e.Summary.Accuracy = metrics.Mean(loss, e.Summary.HeldOut), metrics.Mean(float64(right), e.Summary.HeldOut)
	return e.groups(p, held, scores)
}

// groups sorts the scores by the job's groups.
func (e *Evaluation) groups(p *optim.Program, held *dataset.Table, scores []float64) error {
	spec := p.Groups()
	if spec == nil {
		return nil
	}
	columns, err := fit.Bind(spec, held)
	if err != nil {
		return err
	}
	e.MinGroup = p.MinGroup
	for _, c := range spec.Columns() {
		e.Groups = append(e.Groups, optim.GroupScores{Name: c.Name, Column: spec.Features()[c.Feature].Name,
			Scores: &metrics.Histogram{Positive: make([]float64, optim.GroupBins), Negative: make([]float64, optim.GroupBins)}})
	}
	for feature, c := range columns {
		of := spec.CategoryColumns(nil, feature)
		for i, q := range scores {
			g := &e.Groups[of[c.Codes[i]+1]]
			g.Rows++
			bins := g.Scores.Negative
			if held.Label[i] {
				bins = g.Scores.Positive
			}
			bins[metrics.BinOf(q, optim.GroupBins)]++
		}
	}
	for i := range e.Groups {
		if e.Groups[i].Rows < p.MinGroup {
			e.Groups[i].Scores = nil
		}
	}
	return nil
}

// classes measures a label with several values.
func (e *Evaluation) classes(p *optim.Program, s *optim.State, held *dataset.Table) error {
	scores, err := linear.ClassScores(p, s, held)
	if err != nil {
		return err
	}
	e.Classes = p.Label.Classes
	e.Confusion = make([][]int64, len(e.Classes))
	for k := range e.Confusion {
		e.Confusion[k] = make([]int64, len(e.Classes))
	}
	loss, right := 0.0, 0
	for i, by := range scores {
		own, predicted := int(held.Class[i]), 0
		for k, q := range by {
			if q > by[predicted] {
				predicted = k
			}
		}
		e.Confusion[own][predicted]++
		loss += logLoss(by[own])
		if own == predicted {
			right++
		}
	}
	e.Summary.LogLoss, e.Summary.Accuracy = metrics.Mean(loss, e.Summary.HeldOut), metrics.Mean(float64(right), e.Summary.HeldOut)
	return nil
}

// logLoss is that of a row whose own label has probability p, in nats, saturated as in the sums.
func logLoss(p float64) float64 { return min(max(-math.Log(p), 0), metrics.MaxLoss) }

// heldOut are a table's held-out rows, without their users, in its memory.
func heldOut(t *dataset.Table) (*dataset.Table, error) {
	var kept []int
	for from, held := range dataset.Runs(t.Memory, t.HeldOut) {
		for i, h := range held {
			if h {
				kept = append(kept, from+i)
			}
		}
	}
	out := &dataset.Table{Rows: len(kept), Classes: t.Classes, Memory: t.Memory}
	err := errors.Join(pick(t.Memory, &out.Label, t.Label, kept), pick(t.Memory, &out.Class, t.Class, kept), pick(t.Memory, &out.Target, t.Target, kept))
	for _, c := range t.Columns {
		own := dataset.Column{Name: c.Name, Values: c.Values, Buckets: c.Buckets}
		err = errors.Join(err, pick(t.Memory, &own.Numbers, c.Numbers, kept), pick(t.Memory, &own.Codes, c.Codes, kept))
		out.Columns = append(out.Columns, own)
	}
	return out, err
}

// pick takes some of a list's values, in ascending order; nil of nil.
func pick[T dataset.Value](m dataset.Memory, to *[]T, values []T, at []int) (err error) {
	if values == nil {
		return nil
	}
	out, next := dataset.Build[T](m, len(at)), 0
	for from, run := range dataset.Runs(m, values) {
		for ; next < len(at) && at[next] < from+len(run); next++ {
			out.Append(run[at[next]-from])
		}
	}
	*to, err = out.Freeze()
	return err
}
