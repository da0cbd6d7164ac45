package mf

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// ErrCold is returned for item features from which factors can't be predicted.
var ErrCold = errors.New("unusable item features")

// ItemFeatures describe one item by numbers, of which every item has the same.
type ItemFeatures struct {
	Name     string
	Features []float64
}

// coldItem is an item that isn't learnt, with a factor predicted from its features.
type coldItem struct {
	name   string
	item   int32 // in the catalogue, or -1
	factor []float64
}

// coldRidge is the penalty on coefficients of standardised features; a factor's square is near 1.
const coldRidge = 1.0

// UseFeatures lets items be recommended that have too few users to be learnt, or aren't in the catalogue at all: their factors are
// predicted from features by a ridge regression over the learnt items, here and of nothing that leaves. Errors wrap ErrCold.
func (r *Recommender) UseFeatures(all []ItemFeatures) error {
	index := map[string]int{}
	for i, v := range r.y.program.Pipeline().Features()[0].Values {
		index[v] = i
	}
	var learnt []int
	var rows [][]float64
	r.cold = nil
	seen := map[string]bool{}
	var cold []ItemFeatures
	for _, f := range all {
		switch {
		case seen[f.Name]:
			return fmt.Errorf("%w: item %q is there twice\nhint: describe each item in one row", ErrCold, f.Name)
		case len(f.Features) != len(all[0].Features):
			return fmt.Errorf("%w: item %q has %d features where the first has %d", ErrCold, f.Name, len(f.Features), len(all[0].Features))
		}
		seen[f.Name] = true
		for _, v := range f.Features {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("%w: item %q has a feature %g\nhint: leave the cell empty where it isn't known", ErrCold, f.Name, v)
			}
		}
		if i, ok := index[f.Name]; ok && !r.y.folded[i] {
			learnt, rows = append(learnt, i), append(rows, f.Features)
		} else {
			cold = append(cold, f)
		}
	}
	if len(learnt) == 0 || len(all[0].Features) == 0 {
		return fmt.Errorf("%w: %d learnt items are described\nhint: the file needs the learnt items too, as it is from them that features are understood", ErrCold, len(learnt))
	}
	scale := standardise(rows)
	weights, err := r.regress(learnt, rows)
	if err != nil {
		return err
	}
	for _, f := range cold {
		at := int32(-1)
		if i, ok := index[f.Name]; ok {
			at = int32(i)
		}
		r.cold = append(r.cold, coldItem{f.Name, at, predict(weights, scale(f.Features), r.y.d)})
	}
	return nil
}

// standardise scales rows to mean 0 and deviation 1 in place, and gives what does so with another row. A constant feature is 0.
func standardise(rows [][]float64) func([]float64) []float64 {
	k := len(rows[0])
	mean, deviation := make([]float64, k), make([]float64, k)
	for _, row := range rows {
		for i, v := range row {
			mean[i] += v / float64(len(rows))
		}
	}
	for _, row := range rows {
		for i, v := range row {
			deviation[i] += (v - mean[i]) * (v - mean[i]) / float64(len(rows))
		}
	}
	scale := func(row []float64) []float64 {
		out := make([]float64, k)
		for i, v := range row {
			if d := math.Sqrt(deviation[i]); d > 1e-12*math.Abs(mean[i]) && d > 0 {
				out[i] = (v - mean[i]) / d
			}
		}
		return out
	}
	for n, row := range rows {
		rows[n] = scale(row)
	}
	return scale
}

// regress gives the coefficients of each part of a factor, the intercept last, on standardised features.
func (r *Recommender) regress(learnt []int, rows [][]float64) (*mat.Dense, error) {
	k := len(rows[0]) + 1
	a, b := mat.NewSymDense(k, nil), mat.NewDense(k, r.y.d, nil)
	for i := range k - 1 {
		a.SetSym(i, i, coldRidge)
	}
	for n, item := range learnt {
		row := append(slices.Clone(rows[n]), 1)
		a.SymRankOne(a, 1, mat.NewVecDense(k, row))
		for i, v := range row {
			for j, y := range r.y.row(item) {
				b.Set(i, j, b.At(i, j)+v*y)
			}
		}
	}
	var factor mat.Cholesky
	if !factor.Factorize(a) {
		return nil, fmt.Errorf("%w: %d features of %d items can't be told apart", ErrCold, k-1, len(learnt))
	}
	var out mat.Dense
	if err := factor.SolveTo(&out, b); err != nil {
		var condition mat.Condition
		if !errors.As(err, &condition) {
			return nil, fmt.Errorf("%w: %w", ErrCold, err)
		}
	}
	return &out, nil
}

func predict(weights *mat.Dense, features []float64, d int) []float64 {
	out := make([]float64, d)
	for j := range out {
		out[j] = weights.At(len(features), j)
		for i, v := range features {
			out[j] += v * weights.At(i, j)
		}
	}
	return out
}

// addCold puts cold items into a list where their scores belong.
func (r *Recommender) addCold(list []Scored, seen []int32, c Choice) []Scored {
	for n, cold := range r.cold {
		number := int32(r.y.program.Items() + n)
		if c.Allow != nil && !c.Allow(number) {
			continue
		}
		if _, own := slices.BinarySearch(seen, cold.item); own && !c.IncludeSeen {
			continue
		}
		score := 0.0
		for i := range r.y.factors {
			score += r.x[i] * cold.factor[i]
		}
		if r.y.biased {
			score += r.x[r.y.factors] + cold.factor[r.y.factors]
		}
		list = insert(list, c.Top, Scored{number, score})
	}
	return list
}
