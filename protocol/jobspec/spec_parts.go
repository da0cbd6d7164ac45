package jobspec

import (
	"fmt"
	"math/big"
	"time"
)

func (d *document) model(v value, s *Spec) {
	s.Model = Model{L2: defaultL2, Solver: solverNewton, MaxRounds: defaultMaxRounds, Tolerance: defaultTolerance}
	m := &s.Model
	_, keys, ok := d.fields(v, "type", "l1", "l2", "solver", "max_rounds", "tolerance", "patience", "standard_errors", "factors", "min_class_rows", "averaging", "weight", "offset", "class_weights", "warm_start", "sampling", "recommendation")
	if !ok {
		return
	}
	d.require(v, keys, map[string]string{"type": "write type: logistic_regression"}, "type")
	if v, ok := keys["type"]; ok {
		m.Type, _ = d.choice(v, typeLogistic, typeMultinomial, typeLinear, typeFactorization, typeMatrix)
	}
	if v, ok := keys["solver"]; ok {
		m.Solver, _ = d.choice(v, solverNewton, solverLBFGS, solverFedAvg, solverFedProx, solverFedAdam, solverALS, solverGradient, solverBPR, solverPrivate, solverSGD, solverDPALS)
	}
	penalty := func(key string, out *float64) {
		v, ok := keys[key]
		if !ok {
			return
		}
		if *out, ok = d.number(v); ok && !(*out >= 0 && *out <= maxL2) {
			d.at(v.path, v.at, fmt.Sprintf("%s %v is not within 0 to %v", key, *out, maxL2), "")
		}
	}
	d.ending(keys, m)
	penalty("l1", &m.L1)
	penalty("l2", &m.L2)
	if v, ok := keys["max_rounds"]; ok {
		m.MaxRounds, _ = d.integer(v, 1, maxTrainRounds)
	}
	if v, ok := keys["tolerance"]; ok {
		if m.Tolerance, ok = d.number(v); ok && !(m.Tolerance > 0 && m.Tolerance < 1) {
			d.at(v.path, v.at, fmt.Sprintf("tolerance %v is not above 0 and below 1", m.Tolerance), "the default is 1e-8")
		}
	}
	if v, ok := keys["factors"]; ok {
		m.Factors, _ = d.integer(v, 1, maxFactors)
	}
	if v, ok := keys["min_class_rows"]; ok {
		m.MinClassRows, _ = d.integer(v, 1, maxMinCount)
	}
	if v, ok := keys["averaging"]; ok {
		m.Averaging = d.averaging(v)
	}
	if v, ok := keys["sampling"]; ok {
		m.Sampling = d.sampling(v)
	}
	if v, ok := keys["recommendation"]; ok {
		m.Recommendation = d.recommendation(v)
	}
	if v, ok := keys["warm_start"]; ok {
		s.WarmStart = d.warmStart(v)
	}
	s.Weighting = d.weighting(keys)
}

func (d *document) evaluate(v value, s *Spec) {
	_, keys, ok := d.fields(v, "holdout", "metrics", "groups", "min_count")
	if !ok {
		return
	}
	if v, ok := keys["holdout"]; ok {
		s.Holdout = d.holdout(v)
	}
	if v, ok := keys["metrics"]; ok {
		s.Metrics = d.metrics(v)
	}
	if v, ok := keys["groups"]; ok {
		s.Groups, s.MinGroup = d.names(v, "groups are columns, and there are none"), defaultMinCount
	}
	if v, ok := keys["min_count"]; ok {
		n, _ := d.integer(v, 1, maxMinCount)
		if _, groups := keys["groups"]; !groups {
			d.at(v.path, v.at, "min_count is for groups", "add groups: [COLUMN] or remove min_count")
		}
		s.MinGroup = n
	}
}

func (d *document) metrics(v value) []string {
	given := make(map[string]bool)
	list, _ := d.items(v)
	for _, e := range list {
		name, ok := d.choice(e, metricNames()...)
		if ok && given[name] {
			d.at(e.path, e.at, "metric "+name+" is listed twice", "remove one of them")
		}
		given[name] = true
	}
	out := []string{}
	for _, name := range metricNames() {
		if given[name] {
			out = append(out, name)
		}
	}
	return out
}

// holdout reads whole tenths, or a split column and its value.
func (d *document) holdout(v value) (h Holdout) {
	if !isMapping(v) {
		s, ok := d.numeral(v)
		if !ok {
			return h
		}
		// The numeral's exponent has at most four digits; only short ones are tenths.
		if r, err := Decimal(s).Rat(); err == nil {
			r.Mul(r, big.NewRat(10, 1))
			if r.IsInt() && r.Sign() >= 0 && r.Cmp(big.NewRat(9, 1)) <= 0 {
				h.Tenths = int(r.Num().Int64())
				return h
			}
		}
		d.at(v.path, v.at, "hold-out "+s+" is not a whole number of tenths from 0 to 0.9", "write 0.1, 0.2, … or 0.9, {tenths: 2, from: 4}, or {column: NAME, equals: VALUE}")
		return h
	}
	_, keys, ok := d.fields(v, "column", "equals", "tenths", "from")
	if !ok {
		return h
	}
	if tenths, ok := keys["tenths"]; ok {
		return d.fold(v, keys, tenths)
	}
	d.require(v, keys, nil, "column", "equals")
	if v, ok := keys["column"]; ok {
		h.Column, _ = d.text(v)
	}
	if v, ok := keys["equals"]; ok {
		h.Equals, _ = d.text(v)
	}
	return h
}

// fold reads some tenths that don't begin with the first.
func (d *document) fold(v value, keys map[string]value, tenths value) (h Holdout) {
	for key, other := range keys {
		if key != "tenths" && key != "from" {
			d.at(other.path, other.at, key+" can't stand beside tenths", "remove one of them")
		}
	}
	n, ok := d.integer(tenths, 1, 9)
	from, fromOK := int64(0), true
	if v, given := keys["from"]; given {
		from, fromOK = d.integer(v, 0, 9)
	}
	if ok && fromOK && n+from > 10 {
		d.at(v.path, v.at, fmt.Sprintf("%d tenths from number %d are more than there are", n, from), "they are numbered from 0 to 9")
	}
	return Holdout{Tenths: int(n), From: int(from)}
}

// privacy reads exact, or the parameters of a private job.
func (d *document) privacy(v value) (p Privacy) {
	const hint = `write exact, or {unit: record, epsilon: "1.0", delta: "1e-5", clip: "1.0"}`
	if !isMapping(v) {
		if s, ok := d.word(v); ok && s != KindExact {
			d.at(v.path, v.at, show(s)+" is neither exact nor a private job's parameters", hint)
		}
		p.Kind = KindExact
		return p
	}
	p.Kind = KindPrivate
	_, keys, ok := d.fields(v, "unit", "epsilon", "delta", "clip")
	if !ok {
		return p
	}
	d.require(v, keys, map[string]string{
		"unit": "write unit: record", "epsilon": `write it like epsilon: "1.0"`, "delta": `write it like delta: "1e-5"`,
	}, "unit", "epsilon", "delta")
	if v, ok := keys["unit"]; ok {
		p.Unit, _ = d.choice(v, unitRecord, unitUser, unitSilo)
	}
	p.Epsilon = d.positive(keys, "epsilon", maxEpsilon(), "at most 100")
	p.Delta = d.positive(keys, "delta", maxDelta(), "at most 0.01")
	p.Clip = 1
	if v, ok := keys["clip"]; ok {
		text, r := d.decimal(v)
		switch {
		case r == nil:
		case p.Unit == unitRecord && r.Cmp(big.NewRat(1, 1)) != 0:
			d.at(v.path, v.at, fmt.Sprintf("clip %s is not 1.0, the L2 norm to which every row is scaled", text), `write clip: "1.0", or leave it out`)
		case !r.IsInt() || r.Sign() <= 0 || r.Cmp(big.NewRat(maxUnitClip, 1)) > 0:
			d.at(v.path, v.at, fmt.Sprintf("clip %s is not a whole number of rows from 1 to %d", text, maxUnitClip), "a unit with more rows counts as that many; more need more noise")
		default:
			p.Clip = r.Num().Int64()
		}
	}
	return p
}

// maxUnitClip is the most rows that a unit may count as.
const maxUnitClip = 1 << 16

// maxEpsilon and maxDelta bound what still deserves the name of privacy.
func maxEpsilon() *big.Rat { return big.NewRat(100, 1) }
func maxDelta() *big.Rat   { return big.NewRat(1, 100) }

// positive reads an exact decimal above 0.
func (d *document) positive(keys map[string]value, key string, most *big.Rat, bound string) Decimal {
	v, ok := keys[key]
	if !ok {
		return ""
	}
	s, r := d.decimal(v)
	if r != nil && (r.Sign() <= 0 || r.Cmp(most) > 0) {
		d.at(v.path, v.at, fmt.Sprintf("%s %s is not above 0 and %s", key, s, bound), "")
	}
	return s
}

func (d *document) run(v value) Run {
	r := Run{Mode: ModeSealed, RoundTimeout: defaultRoundTimeout, Expires: defaultExpires, Bits: defaultBits}
	_, keys, ok := d.fields(v, "mode", "participants", "min_participants", "committee", "round_timeout", "expires", "seed", "bits")
	if !ok {
		return r
	}
	d.require(v, keys, map[string]string{"mode": "write mode: sealed"}, "mode")
	if v, ok := keys["mode"]; ok {
		r.Mode, _ = d.choice(v, ModeSealed, ModeNoised)
	}
	if v, ok := keys["participants"]; ok {
		r.Participants = d.participants(v)
	}
	if v, ok := keys["min_participants"]; ok {
		r.MinParticipants, _ = d.integer(v, 1, maxContributors)
	}
	if v, ok := keys["committee"]; ok {
		r.Committee = d.committee(v)
	}
	if v, ok := keys["round_timeout"]; ok {
		r.RoundTimeout, _ = d.duration(v, minRoundTimeout, maxRoundTimeout)
	}
	if v, ok := keys["expires"]; ok {
		r.Expires, ok = d.duration(v, time.Second, maxExpires)
		if timeout := child(parent(v.path), "round_timeout"); ok && !d.broken[timeout] && r.Expires < r.RoundTimeout {
			d.at(v.path, v.at, fmt.Sprintf("the job would expire after %s, before its first round's timeout of %s", durationText(r.Expires), durationText(r.RoundTimeout)), "lengthen expires or shorten round_timeout")
		}
	}
	if v, ok := keys["seed"]; ok {
		r.Seed = d.seed(v)
	}
	if v, ok := keys["bits"]; ok {
		r.Bits, _ = d.integer(v, minBits, maxBits)
	}
	return r
}

// participants reads all, which is nil, or a list of names.
func (d *document) participants(v value) []string {
	if !isList(v) {
		if s, ok := d.word(v); ok && s != "all" {
			d.at(v.path, v.at, show(s)+" is neither all nor a list of members", "write all or [one, two, three]")
		}
		return nil
	}
	names := []string{}
	seen := make(map[string]bool)
	list, _ := d.items(v)
	if len(list) == 0 {
		d.at(v.path, v.at, "no participants are listed", "write all or [one, two, three]")
	}
	for _, e := range list {
		name, ok := d.name(e)
		if ok && seen[name] {
			d.at(e.path, e.at, "participant "+name+" is listed twice", "remove one of them")
		}
		seen[name] = true
		names = append(names, name)
	}
	return names
}

func (d *document) committee(v value) (c Committee) {
	_, keys, ok := d.fields(v, "threshold", "of")
	if !ok {
		return c
	}
	d.require(v, keys, nil, "threshold", "of")
	if v, ok := keys["threshold"]; ok {
		n, _ := d.integer(v, 1, maxSeats)
		c.Threshold = int(n)
	}
	if v, ok := keys["of"]; ok {
		n, _ := d.integer(v, 1, maxSeats)
		c.Of = int(n)
	}
	return c
}
