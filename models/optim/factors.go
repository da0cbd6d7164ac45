package optim

import (
	"fmt"
	"math"

	"tributary/models/pipeline"
)

// Matrix factorisation by alternating least squares. The state has each item's factor and nothing of a user. In a round, every
// participant solves for its own users' factors given the items', and sums the normal equations of each item over its users; the
// server solves those. A user's factor and history never leave [HKV08, §4; AFP19].
//
// Implicit feedback: a pair of user u and item i that was seen n times has preference p = 1 and confidence
// c = 1 + α·min(ln(1+n), 8); any other pair p = 0 and c = 1. Explicit feedback: only rated pairs count, c = 1 and p is the rating
// in [-1, 1] less its mean, and both sides have a bias. Both minimise
//
//	Σ c·(p - ⟨x_u, y_i⟩)² + λ·(Σ‖x_u‖² + Σ‖y_i‖²)
//
// where biases are part of x and y, and of the penalty.
//
// [HKV08] Y. Hu, Y. Koren, C. Volinsky: Collaborative Filtering for Implicit Feedback Datasets. ICDM 2008.
// [AFP19] M. Ammad-ud-din et al.: Federated Collaborative Filtering for Privacy-Preserving Personalized Recommendation System. 2019.

// MatrixFactorization recommends items to users.
const MatrixFactorization = "matrix_factorization"

// ALS alternates between users and items.
const ALS = "als"

// Bounds of matrix factorisations.
const (
	MaxItems       = 10_000
	MaxFactored    = 1 << 21 // coefficients
	MaxFactorLanes = 1 << 22 // of the items' normal equations: a payload then has 27 MB
	MaxAlpha       = 1000.0
	MaxTopK        = 1000
	MaxConfidence  = 8.0  // of ln(1+n): 2,980 times
	MaxUserNorm    = 16.0 // L2, of a user's factor and bias: longer ones are shortened
	MaxPairLoss    = 64.0 // of an explicit pair's squared error

	normExponent   = 4 // 2^4 = MaxUserNorm
	targetExponent = 5 // bounds |p - bias of the user| ≤ 2 + MaxUserNorm
	pairExponent   = 6 // 2^6 = MaxPairLoss
)

// Recommendation is what a matrix factorisation needs beside factors and l2; nil in other models.
type Recommendation struct {
	Explicit bool           // the program's second feature is the rating
	Biased   bool           // items have a bias: with ratings, and in BPR
	Alpha    float64        // implicit ALS: the confidence of what was seen; else 0
	Training *LocalTraining // of SGD and BPR; nil for ALS
	TopK     int            // length of a recommendation, for the metrics
	Patience int            // rounds without a better held-out loss until training stops, which then keeps the best; 0: all rounds
	Seed     uint64         // of the items' first factors, and of the order of local training: no secret
}

// FactorTotals are one participant's FIT sums: over pairs of a user and an item in the catalogue, rows of one pair counted once.
type FactorTotals struct {
	Users     int64   // with a training pair
	Rows      int64   // training pairs
	HeldOut   int64   // held-out pairs
	ItemUsers []int64 // training pairs by item
	Rating    float64 // explicit: Σ of the training pairs' ratings, mapped to [0, 1]
}

// FactorSums are one participant's sums for a TRAIN round at the state's item factors. D is FactorLength.
type FactorSums struct {
	Rows        int64     // training pairs
	Loss        float64   // Σ c·(p - ⟨x, y⟩)²; explicit: each pair's at most MaxPairLoss
	Norm        float64   // Σ‖x_u‖²
	HeldOutLoss float64   // see Rounds of package mf; only with a patience
	Gram        []float64 // implicit: Σ_u x·xᵀ, upper triangle row by row, length D(D+1)/2
	Matrix      []float64 // by item: Σ_u x·xᵀ over its users, times c-1 if implicit; upper triangle, length items·D(D+1)/2
	Vector      []float64 // by item: Σ_u c·(p - bias of u)·x, length items·D
}

// Names of segments.
const (
	segUsers     = "users"
	segItemUsers = "item_users"
	segNorm      = "user_norm"
	segUserGram  = "user_gram"
	segMatrix    = "item_matrix"
	segVector    = "item_vector"
)

// factorization is the solver of matrix factorisations.
type factorization struct{ *Program }

// factorMemory is what a factorisation's state has beside the items' factors.
type factorMemory struct {
	users     int64
	itemUsers []int64
	objective float64   // at the factors that the last TRAIN round was summed at
	best      []float64 // with a patience, in TRAIN states only: the factors with the least held-out loss
	bestLoss  float64
	worse     uint32
}

func (f factorization) name() string { return f.Model.Type + "/" + f.Model.Solver }

// Items counts the catalogue.
func (p *Program) Items() int { return len(p.spec.Features()[0].Values) }

// FactorLength is the length of an item's part of the coefficients: its factor and, with ratings or BPR, its bias last.
func (p *Program) FactorLength() int {
	if p.Model.Recommendation.Biased {
		return p.Model.Factors + 1
	}
	return p.Model.Factors
}

func (f factorization) coefficients() int { return f.Items() * f.FactorLength() }

func (f factorization) layout(kind RoundKind, add func(name string, length int, scale uint64)) {
	lane, d, items, explicit := f.lane(), f.FactorLength(), f.Items(), f.Model.Recommendation.Explicit
	add(segRows, 1, 1)
	switch kind {
	case Fit:
		add(segHeldOut, 1, 1)
		add(segUsers, 1, 1)
		add(segItemUsers, items, 1)
		if explicit {
			add(segSumWhole, 1, 1)
			add(segSumPart, 1, lane)
		}
	case Train:
		add(segLoss, 1, lane)
		if f.Model.Solver != BPR {
			add(segNorm, 1, lane)
		}
		if f.Model.Recommendation.Patience > 0 {
			add(segHeldLoss, 1, lane)
		}
		if f.Model.Recommendation.Training != nil {
			add(segChange, f.coefficients(), lane)
			return
		}
		if !explicit {
			add(segUserGram, d*(d+1)/2, lane)
		}
		add(segMatrix, items*d*(d+1)/2, lane)
		add(segVector, items*d, lane)
	case Evaluate:
		f.layoutRanking(add)
	}
}

func (f factorization) maxRounds(kind RoundKind) int { return newton(f).maxRounds(kind) }

func (f factorization) apply(s *State, v map[string][]float64) (*State, Report, error) {
	if s.kind == Fit {
		return f.fit(s, v)
	}
	if rows := s.fitted.Rows; int64(v[segRows][0]) != rows {
		return nil, Report{}, fmt.Errorf("%w: %g pairs, FIT had %d\nhint: a participant's rows changed during the job", ErrSums, v[segRows][0], rows)
	}
	if s.kind == Train {
		return f.step(s, v)
	}
	return f.rank(s, v)
}

// EncodeFactorFit gives a participant's FIT totals as the segments of Layout(Fit).
func (p *Program) EncodeFactorFit(t FactorTotals) [][]float64 {
	whole, part := parts([]float64{t.Rating})
	return p.assemble(Fit, map[string][]float64{
		segRows: one(t.Rows), segHeldOut: one(t.HeldOut), segUsers: one(t.Users), segItemUsers: floats(t.ItemUsers), segSumWhole: whole, segSumPart: part,
	})
}

// fit folds items with few users and starts the others' factors.
func (f factorization) fit(s *State, v map[string][]float64) (*State, Report, error) {
	m := &factorMemory{users: int64(v[segUsers][0]), itemUsers: counts(v[segItemUsers])}
	fitted := &pipeline.Fitted{Rows: int64(v[segRows][0]), HeldOut: int64(v[segHeldOut][0])}
	switch {
	case fitted.Rows == 0:
		return nil, Report{}, fmt.Errorf("%w: the cohort has %d held-out pairs and nothing to train on\nhint: check the bindings' filters, and that the item column has the contract's values", ErrNoRows, fitted.HeldOut)
	case fitted.HeldOut < 0 || !f.Evaluate.HoldOut && fitted.HeldOut != 0:
		return nil, Report{}, fmt.Errorf("%w: %d held-out pairs", ErrSums, fitted.HeldOut)
	}
	if f.Model.Recommendation.Explicit {
		mean := (v[segSumWhole][0] + v[segSumPart][0]) / float64(fitted.Rows)
		if !(mean >= -f.unit() && mean <= 1+f.unit()) {
			return nil, Report{}, fmt.Errorf("%w: the mean rating is %g of its range", ErrSums, mean)
		}
		fitted.Mean, fitted.SD = []float64{min(max(mean, 0), 1)}, []float64{1}
	}
	fitted.Folded = f.folded(m.itemUsers)
	if err := f.checkCounts(fitted, m); err != nil {
		return nil, Report{}, fmt.Errorf("%w: %w", ErrSums, err)
	}
	next := s.advance(Train)
	next.fitted, next.factors = fitted, m
	next.w = f.first(fitted)
	kept := 0
	for i := range m.itemUsers {
		if !fitted.Folded[i] {
			kept++
		}
	}
	least := f.spec.Features()[0].MinCount
	if kept == 0 {
		return nil, Report{}, fmt.Errorf("%w: no item has %d users\nhint: lower min_users, or bring more rows", ErrNoRows, least)
	}
	note := fmt.Sprintf("%d training pairs of %d users, %d held out; %d of %d items have %d users or more", fitted.Rows, m.users, fitted.HeldOut, kept, f.Items(), least)
	return next, Report{Kind: Fit, Step: next.step, Rows: fitted.Rows, Note: note}, nil
}

// folded tells which output columns carry nothing: items with too few users.
func (f factorization) folded(itemUsers []int64) []bool {
	out := make([]bool, f.columns())
	for i, n := range itemUsers {
		out[i] = n < f.spec.Features()[0].MinCount
	}
	return out
}

// checkCounts refuses counts that no pairs give.
func (f factorization) checkCounts(fitted *pipeline.Fitted, m *factorMemory) error {
	sum := int64(0)
	for i, n := range m.itemUsers {
		if n < 0 || n > m.users {
			return fmt.Errorf("item %d has %d of %d users", i, n, m.users)
		}
		sum += n
	}
	if sum != fitted.Rows || m.users < 1 || m.users > fitted.Rows {
		return fmt.Errorf("%d pairs of %d users, the items have %d", fitted.Rows, m.users, sum)
	}
	return nil
}

// first draws the factors that training starts from, evenly from ±1/√k: all at zero, none would ever move. Biases start at zero,
// as do folded items.
func (f factorization) first(fitted *pipeline.Fitted) []float64 {
	k, d := f.Model.Factors, f.FactorLength()
	w := make([]float64, f.coefficients())
	scale, random := 1/math.Sqrt(float64(k)), splitMix(f.Model.Recommendation.Seed)
	for i := range f.Items() {
		for j := range k {
			u := random.next()
			if !fitted.Folded[i] {
				w[i*d+j] = float64(scale * (float64(2*u) - 1))
			}
		}
	}
	return w
}

// splitMix is the generator SplitMix64.
type splitMix uint64

// next gives a double in [0, 1) from the 53 high bits.
func (g *splitMix) next() float64 {
	*g += 0x9e3779b97f4a7c15
	z := uint64(*g)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64(float64((z^z>>31)>>11) * 0x1p-53)
}

// pairExponent is the e of 2^e ≥ c for any pair.
func (p *Program) pairExponent() int {
	if p.Model.Recommendation.Explicit {
		return 0
	}
	frac, e := math.Frexp(1 + float64(MaxConfidence*p.Model.Recommendation.Alpha))
	if frac == 0.5 {
		e--
	}
	return e
}

// lossExponents bound the sums of training and held-out losses: 2^e.
func (p *Program) lossExponents(s *State) (train, held int) {
	r := p.Model.Recommendation
	train, held = rowExponent(s.fitted.Rows)+pairExponent, rowExponent(s.factors.users)
	if r.Explicit {
		held = rowExponent(s.fitted.HeldOut) + pairExponent
	} else if r.Training == nil {
		train = rowExponent(s.fitted.Rows) + p.pairExponent()
	}
	return train, held
}

// scaleFactors multiplies by the normalisation to the power of sign, which is exact: each item's sums by its number of users, and
// the bounds of weights, targets and users' norms.
func (p *Program) scaleFactors(s *State, gram, matrix, vector []float64, sign int) (g, m, v []float64) {
	d := p.FactorLength()
	target := 0
	if p.Model.Recommendation.Explicit {
		target = targetExponent
	}
	g, m, v = make([]float64, len(gram)), make([]float64, len(matrix)), make([]float64, len(vector))
	for i, x := range gram {
		g[i] = pow2(x, sign*(rowExponent(s.factors.users)+2*normExponent))
	}
	triangle := d * (d + 1) / 2
	for item, users := range s.factors.itemUsers {
		e := rowExponent(users) + p.pairExponent()
		for i := item * triangle; i < (item+1)*triangle; i++ {
			m[i] = pow2(matrix[i], sign*(e+2*normExponent))
		}
		for i := item * d; i < (item+1)*d; i++ {
			v[i] = pow2(vector[i], sign*(e+normExponent+target))
		}
	}
	return g, m, v
}

// EncodeFactors gives TRAIN sums as the segments of Layout(Train), normalised to [-1, 1].
func (p *Program) EncodeFactors(s *State, t FactorSums) [][]float64 {
	gram, matrix, vector := p.scaleFactors(s, t.Gram, t.Matrix, t.Vector, -1)
	train, held := p.lossExponents(s)
	return p.assemble(Train, map[string][]float64{
		segRows: one(t.Rows), segLoss: {pow2(t.Loss, -train)}, segNorm: {pow2(t.Norm, -rowExponent(s.factors.users)-2*normExponent)},
		segHeldLoss: {pow2(t.HeldOutLoss, -held)}, segUserGram: gram, segMatrix: matrix, segVector: vector,
	})
}
