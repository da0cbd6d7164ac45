package jobspec

import "fmt"

// CheckCommittee checks that any t of m seats are a safe quorum when f members
// may be malicious: ⌈(m+f+1)/2⌉ ≤ t, so that two quorums share an honest seat,
// and t ≤ m−f, so that f seats can't stop the job, except t = m = 3 at f = 1.
// The error names the values and the bound.
func CheckCommittee(c Committee, f int) error {
	t, m := c.Threshold, c.Of
	low, high := (m+f+2)/2, m-f
	switch {
	case f < 0 || f > maxSeats:
		return fmt.Errorf("f = %d is not within 0 to %d", f, maxSeats)
	case m < 1 || m > maxSeats:
		return fmt.Errorf("a committee of %d is not within 1 to %d", m, maxSeats)
	case t == 3 && m == 3 && f == 1:
		return nil
	case low > high:
		return fmt.Errorf("a committee of %d is too small for f = %d", m, f)
	case t < low:
		return fmt.Errorf("threshold %d of %d is too low: with f = %d it takes at least %d", t, m, f, low)
	case t > high:
		return fmt.Errorf("threshold %d of %d is too high: with f = %d it may be at most %d", t, m, f, high)
	}
	return nil
}

// DefaultCommittee returns the smallest committee that tolerates f malicious
// members, f of whom can't stop the job either, with at most that many seats:
// 2 of 3, 3 of 4, 5 of 7, 7 of 10; or 3 of 3 at f = 1 with three seats.
func DefaultCommittee(f, seats int) (Committee, bool) {
	c := Committee{Threshold: 2*f + 1, Of: 3*f + 1}
	switch {
	case f == 0:
		c = Committee{Threshold: 2, Of: 3}
	case f == 1 && seats == 3:
		c = Committee{Threshold: 3, Of: 3}
	}
	if c.Of > seats || CheckCommittee(c, f) != nil {
		return Committee{}, false
	}
	return c, true
}

// committeeHint says which committees a charter allows.
func committeeHint(f int) string {
	if c, ok := DefaultCommittee(f, maxSeats); ok {
		hint := fmt.Sprintf("the charter's f = %d allows {threshold: %d, of: %d}", f, c.Threshold, c.Of)
		if f == 1 {
			hint += " or {threshold: 3, of: 3}"
		}
		return hint
	}
	return ""
}

// minCohort is the smallest cohort of a sealed job [design §2, G3]. A noised job's
// contributions need nobody to hide among.
func minCohort(mode string, f int) int {
	if mode == ModeNoised {
		return 1
	}
	return max(3, f+2)
}
