package linear

import (
	"fmt"
	"iter"
	"slices"

	"tributary/models/dataset"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

// units groups encoded rows by privacy unit: unit u has rows list[starts[u]:starts[u+1]], or those numbers themselves if there is no
// list. The zero value has a row a unit.
type units struct {
	starts, list []int32
}

func (u *units) row(at int32) int {
	if u.list == nil {
		return int(at)
	}
	return int(u.list[at])
}

// unitsOf groups the rows of a table that keep holds for, numbered among themselves, in the order of the units' first rows.
func unitsOf(unit optim.Unit, t *dataset.Table, n int, keep func(int) bool) (units, error) {
	switch unit {
	case optim.UnitRecord:
		return units{}, nil
	case optim.UnitSilo:
		return units{starts: []int32{0, int32(n)}}, nil
	}
	if t.User == nil {
		return units{}, fmt.Errorf("%w: the job protects users and the rows don't say whose they are", fit.ErrTable)
	}
	number, count := map[int32]int32{}, []int32{}
	of := make([]int32, 0, n)
	for i := range t.Rows {
		if !keep(i) {
			continue
		}
		u, ok := number[t.User[i]]
		if !ok {
			u = int32(len(count))
			number[t.User[i]] = u
			count = append(count, 0)
		}
		count[u]++
		of = append(of, u)
	}
	out := units{starts: make([]int32, len(count)+1), list: make([]int32, n)}
	for u, c := range count {
		out.starts[u+1] = out.starts[u] + c
	}
	next := slices.Clone(out.starts)
	for row, u := range of {
		out.list[next[u]] = int32(row)
		next[u]++
	}
	return out, nil
}

// count is how many units n rows have.
func (u *units) count(n int) int {
	if u.starts == nil {
		return n
	}
	return len(u.starts) - 1
}

// each runs over the units of a batch, ascending; all of them if it is nil.
func (u *units) each(n int, batch []int) iter.Seq[int] {
	if batch != nil {
		return slices.Values(batch)
	}
	return func(yield func(int) bool) {
		for i := range u.count(n) {
			if !yield(i) {
				return
			}
		}
	}
}

// scattered rows are read between two releases of all rows: each may bring 16 pages of an array with it.
const scattered = 256

// rowLanes appends the lanes of one encoded row, ascending, and their values.
type rowLanes func(i int, lanes []int, values []float64) ([]int, []float64)

// grouped adds up, unit by unit, the rows of each unit of the batch. A row of a unit of k counts min(1, clip/k), so that the rows of
// a unit count as clip rows at most and the sums are those of a weighted model: nothing is clipped that a weight hasn't bounded.
func (d *Design) grouped(r *rows, batch []int, length int, row rowLanes) iter.Seq2[[]int, []float64] {
	clip := float64(d.program.Privacy().Clip)
	return func(yield func([]int, []float64) bool) {
		var lanes, touched []int
		var values, total, out []float64
		done, passed := 0, 0
		for u := range r.units.each(r.n, batch) {
			if r.units.starts == nil {
				if u-done >= d.run {
					d.done(r, done, u)
					done = u
				}
				if lanes, values = row(u, lanes[:0], values[:0]); !yield(lanes, values) {
					return
				}
				continue
			}
			if total == nil {
				total = make([]float64, length)
			}
			from, to := r.units.starts[u], r.units.starts[u+1]
			weight := min(1, clip/float64(to-from))
			for at := from; at < to; at++ {
				switch passed++; {
				case r.units.list == nil && int(at)-done >= d.run:
					d.done(r, done, int(at))
					done = int(at)
				case r.units.list != nil && passed%scattered == 0:
					d.done(r, 0, r.n) // a unit's rows may lie anywhere
				}
				lanes, values = row(r.units.row(at), lanes[:0], values[:0])
				for n, lane := range lanes {
					if total[lane] == 0 {
						touched = append(touched, lane)
					}
					total[lane] += weight * values[n]
				}
			}
			slices.Sort(touched)
			touched, out = slices.Compact(touched), out[:0] // a lane that was back at 0 stands there twice
			for _, lane := range touched {
				out = append(out, total[lane])
				total[lane] = 0
			}
			if !yield(touched, out) {
				return
			}
			touched = touched[:0]
		}
	}
}
