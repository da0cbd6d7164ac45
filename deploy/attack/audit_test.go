package attack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
)

// audited is what an auditor counted: of planted records, each included by a
// coin, guesses were made for some, and so many were right.
type audited struct{ planted, guesses, right int }

// chance bounds the probability of as many right guesses or more under any
// (ε, δ)-private mechanism [SNJ23, Thm. 5.2]: P[W ≥ v] + 2mδ·max_i P[v > W ≥ v−i]/i
// with W binomial, each guess being right with probability e^ε/(1+e^ε).
func (a audited) chance(epsilon, delta float64) float64 {
	p := 1 / (1 + math.Exp(-epsilon))
	below, worst := 0.0, 0.0
	for i := 1; i <= a.right; i++ {
		below += binomial(a.guesses, a.right-i, p)
		worst = max(worst, below/float64(i))
	}
	return binomialTail(a.guesses, a.right, p) + 2*float64(a.planted)*delta*worst
}

// bound returns the lower bound on ε that holds with probability 1−p.
func (a audited) bound(delta, p float64) float64 {
	if a.chance(0, delta) > p {
		return 0
	}
	low, high := 0.0, 20.0
	for range 60 {
		if mid := (low + high) / 2; a.chance(mid, delta) < p {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// The bounds of $TRIBUTARY_DATA/../vectors/dp.json are reproduced.
func TestAuditBoundsAreReproduced(t *testing.T) {
	data := os.Getenv("TRIBUTARY_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "shared", "data")
	}
	raw, err := os.ReadFile(filepath.Join(data, "..", "vectors", "dp.json"))
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true" {
		t.Skipf("the privacy vectors aren't there (set TRIBUTARY_DATA): %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Audit struct {
			P, Tol float64
			Cases  []struct {
				M, R, V int
				Delta   float64
				Bound   float64 `json:"eps_lb"`
			}
		} `json:"audit_vectors"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Audit.Cases) < 5 {
		t.Fatalf("%d audit vectors", len(file.Audit.Cases))
	}
	for _, c := range file.Audit.Cases {
		if got := (audited{c.M, c.R, c.V}).bound(c.Delta, file.Audit.P); !(math.Abs(got-c.Bound) <= file.Audit.Tol) {
			t.Errorf("%d of %d right, %d planted, δ = %g: ε ≥ %.6f, want %.6f", c.V, c.R, c.M, c.Delta, got, c.Bound)
		}
	}
}

const (
	planted    = 20_000 // m: one lane of the release each
	tailGuess  = 400    // guesses "included" and as many "left out": 2 % of m, chosen beforehand
	auditDelta = 1e-5
	confidence = 0.95
)

// audit plants records into one release, opens it and guesses which are in it.
//
// A planted record is the worst that clipping lets through: all of the clip norm
// on a lane of its own. The attacker is the coordinator with both colluders, at
// the fewest members that a sum is opened with: it knows the colluders' noise and
// subtracts it, and so faces the variance h·σ_i² that the charge counts on.
func audit(t *testing.T, c *cohort, o dp.Options, seed uint64) audited {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 5))
	included := make([]bool, planted)
	held := make([][]int, honest)
	for lane := range included {
		if included[lane] = random.IntN(2) == 1; included[lane] {
			at := random.IntN(honest)
			held[at] = append(held[at], lane)
		}
	}
	length, clip := o.Segments[0].Length, float64(o.Segments[0].Clip)
	var lanes [][]int64
	for i := range quorum {
		if i >= honest {
			lanes = append(lanes, noised(t, o, nothing))
			continue
		}
		lanes = append(lanes, noised(t, o, diracs(length, held[i], clip)))
	}
	seen := subtract(c.sum(t, o.Bits, lanes), lanes[honest:]...)[:planted]

	order := make([]int, planted)
	for lane := range order {
		order[lane] = lane
	}
	slices.SortFunc(order, func(a, b int) int { return int(seen[a] - seen[b]) })
	out := audited{planted: planted, guesses: 2 * tailGuess}
	for i := range tailGuess {
		if !included[order[i]] {
			out.right++
		}
		if included[order[planted-1-i]] {
			out.right++
		}
	}
	return out
}

// diracs yields a unit for each of the lanes, of that size there and zero elsewhere.
func diracs(length int, lanes []int, size float64) iter.Seq[[]float64] {
	return func(yield func([]float64) bool) {
		unit := make([]float64, length)
		for _, lane := range lanes {
			unit[lane] = size
			if !yield(unit) {
				return
			}
			unit[lane] = 0
		}
	}
}

// One release of a real job, the Gram matrix of 200 columns, 20,100 lanes, audited
// in one run [SNJ23]: from 20,000 planted records the attacker proves with 95 %
// confidence an ε that is no larger than what the report says of the release; from
// noise of half the standard deviation it proves a larger one.
//
// False alarms: the theorem allows 5 %. Against Gaussian noise of the claimed μ
// the bound passes ε with a probability of 2·10⁻¹⁰. With half the noise it does
// with probability 0.989; at most three releases are audited, of which one must,
// and all miss with probability 2·10⁻⁶.
func TestOneRunPrivacyAudit(t *testing.T) {
	var values []string
	for i := range 198 {
		values = append(values, fmt.Sprintf("v%d", i))
	}
	// A job's Gram matrix has a fifth of its budget: here about ε = 1.
	r := job(t, "2.7", "  kind: {type: category, values: ["+strings.Join(values, ", ")+"]}\n", "  - {columns: [kind], transform: one_hot}")
	o, sum, ok := r.Noise(1)
	o.Segments = o.Segments[:1] // the canary carries no data
	if !ok || o.Segments[0].Length < planted || r.Honest() != honest {
		t.Fatalf("noise %+v", o)
	}
	claimed, err := accountant.Epsilon([]accountant.Release{{Mechanism: sum, Count: 1}}, auditDelta)
	if err != nil {
		t.Fatal(err)
	}
	c := newCohort(t, 5, 7)
	result := audit(t, c, o, 1)
	bound := result.bound(auditDelta, 1-confidence)
	t.Logf("claimed ε %.4f at δ = %g; %d of %d guesses right: ε ≥ %.4f", claimed.Epsilon, auditDelta, result.right, result.guesses, bound)
	if bound > claimed.Epsilon {
		t.Errorf("the audit proves ε ≥ %.4f, the report says %.4f", bound, claimed.Epsilon)
	}
	if bound == 0 {
		t.Error("the audit proves nothing: the planted records don't show")
	}
	for try := uint64(2); ; try++ {
		result := audit(t, c, weaker(t, o, 4), try)
		bound := result.bound(auditDelta, 1-confidence)
		t.Logf("with half the noise: %d of %d guesses right: ε ≥ %.4f", result.right, result.guesses, bound)
		if bound > claimed.Epsilon {
			return
		}
		if try == 4 {
			t.Fatalf("half the noise isn't found: ε ≥ %.4f, the report says %.4f", bound, claimed.Epsilon)
		}
	}
}
