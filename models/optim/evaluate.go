package optim

import (
	"fmt"

	"tributary/models/metrics"
)

// EvaluateSums are one participant's sums for the trained model.
type EvaluateSums struct {
	Rows int64   // training rows
	Loss float64 // Σ min(log loss, 64) over them, nats

	HeldOut, Positives         int64
	Correct                    int64   // held-out rows right at probability 0.5
	HeldOutLoss                float64 // Σ min(log loss, 64), nats
	PositiveBins, NegativeBins []int64 // held-out rows by metrics.Bin, length metrics.Bins

	Target TargetSums // of a label that is a number, in place of all but HeldOut

	// With several classes, in place of Positives, Correct and bins: held-out rows by class, then by the class of the largest
	// probability (the first of equal ones).
	Confusion []int64
	// Of programs with StandardErrors, over the training rows: as TrainSums.Hessian, and with several classes such a triangle of
	// Σ p_k(δ-p_l)·x·xᵀ for each pair of classes k ≤ l.
	Hessian []float64
	// Held-out rows of each group that is shown, by GroupBins bins, and zeros of the others; of programs with groups.
	GroupPositiveBins, GroupNegativeBins []int64
}

// layoutHeldOut adds only what the job's metrics need: no other sum is opened.
func (p *Program) layoutHeldOut(add func(name string, length int, scale uint64)) {
	if !p.Evaluate.HoldOut {
		return
	}
	add(segHeldOut, 1, 1)
	if p.Target != nil {
		p.layoutHeldOutTarget(add)
		return
	}
	if p.Label == nil {
		add(segHeldPos, 1, 1)
	}
	add(segGroupPos, p.groupCount()*GroupBins, 1)
	add(segGroupNeg, p.groupCount()*GroupBins, 1)
	if p.confuses() {
		add(segConfusion, p.blocks()*p.blocks(), 1)
	} else if p.Evaluate.Correct {
		add(segHeldCorrect, 1, 1)
	}
	if p.Evaluate.LogLoss {
		add(segHeldLoss, 1, p.lane())
	}
	if p.Evaluate.AUC {
		add(segBinsPos, metrics.Bins, 1)
		add(segBinsNeg, metrics.Bins, 1)
	}
}

// EncodeEvaluate gives EVALUATE sums as the segments of Layout(Evaluate). The state must have a fitted pipeline.
func (p *Program) EncodeEvaluate(s *State, t EvaluateSums) [][]float64 {
	whole, lane := p.encodeTrainLoss(t.Loss, s.fitted.Rows)
	if p.Target != nil {
		values := map[string][]float64{segRows: one(t.Rows), segLossWhole: whole, segLoss: lane, segHeldOut: one(t.HeldOut), segHessian: p.scaleHessian(s, t.Hessian, -1)}
		p.encodeTarget(values, t.Target)
		return p.assemble(Evaluate, values)
	}
	return p.assemble(Evaluate, map[string][]float64{
		segRows: one(t.Rows), segLoss: lane,
		segHeldOut: one(t.HeldOut), segHeldPos: one(t.Positives), segHeldCorrect: one(t.Correct),
		segHeldLoss: encodeLoss(t.HeldOutLoss, s.fitted.HeldOut), segConfusion: floats(t.Confusion),
		segBinsPos: floats(t.PositiveBins), segBinsNeg: floats(t.NegativeBins),
		segGroupPos: floats(t.GroupPositiveBins), segGroupNeg: floats(t.GroupNegativeBins), segHessian: p.scaleHessian(s, t.Hessian, -1),
	})
}

func (p *Program) applyEvaluate(s *State, v map[string][]float64) (*State, Report, error) {
	loss, err := p.trainLoss(s, v)
	if err != nil {
		return nil, Report{}, err
	}
	rows := s.fitted.Rows
	summary := metrics.Summary{Rows: rows, TrainLoss: loss / float64(rows), Objective: p.objective(loss, s.w)}
	scores, err := p.heldOut(s, v, &summary)
	if err != nil {
		return nil, Report{}, err
	}
	var bins []metrics.LabelBin
	if p.Target != nil && p.Evaluate.HoldOut {
		if bins, err = p.heldOutTarget(s, v, &summary); err != nil {
			return nil, Report{}, err
		}
	}
	groups, err := p.applyGroups(s, v, &summary)
	if err != nil {
		return nil, Report{}, err
	}
	next := *s
	next.kind, next.step, next.summary = Done, s.step+1, summary
	if p.confuses() {
		next.confusion = counts(v[segConfusion])
	}
	report := Report{
		Kind: Evaluate, Step: next.step, Rows: rows, Objective: summary.Objective, LossPerRow: summary.TrainLoss,
		Decrement: s.decrement, Converged: s.converged, Metrics: &summary, Scores: scores, Groups: groups, LabelBins: bins,
	}
	if p.Evaluate.HoldOut && summary.HeldOut == 0 {
		report.Note = "no held-out rows: no metrics"
	}
	return &next, report, nil
}

// heldOut fills in what the job measures, and gives the score histogram if it opens one.
func (p *Program) heldOut(s *State, v map[string][]float64, out *metrics.Summary) (*metrics.Histogram, error) {
	if !p.Evaluate.HoldOut {
		return nil, nil
	}
	out.HeldOut = int64(v[segHeldOut][0])
	if p.Label == nil && p.Target == nil {
		out.Positives = int64(v[segHeldPos][0])
	}
	if out.HeldOut != s.fitted.HeldOut || out.Positives < 0 || out.Positives > out.HeldOut {
		return nil, fmt.Errorf("%w: %d held-out rows with %d positives, FIT had %d\nhint: a participant's rows changed during the job", ErrSums, out.HeldOut, out.Positives, s.fitted.HeldOut)
	}
	switch {
	case p.confuses():
		confusion := counts(v[segConfusion])
		if err := p.checkConfusion(confusion, out.HeldOut); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSums, err)
		}
		right := int64(0)
		for k := range p.blocks() {
			right += confusion[k*p.blocks()+k]
		}
		out.Accuracy = metrics.Mean(float64(right), out.HeldOut)
	case p.Evaluate.Correct:
		correct := v[segHeldCorrect][0]
		if correct < 0 || correct > float64(out.HeldOut) {
			return nil, fmt.Errorf("%w: %g of %d held-out rows are right", ErrSums, correct, out.HeldOut)
		}
		out.Accuracy = metrics.Mean(correct, out.HeldOut)
	}
	if p.Evaluate.LogLoss {
		loss := decodeLoss(v[segHeldLoss], out.HeldOut)
		if err := p.checkLoss(loss, out.HeldOut); err != nil {
			return nil, err
		}
		out.LogLoss = metrics.Mean(loss, out.HeldOut)
	}
	if !p.Evaluate.AUC {
		return nil, nil
	}
	positive, negative := counts(v[segBinsPos]), counts(v[segBinsNeg])
	if total(positive) != out.Positives || total(negative) != out.HeldOut-out.Positives {
		return nil, fmt.Errorf("%w: the bins don't add up to the held-out rows", ErrSums)
	}
	auc, err := metrics.AUC(positive, negative)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSums, err)
	}
	out.AUC = auc
	return &metrics.Histogram{Positive: floats(positive), Negative: floats(negative)}, nil
}

func total(values []int64) int64 {
	sum := int64(0)
	for _, v := range values {
		sum += v
	}
	return sum
}
