package attack

import (
	"math"
	"slices"
	"testing"

	"tributary/crypto/dp"
)

// canaries is K, the lanes of a round that every member fills with noise alone.
const canaries = dp.CanaryLanes

// tooQuiet is the canary test's false-alarm rate: the probability with which it
// accuses a cohort that adds all its noise.
const tooQuiet = 1e-6

// canaryTest returns the probability that n members' noise of variance local
// each is, over these lanes, as small as what was opened: Σx²/(n·σ_i²) follows
// χ² with a degree of freedom a lane. (At σ_i > 10⁴ units rounding to integers
// doesn't show.) The other tail is the probability of as much.
func canaryTest(lanes []int64, n int, local dp.Rational) (asLittle, asMuch float64) {
	x := 0.0
	for _, v := range lanes {
		x += float64(v) * float64(v)
	}
	return chiSquaredTails(len(lanes), x/(float64(n)*local.Float()))
}

// canaryRound opens a sum of the job's gradient and canaries. Each of the given
// members has its noise's variance divided by its number; 0: no noise at all,
// which it writes by itself, as dp gives out nothing without noise.
func canaryRound(t *testing.T, c *cohort, o dp.Options, dividedBy []uint64) []int64 {
	t.Helper()
	var lanes [][]int64
	for _, divisor := range dividedBy {
		if divisor == 0 {
			lanes = append(lanes, make([]int64, o.Segments[0].Length+canaries))
			continue
		}
		lanes = append(lanes, noised(t, weaker(t, o, divisor), nothing))
	}
	return c.sum(t, o.Bits, lanes)[o.Segments[0].Length:]
}

// A job's own noise (ε = 1, ten members): the χ² test on 10,000 opened canary
// lanes at α = 10⁻⁶ passes honest cohorts, whole or with a member missing, and
// finds one silo of ten that adds no noise.
//
// Power: with one silo's noise missing x is 0.9·χ², and a round finds it with
// probability 0.996; fewer than 7 of 10 rounds do with 5·10⁻⁸. False alarms: 11
// honest rounds, each tail at 10⁻⁶.
func TestNoiseCanariesFindASiloWithoutNoise(t *testing.T) {
	c := newCohort(t, 5, 7)
	o := withCanaries(t)
	all := slices.Repeat([]uint64{1}, members)
	for round := range 10 {
		asLittle, asMuch := canaryTest(canaryRound(t, c, o, all), members, o.Local)
		if asLittle < tooQuiet || asMuch < tooQuiet {
			t.Errorf("honest round %d: p = %.2g and %.2g", round, asLittle, asMuch)
		}
	}
	if asLittle, asMuch := canaryTest(canaryRound(t, c, o, all[1:]), members-1, o.Local); asLittle < tooQuiet || asMuch < tooQuiet {
		t.Errorf("honest round with a member missing: p = %.2g and %.2g", asLittle, asMuch)
	}
	found, largest := 0, 0.0
	for round := range 10 {
		cheat := slices.Clone(all)
		cheat[round] = 0
		asLittle, _ := canaryTest(canaryRound(t, c, o, cheat), members, o.Local)
		largest = max(largest, asLittle)
		if asLittle < tooQuiet {
			found++
		}
	}
	t.Logf("a silo without noise: found in %d of 10 rounds, p at most %.2g", found, largest)
	if found < 7 {
		t.Errorf("a silo without noise was found in %d of 10 rounds only", found)
	}
}

// A silo with half its variance takes 5 % from the sum's: one round's canaries
// find it with probability 0.12, and those of five rounds together, 50,000 lanes,
// with probability 0.9996. Of three such runs two must (they don't with
// 5·10⁻⁷); false alarms: three honest runs, each tail at 10⁻⁶.
func TestNoiseCanariesOfFiveRoundsFindHalfOfASilosVariance(t *testing.T) {
	c := newCohort(t, 5, 7)
	o := withCanaries(t)
	found := 0
	for run := range 3 {
		cheat := slices.Repeat([]uint64{1}, members)
		var lanes, quiet []int64
		for range 5 {
			cheat[run] = 1
			lanes = append(lanes, canaryRound(t, c, o, cheat)...)
			cheat[run] = 2
			quiet = append(quiet, canaryRound(t, c, o, cheat)...)
		}
		if asLittle, asMuch := canaryTest(lanes, members, o.Local); asLittle < tooQuiet || asMuch < tooQuiet {
			t.Errorf("honest run %d: p = %.2g and %.2g", run, asLittle, asMuch)
		}
		asLittle, _ := canaryTest(quiet, members, o.Local)
		t.Logf("run %d: a silo with half its variance has p = %.2g", run, asLittle)
		if asLittle < tooQuiet {
			found++
		}
	}
	if found < 2 {
		t.Errorf("a silo with half its variance was found in %d of 3 runs only", found)
	}
}

// withCanaries is the noise of the job's gradient rounds with canary lanes, which cost no privacy.
func withCanaries(t *testing.T) dp.Options {
	t.Helper()
	o, sum, ok := peopleJob(t).Noise(2)
	if !ok {
		t.Fatal("no noise for training rounds")
	}
	p, err := dp.NewParams(o)
	if err != nil {
		t.Fatal(err)
	}
	if p.Sensitivity2() != sum.Sensitivity2 {
		t.Fatalf("with canaries Δ² is %d, without %d", p.Sensitivity2(), sum.Sensitivity2)
	}
	if sigma := math.Sqrt(o.Local.Float()); sigma < 1e4 {
		t.Fatalf("σ_i = %g", sigma)
	}
	return o
}
