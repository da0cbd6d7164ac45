package secagg

import "fmt"

// maxSubsets bounds the search: 7 of 10 are 120 subsets, 8 of 15 are 6,435. A
// subset that doesn't open costs one polynomial.
const maxSubsets = 10_000

// search returns t rows whose key sum opens, if there is exactly one such key.
// opens reports whether a key sum opens the payloads.
func (p points) search(t int, opens func(*vector) bool) (points, error) {
	r := len(p.xs)
	if !fewSubsets(r, t) {
		return points{}, fmt.Errorf("%w: more than %d wrong replies of %d (hint: leave out replies under suspicion)",
			ErrUnopenable, (r-t)/2, r)
	}
	var found points
	var key *vector
	rows := make([]int, t)
	for i := range rows {
		rows[i] = i
	}
	for {
		subset := p.take(rows)
		if k := subset.interpolate(); (key == nil || *k != *key) && opens(k) {
			if key != nil {
				return points{}, fmt.Errorf("%w: two key sums open it (hint: abort the round; too few honest seats replied)", ErrUnopenable)
			}
			found, key = subset, k
		}
		i := t - 1 // the next subset in lexicographic order
		for i >= 0 && rows[i] == r-t+i {
			i--
		}
		if i < 0 {
			break
		}
		rows[i]++
		for k := i + 1; k < t; k++ {
			rows[k] = rows[k-1] + 1
		}
	}
	if key == nil {
		return points{}, fmt.Errorf("%w: no %d of %d replies open it (hint: ask another seat, or abort the round)", ErrUnopenable, t, r)
	}
	return found, nil
}

// fewSubsets reports whether r choose t is at most maxSubsets.
func fewSubsets(r, t int) bool {
	c := 1
	for i := range min(t, r-t) {
		if c = c * (r - i) / (i + 1); c > maxSubsets {
			return false
		}
	}
	return true
}
