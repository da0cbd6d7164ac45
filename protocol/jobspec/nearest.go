package jobspec

import (
	"slices"
	"strings"
)

// Nearest returns those of the names that look like a misspelt name, nearest
// first, at most three. Case, '-', '_', '.' and spaces don't count as differences.
func Nearest(name string, names []string) []string {
	type scored struct {
		name     string
		distance int
	}
	plain := plainName(name)
	var near []scored
	for _, candidate := range names {
		d := editDistance(plain, plainName(candidate))
		if d <= max(1, (min(len(plain), len(candidate))+1)/3) {
			near = append(near, scored{candidate, d})
		}
	}
	slices.SortStableFunc(near, func(a, b scored) int { return a.distance - b.distance })
	var out []string
	for _, s := range near[:min(3, len(near))] {
		out = append(out, s.name)
	}
	return out
}

func plainName(s string) string {
	if len(s) > 80 {
		s = s[:80]
	}
	return strings.NewReplacer("-", "", "_", "", ".", "", " ", "").Replace(strings.ToLower(s))
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbouring bytes (optimal string alignment).
func editDistance(a, b string) int {
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}

// didYouMean is the hint for a misspelt name.
func didYouMean(name string, names []string) string {
	if near := Nearest(name, names); len(near) > 0 {
		return "did you mean " + strings.Join(near, " or ") + "?"
	}
	if len(names) == 0 {
		return ""
	}
	if len(names) > 20 {
		return "known are " + strings.Join(names[:20], ", ") + ", …"
	}
	return "known are " + strings.Join(names, ", ")
}
