package attack

import (
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

const (
	candidates = 1000 // records, of which the attacker knows that one is the victim's
	features   = 6    // of a record, with its label
)

// person is a row of peopleJob.
type person struct {
	numbers [3]float64 // age, income, hours
	codes   [2]int32   // region, sector
	left    bool
}

// people gives n persons whose categories aren't equally frequent.
func people(n int, seed uint64) []person {
	random := rand.New(rand.NewPCG(seed, 8))
	out := make([]person, n)
	for i := range out {
		p := &out[i]
		p.numbers = [3]float64{16 + 74*random.Float64(), 200_000 * math.Pow(random.Float64(), 3), 100 * random.Float64()}
		p.codes = [2]int32{min(random.Int32N(5), random.Int32N(5)), min(random.Int32N(6), random.Int32N(6), random.Int32N(6))}
		p.left = random.IntN(3) == 0
	}
	return out
}

func tableOf(rows ...person) *dataset.Table {
	t := &dataset.Table{Rows: len(rows), Columns: []dataset.Column{
		{Name: "age", Numbers: []float64{}}, {Name: "income", Numbers: []float64{}}, {Name: "hours", Numbers: []float64{}},
		{Name: "region", Values: regions(), Codes: []int32{}}, {Name: "sector", Values: sectors(), Codes: []int32{}}}}
	for _, p := range rows {
		for i, v := range p.numbers {
			t.Columns[i].Numbers = append(t.Columns[i].Numbers, v)
		}
		for i, v := range p.codes {
			t.Columns[3+i].Codes = append(t.Columns[3+i].Codes, v)
		}
		t.Label = append(t.Label, p.left)
		t.HeldOut = append(t.HeldOut, false)
	}
	return t
}

// invert reads a record off a gradient (p−y)·(x, 1)/‖(x, 1)‖: divided by its last
// lane it is x itself, and the last lane's sign is the label [ZLH19].
func invert(gradient []float64) person {
	last := gradient[len(gradient)-1]
	x := func(i int) float64 { return gradient[i] / last }
	var p person
	for i, limits := range [3][2]float64{{16, 110}, {0, 200_000}, {0, 100}} {
		p.numbers[i] = limits[0] + (x(i)+1)/2*(limits[1]-limits[0])
	}
	at := 3
	for i, values := range []int{len(regions()), len(sectors())} {
		for code := range values {
			if x(at+code) > x(at+int(p.codes[i])) {
				p.codes[i] = int32(code)
			}
		}
		at += values + 1 // and other
	}
	p.left = last < 0
	return p
}

// matches counts the features that two records share: numbers up to a tenth of their range.
func (p person) matches(q person) int {
	n := 0
	for i, width := range []float64{9.4, 20_000, 10} {
		if math.Abs(p.numbers[i]-q.numbers[i]) < width {
			n++
		}
	}
	for i := range p.codes {
		if p.codes[i] == q.codes[i] {
			n++
		}
	}
	if p.left == q.left {
		n++
	}
	return n
}

// commonest is the record that an attacker guesses who sees nothing: of each feature what is shared most often.
func commonest(list []person) person {
	best := list[0]
	for feature := range features {
		most := -1
		for _, p := range list {
			try, n := best, 0
			switch {
			case feature < 3:
				try.numbers[feature] = p.numbers[feature]
			case feature < 5:
				try.codes[feature-3] = p.codes[feature-3]
			default:
				try.left = p.left
			}
			for _, q := range list {
				n += try.matches(q)
			}
			if n > most {
				most, best = n, try
			}
		}
	}
	return best
}

// target is a job in its first gradient round, and what the attacker knows of its rows.
type target struct {
	job       *jobspec.Resolved
	program   *optim.Program
	state     *optim.State
	noise     dp.Options
	rows      []person
	gradients [][]float64 // of each row, in integer units
}

func newTarget(t *testing.T) *target {
	t.Helper()
	g := &target{job: peopleJob(t), rows: people(candidates, 1)}
	var err error
	if g.program, err = optim.ParseProgram(g.job.Program()); err != nil {
		t.Fatal(err)
	}
	// The first round, with its noise.
	fit, _, _ := g.job.Noise(uint8(optim.Fit))
	fit.Segments = fit.Segments[:1] // the canary carries no data
	g.noise, _, _ = g.job.Noise(uint8(optim.Train))
	g.noise.Segments = g.noise.Segments[:1]
	var lanes [][]int64
	for i := range members {
		lanes = append(lanes, noised(t, fit, contributions(t, g.program, g.program.Initial(), people(200, uint64(100+i))...)))
	}
	opened := newCohort(t, 5, 7).sum(t, fit.Bits, lanes)
	values := make([]float64, len(opened))
	for i, v := range opened {
		values[i] = float64(v)
	}
	if g.state, _, err = g.program.Apply(g.program.Initial(), [][]float64{values}); err != nil {
		t.Fatal(err)
	}
	for gradient := range contributions(t, g.program, g.state, g.rows...) {
		g.gradients = append(g.gradients, slices.Clone(gradient))
	}
	return g
}

func contributions(t *testing.T, p *optim.Program, s *optim.State, rows ...person) iter.Seq[[]float64] {
	t.Helper()
	units, err := linear.Contributions(p, s, tableOf(rows...))
	if err != nil {
		t.Fatal(err)
	}
	return units
}

// rank returns which share of the candidates fits what was seen no worse than the
// victim does: 1/1000 if it alone fits best, 0.5 on average if nothing is seen.
func (g *target) rank(victim int, seen []float64, score func(seen, gradient []float64) float64) float64 {
	own, n := score(seen, g.gradients[victim]), 0
	for _, gradient := range g.gradients {
		if score(seen, gradient) >= own {
			n++
		}
	}
	return float64(n) / candidates
}

// closeness is the log-likelihood of a gradient under Gaussian noise, up to constants.
func closeness(seen, gradient []float64) float64 {
	sum := 0.0
	for i, v := range seen {
		sum -= (v - gradient[i]) * (v - gradient[i])
	}
	return sum
}

// cosine is the cosine similarity.
func cosine(seen, gradient []float64) float64 {
	var both, a, b float64
	for i, v := range seen {
		both, a, b = both+v*gradient[i], a+v*v, b+gradient[i]*gradient[i]
	}
	return both / math.Sqrt(a*b)
}

// guesses are an attack's results over many victims.
type guesses struct {
	n, first       int     // victims, and those that fit best of all candidates
	ranks          float64 // sum
	matches, prior int     // features of inverted and of commonest records
}

func (r *guesses) add(rank float64, victim, inverted, common person) {
	r.n++
	if rank <= 1.0/candidates {
		r.first++
	}
	r.ranks += rank
	r.matches += victim.matches(inverted)
	r.prior += victim.matches(common)
}

// atChance fails if the attack did better than chance, at a false-alarm rate of
// 10⁻⁶ for each of two tests: how often the victim ranks first, with probability
// first, and its mean rank, of mean 0.5−ahead and a deviation of at most √(1/12) a
// victim. And inverted records must share no more features with the victims than
// the commonest record does, and 2 %.
func (r *guesses) atChance(t *testing.T, what string, first, ahead float64) {
	t.Helper()
	mean := r.ranks / float64(r.n)
	least := 0.5 - ahead - 4.7534*math.Sqrt(1.0/12/float64(r.n))
	most := mostHits(r.n, first, 1e-6)
	share, prior := float64(r.matches)/float64(features*r.n), float64(r.prior)/float64(features*r.n)
	t.Logf("%s: the victim ranks first for %d of %d (chance %.4f), mean rank %.3f (alarm at %d and below %.3f), %.1f %% of features match, %.1f %% by guessing",
		what, r.first, r.n, first, mean, most, least, 100*share, 100*prior)
	if r.first >= most || mean < least {
		t.Errorf("%s tells of the victim", what)
	}
	if share > prior+0.02 {
		t.Errorf("%s: inversion matches %.3f of the features, guessing %.3f", what, share, prior)
	}
}

// mustSucceed is the control of an attack.
func (r *guesses) mustSucceed(t *testing.T, what string) {
	t.Helper()
	t.Logf("%s: the victim ranks first for %d of %d, %d of %d features match", what, r.first, r.n, r.matches, features*r.n)
	if r.first != r.n || r.matches != features*r.n {
		t.Errorf("the attack fails on %s", what)
	}
}

// The algebraic inversion of a gradient.
//
// In the clear, the control: a gradient of one record is the record. Each of 1,000
// is read off exactly.
//
// Under seal the same attack is at chance. The victim is the only record of its
// member, and one of 1,000 candidates that the attacker knows.
//
//   - From the sealed payload of an exact sum, where nothing but the key protects it:
//     what it would say if it weren't encrypted, 300 times. Without a key, the
//     control, it says the record.
//   - From the opened sum, 200 times: the attacker knows the rows of all other
//     members and the noise of both colluders, and subtracts them. At chance means
//     here: up to what the round's own ε, about 0.2, admits. Without noise, the
//     control, it finds every victim; at a twentieth of the noise's deviation the
//     mean rank is about 0.34, below the alarm.
//
// Victims are drawn anew in each run. False alarms: four tests at 10⁻⁶. That inversion matches no more features than
// guessing does has a margin of more than ten deviations.
func TestGradientInversionSucceedsInTheClearAndIsAtChanceUnderSeal(t *testing.T) {
	g := newTarget(t)
	c := newCohort(t, 2, 3)
	random := rand.New(rand.NewPCG(3, 9))
	common := commonest(g.rows)

	t.Run("in the clear", func(t *testing.T) {
		for i, row := range g.rows {
			got := invert(g.gradients[i])
			for k, v := range got.numbers {
				if math.Abs(v-row.numbers[k]) > 1e-9*(1+row.numbers[k]) {
					t.Fatalf("record %d, number %d: %v, want %v", i, k, v, row.numbers[k])
				}
			}
			if got.codes != row.codes || got.left != row.left {
				t.Fatalf("record %d: %+v, want %+v", i, got, row)
			}
			if rank := g.rank(i, g.gradients[i], cosine); rank > 1.0/candidates {
				t.Fatalf("record %d ranks %g in its own gradient", i, rank)
			}
		}
	})

	t.Run("sealed payload", func(t *testing.T) {
		var result, control guesses
		p, ctx := c.round(t, g.noise.Bits, g.noise.Segments[0].Length)
		for i := range 300 {
			victim := rand.IntN(candidates)
			lanes := rounded(p.Length(), contributions(t, g.program, g.state, g.rows[victim]))
			upload := c.seal(t, p, ctx, i, lanes)
			seen := asIfClear(p, coefficients(upload.Payload, p.Coefficients()))
			result.add(g.rank(victim, seen, cosine), g.rows[victim], invert(seen), common)
			seen = asIfClear(p, inClear(p, lanes, random))
			control.add(g.rank(victim, seen, cosine), g.rows[victim], invert(seen), common)
		}
		result.atChance(t, "the sealed payload", 1.0/candidates, 0)
		control.mustSucceed(t, "a payload without a key")
	})

	t.Run("opened sum", func(t *testing.T) {
		var result guesses
		for range 200 {
			victim := rand.IntN(candidates)
			seen := g.attackSum(t, c, victim, true)
			result.add(g.rank(victim, seen, closeness), g.rows[victim], invert(seen), common)
		}
		// Against a sum without the victim, in which all candidates are alike: the best
		// guess is right with probability e^ε/1000 + δ at most, and the mean rank is ahead
		// by no more than the distance in variation, 2Φ(μ/2)−1.
		_, sum, _ := g.job.Noise(uint8(optim.Train))
		report, err := accountant.Epsilon([]accountant.Release{{Mechanism: sum, Count: 1}}, auditDelta)
		if err != nil {
			t.Fatal(err)
		}
		mu := math.Sqrt(float64(sum.Sensitivity2) / sum.Sigma2.Float())
		t.Logf("the round's ε is %.3f, μ %.4f", report.Epsilon, mu)
		result.atChance(t, "the opened sum", math.Exp(report.Epsilon)/candidates+auditDelta, 2*normal(mu/2)-1)
	})

	t.Run("opened sum without noise", func(t *testing.T) {
		var result guesses
		for range 20 {
			victim := rand.IntN(candidates)
			seen := g.attackSum(t, c, victim, false)
			result.add(g.rank(victim, seen, closeness), g.rows[victim], invert(seen), common)
		}
		result.mustSucceed(t, "a sum without noise")
	})
}

// attackSum opens a round in which member 0 holds the victim alone, with the
// members' noise or without any, and returns what is left to an attacker who knows
// everything else: all other rows, and the colluders' noise.
func (g *target) attackSum(t *testing.T, c *cohort, victim int, noise bool) []float64 {
	t.Helper()
	var lanes, known [][]int64
	for i := range members {
		rows := []person{g.rows[victim]}
		if i > 0 {
			rows = people(20, uint64(200+i))
		}
		units := contributions(t, g.program, g.state, rows...)
		clean := rounded(g.noise.Segments[0].Length, units)
		sent := clean
		if noise {
			sent = noised(t, g.noise, units)
		}
		lanes = append(lanes, sent)
		switch {
		case i >= members-colluders:
			known = append(known, sent)
		case i > 0:
			known = append(known, clean)
		}
	}
	left := subtract(c.sum(t, g.noise.Bits, lanes), known...)
	out := make([]float64, len(left))
	for i, v := range left {
		out[i] = float64(v)
	}
	return out
}

// rounded is the sum of units without noise.
func rounded(length int, units iter.Seq[[]float64]) []int64 {
	sum := make([]float64, length)
	for unit := range units {
		for i, v := range unit {
			sum[i] += v
		}
	}
	out := make([]int64, length)
	for i, v := range sum {
		out[i] = int64(math.RoundToEven(v))
	}
	return out
}
