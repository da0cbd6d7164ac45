package optim

import (
	"fmt"
	"math"
	"strconv"

	"tributary/models/metrics"
)

// Federated averaging. A TRAIN round sums what each participant's own training changed: it starts at the state's coefficients,
// passes over its rows a few times, and gives the difference, weighted by its share of the training rows. The server moves the
// coefficients by that mean: as it is times a rate [MMR17], or by Adam with the mean as a gradient [RCZ21]; with an L1 penalty it averages duals, see dual.go. With a proximal term,
// local training is drawn back to where it started [LSZ20].
//
// [MMR17] H. B. McMahan et al.: Communication-Efficient Learning of Deep Networks from Decentralized Data. AISTATS 2017.
// [LSZ20] T. Li et al.: Federated Optimization in Heterogeneous Networks. MLSys 2020.
// [RCZ21] S. Reddi et al.: Adaptive Federated Optimization. ICLR 2021.

// Solvers that average.
const (
	FedAvg  = "fedavg"
	FedProx = "fedprox"
	FedAdam = "fedadam"
)

// Local optimizers of the solvers that average.
const (
	SGD     = "sgd"     // mini-batches, one rate
	Adagrad = "adagrad" // row by row, a rate a coefficient [DHS11]
	FTRL    = "ftrl"    // follow the regularised leader, row by row [MHS13]
)

// [DHS11] J. Duchi, E. Hazan, Y. Singer: Adaptive Subgradient Methods. JMLR 12, 2011.
// [MHS13] H. B. McMahan et al.: Ad Click Prediction: a View from the Trenches. KDD 2013.

// Bounds of averaging programs.
const (
	MaxEpochs            = 100
	MaxBatch             = 1 << 20
	MaxFactors           = 256
	MaxAveraged          = 1<<24 + 1<<22 // coefficients; a document holds fewer, see MaxExport
	maxChange            = 4.0           // of a coefficient in a round; larger ones are clipped
	adamMean, adamSquare = 0.9, 0.99
	adamFloor            = 1e-3
)

// Averaging says how participants train between two rounds, and what the server makes of it. It is nil in programs whose
// solver sums derivatives.
type Averaging struct {
	Epochs       int     // passes over the training rows in a round
	Batch        int     // rows of one SGD step; 1 for adagrad and ftrl
	Optimizer    string  // SGD, Adagrad or FTRL
	LearningRate float64 // of the first round; that of round t is LearningRate/√t
	Proximal     float64 // μ of (μ/2)·‖w-w₀‖² a row, w₀ being the round's start; 0 unless FedProx
	ServerRate   float64 // of the mean change
	Patience     int     // rounds without a better held-out loss until training stops, which then keeps the best; 0: all rounds
	Seed         uint64  // of the order of rows and of a factorisation's start: no secret
}

// AverageSums are one participant's part of an averaging TRAIN round.
type AverageSums struct {
	Rows        int64     // training rows
	Loss        float64   // Σ min(log loss, 64) over them at the state's coefficients, nats; of numbers Σ ½·(margin-t)²
	HeldOutLoss float64   // the same of held-out rows; only with a patience
	Change      []float64 // of each coefficient, or dual, length Coefficients
}

const segChange = "change"

// averaging is the solver of programs with Averaging.
type averaging struct{ *Program }

func (a averaging) name() string { return a.Model.Type + "/" + a.Model.Solver }

func (a averaging) coefficients() int {
	return a.columns()*(1+a.Model.Factors) + 1
}

func (a averaging) layout(kind RoundKind, add func(name string, length int, scale uint64)) {
	if kind != Train {
		newton(a).layout(kind, add)
		return
	}
	add(segRows, 1, 1)
	a.layoutLoss(add, segLossWhole, segLoss)
	if a.Model.Averaging.Patience > 0 {
		a.layoutLoss(add, segHeldLossWhole, segHeldLoss)
	}
	add(segChange, a.coefficients(), a.lane())
}

func (a averaging) maxRounds(kind RoundKind) int { return newton(a).maxRounds(kind) }

// EncodeAverage gives a participant's part of an averaging TRAIN round as the segments of Layout(Train). Changes are clipped to
// ±4 and weighted by the participant's share of the cohort's training rows, so that the opened sum is their mean.
func (p *Program) EncodeAverage(s *State, t AverageSums) [][]float64 {
	share := float64(t.Rows) / float64(s.fitted.Rows)
	change := make([]float64, len(t.Change))
	for i, c := range t.Change {
		change[i] = float64(share * (min(max(c, -maxChange), maxChange) / maxChange))
	}
	whole, lane := p.lossLanes(t.Loss, s.fitted.Rows)
	heldWhole, held := p.lossLanes(t.HeldOutLoss, s.fitted.HeldOut)
	return p.assemble(Train, map[string][]float64{
		segRows: one(t.Rows), segLossWhole: whole, segLoss: lane, segHeldLossWhole: heldWhole, segHeldLoss: held, segChange: change,
	})
}

func (a averaging) apply(s *State, v map[string][]float64) (*State, Report, error) {
	switch s.kind {
	case Fit:
		next, report, err := a.applyFit(s, v)
		if err == nil {
			err = a.checkDocument(next.fitted)
		}
		if err != nil {
			return nil, Report{}, err
		}
		a.start(next)
		return next, report, nil
	case Train:
		return a.step(s, v)
	default:
		return a.applyEvaluate(s, v)
	}
}

// factorStart bounds the factors that training starts from: all at zero, none would ever move.
const factorStart = 0.1

// start draws the factors of columns that carry anything, evenly from ±factorStart/√k.
func (a averaging) start(s *State) {
	k, columns := a.Model.Factors, a.columns()
	if k == 0 {
		return
	}
	scale := factorStart / math.Sqrt(float64(k))
	random := splitMix(a.Model.Averaging.Seed)
	for i := range columns * k {
		u := random.next()
		if !s.fitted.Folded[i/k] {
			s.w[columns+i] = float64(scale * (float64(2*u) - 1))
		}
	}
}

func (a averaging) step(s *State, v map[string][]float64) (*State, Report, error) {
	options := a.Model.Averaging
	rows := s.fitted.Rows
	if int64(v[segRows][0]) != rows {
		return nil, Report{}, fmt.Errorf("%w: %g rows, FIT had %d\nhint: a participant's rows changed during the job", ErrSums, v[segRows][0], rows)
	}
	loss, err := a.readLoss(v, segLossWhole, segLoss, rows)
	if err != nil {
		return nil, Report{}, err
	}
	next := s.advance(Train)
	next.rounds = s.rounds + 1
	next.w = make([]float64, len(s.w))
	next.average = &averageMemory{objective: a.objective(loss, s.w)}
	report := Report{Kind: Train, Step: next.step, Rows: rows, Objective: next.average.objective, LossPerRow: loss / float64(rows)}
	stop, note, err := a.watch(s, next, v)
	if err != nil {
		return nil, Report{}, err
	}
	report.Note = note

	square, time := 0.0, 0.0
	switch m := next.average; {
	case a.Dual():
		time, m.dual = a.DualTime(int(next.rounds)), make([]float64, 0, len(s.w))
	case a.Model.Solver == FedAdam:
		m.mean, m.square = make([]float64, 0, len(s.w)), make([]float64, 0, len(s.w))
	}
	for i, lane := range v[segChange] {
		// The mean of clipped changes, but for the quantisation.
		if !(math.Abs(lane) <= 1+a.unit()) {
			return nil, Report{}, fmt.Errorf("%w: coefficient %d changes by %g, at most %g is sent\nhint: a participant doesn't clip", ErrSums, i, float64(maxChange*lane), maxChange)
		}
		change := float64(maxChange * lane)
		if a.still(s, i) {
			change = 0 // but for the quantisation
		}
		square += float64(change * change)
		if a.Dual() {
			next.w[i] = a.moveDual(s, next, i, change, time)
		} else {
			next.w[i] = s.w[i] + a.move(s, next, i, change)
		}
		if !(math.Abs(next.w[i]) <= maxCoefficient) {
			return nil, Report{}, fmt.Errorf("%w: coefficient %d is %g after step %d\nhint: lower learning_rate", ErrDiverged, i, next.w[i], next.step)
		}
	}
	report.Decrement = math.Sqrt(square)
	if last := s.average; last != nil && options.Patience == 0 {
		difference := math.Abs(last.objective - next.average.objective)
		next.converged = difference <= float64(a.Model.Tolerance*next.average.objective)
	}
	report.Converged = next.converged
	if next.converged || stop || int(next.rounds) >= a.Model.MaxRounds {
		next.kind = Evaluate
		if b := next.average.best; b != nil {
			next.w = b
		}
		// Nothing needs the rest any more.
		next.average = &averageMemory{objective: next.average.objective}
		if !next.converged && report.Note == "" {
			report.Note = fmt.Sprintf("not converged after %d rounds", next.rounds)
		}
	}
	return next, report, nil
}

// move gives the server's step of a coefficient, and keeps what the next one needs.
func (a averaging) move(s, next *State, i int, change float64) float64 {
	rate := a.Model.Averaging.ServerRate
	if a.Model.Solver != FedAdam {
		return float64(rate * change)
	}
	m, v := 0.0, 0.0
	if s.average != nil {
		m, v = s.average.mean[i], s.average.square[i]
	}
	m = float64(adamMean*m) + float64((1-adamMean)*change)
	v = float64(adamSquare*v) + float64((1-adamSquare)*float64(change*change))
	next.average.mean = append(next.average.mean, m)
	next.average.square = append(next.average.square, v)
	return float64(rate * m / (math.Sqrt(v) + adamFloor))
}

// watch follows the held-out loss at the coefficients that the round was summed at. The state keeps the best.
func (a averaging) watch(s, next *State, v map[string][]float64) (stop bool, note string, err error) {
	patience := a.Model.Averaging.Patience
	if patience == 0 {
		return false, "", nil
	}
	held := s.fitted.HeldOut
	loss, err := a.readLoss(v, segHeldLossWhole, segHeldLoss, held)
	if err != nil {
		return false, "", err
	}
	m := next.average
	m.best, m.bestLoss = s.w, loss
	if last := s.average; last != nil && last.bestLoss <= loss {
		m.best, m.bestLoss, m.worse = last.best, last.bestLoss, last.worse+1
	}
	kind := "log loss"
	if a.Target != nil {
		kind = "loss"
	}
	note = fmt.Sprintf("held-out %s %.5f", kind, metrics.Mean(loss, held).V)
	if m.worse < uint32(patience) {
		return false, note, nil
	}
	return true, note + fmt.Sprintf(": no better for %d rounds, the best is kept", patience), nil
}

func (a averaging) describe(out *document) {
	out.Model.Tolerance = &a.Model.Tolerance
	o := a.Model.Averaging
	out.Model.Averaging = &documentAveraging{o.Epochs, o.Batch, o.Optimizer, o.LearningRate, o.Proximal, o.ServerRate, o.Patience,
		strconv.FormatUint(o.Seed, 10)}
}

func (a averaging) export(s *State) any { return a.exportModel(s) }
