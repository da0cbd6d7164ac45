package onnx

import "math"

// bucket is from ≤ x < to, without a bound where there is none.
type bucket struct{ From, To *float64 }

// bounds are what a number is clamped to: its fitted quantiles lie within its declared range.
func (n *number) bounds() (lo, hi float64) {
	if n.Lowest != nil && n.Highest != nil {
		return *n.Lowest, *n.Highest
	}
	return n.Min, n.Max
}

// buckets encodes a number as a 1 among zeros: at its bucket, at its missing indicator, or at "other" if these are folded.
func (e *encoder) buckets(f []encoded) {
	e.input(f[0].Feature, e.real)
	var from, to []float64
	var missing, other *encoded
	for i := range f {
		c := &f[i]
		switch {
		case c.Role == "other":
			other = c
		case c.Folded:
		case c.Role == "missing":
			missing = c
		default:
			lo, hi := math.Inf(-1), math.Inf(1)
			if c.Bucket.From != nil {
				lo = *c.Bucket.From
			}
			if c.Bucket.To != nil {
				hi = *c.Bucket.To
			}
			from, to = append(from, lo), append(to, hi)
			e.kept = append(e.kept, *c)
		}
	}
	absent, x := e.clipped(f)
	cast := func(bits string) string { return e.node("Cast", []string{bits}, integerAttribute("to", int64(e.real))) }
	var hot []string
	if n := len(from); n > 0 {
		within := e.node("And", []string{e.node("GreaterOrEqual", []string{x, e.constant(from, 1, n)}), e.node("Less", []string{x, e.constant(to, 1, n)})})
		hot = append(hot, cast(e.node("And", []string{within, e.node("Not", []string{absent})})))
	}
	if missing != nil {
		hot = append(hot, cast(absent))
		e.kept = append(e.kept, *missing)
	}
	rest := e.node("Add", []string{e.node("Mul", []string{cast(absent), e.scalar(0)}), e.scalar(1)}) // a 1 in each row
	if len(hot) > 0 {
		all := e.node("Concat", hot, integerAttribute("axis", 1))
		e.parts = append(e.parts, all)
		width := len(from)
		if missing != nil {
			width++
		}
		rest = e.node("Sub", []string{rest, e.node("MatMul", []string{all, e.constant(ones(width), width, 1)})})
	}
	e.parts, e.kept = append(e.parts, rest), append(e.kept, *other)
}

// clipped is whether a number in buckets is missing, and the number within its range.
func (e *encoder) clipped(f []encoded) (absent, x string) {
	in := f[0].Feature
	absent = e.node("IsNaN", []string{in})
	for _, c := range f {
		if c.Role == "other" {
			least, most := e.scalar(c.Range.Min), e.scalar(c.Range.Max)
			x = e.node("Clip", []string{e.node("Where", []string{absent, least, in}), least, most})
		}
	}
	return absent, x
}
