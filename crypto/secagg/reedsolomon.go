package secagg

import "slices"

// A points is a set of share sums: ys[i] is the vector of the seat at xs[i]. The
// honest ones lie, column by column, on polynomials of degree below t: a
// Reed–Solomon code whose errors hit whole rows.
type points struct {
	xs []uint64
	ys []*vector
}

func (p points) take(rows []int) points {
	var out points
	for _, i := range rows {
		out.xs, out.ys = append(out.xs, p.xs[i]), append(out.ys, p.ys[i])
	}
	return out
}

// interpolate returns the vector at 0 through the points.
func (p points) interpolate() *vector { return combine(lagrange(p.xs, 0), p.ys) }

// offPolynomial returns the rows of p, and a column for each, that the
// polynomials through basis (t rows of p) miss.
func (p points) offPolynomial(basis points) (rows, columns []int) {
	for i, x := range p.xs {
		if slices.Contains(basis.xs, x) {
			continue
		}
		want := combine(lagrange(basis.xs, x), basis.ys)
		for c := range want {
			if want[c] != p.ys[i][c] {
				rows, columns = append(rows, i), append(columns, c)
				break
			}
		}
	}
	return rows, columns
}

// correct finds the rows that are wrong, if at most ⌊(r−t)/2⌋ of the r rows are,
// and returns t right ones. More wrong rows give ok = false or, at worst, another
// codeword: the payload then doesn't open under it.
//
// While the remaining rows don't lie on polynomials of degree below t, one column
// that shows it is decoded. It has at most as many wrong entries as there are
// wrong rows, so its decoding is right; its wrong rows are put away. Each pass
// puts one row away or ends.
func (p points) correct(t int) (good points, wrong int, ok bool) {
	capacity := (len(p.xs) - t) / 2
	for {
		rows, columns := p.offPolynomial(points{p.xs[:t], p.ys[:t]})
		if len(rows) == 0 {
			return points{p.xs[:t], p.ys[:t]}, wrong, true
		}
		column := make([]uint64, len(p.xs))
		for i, y := range p.ys {
			column[i] = uint64(y[columns[0]])
		}
		bad := wrongEntries(p.xs, column, t)
		wrong += len(bad)
		if len(bad) == 0 || wrong > capacity {
			return points{}, 0, false
		}
		var keep []int
		for i := range p.xs {
			if !slices.Contains(bad, i) {
				keep = append(keep, i)
			}
		}
		p = p.take(keep)
	}
}

// wrongEntries decodes one column by [BW86]: it looks for E, monic of degree
// e = ⌊(r−t)/2⌋, and Q of degree below t+e, with Q(x) = y·E(x) at each point. If
// at most e entries are wrong, Q/E is the polynomial. It returns the entries off
// that polynomial, or nil.
func wrongEntries(xs, ys []uint64, t int) []int {
	e := (len(xs) - t) / 2
	if e == 0 {
		return nil
	}
	// Unknowns: t+e coefficients of Q, e of E; right side y·x^e.
	m := make([][]uint64, len(xs))
	for i, x := range xs {
		row := make([]uint64, t+2*e+1)
		pow := uint64(1)
		for d := range t + e {
			row[d] = pow
			if d < e {
				row[t+e+d] = (fieldPrime - ys[i]) % fieldPrime * pow % fieldPrime
			}
			if d == e {
				row[t+2*e] = ys[i] * pow % fieldPrime
			}
			pow = pow * x % fieldPrime
		}
		m[i] = row
	}
	solution, ok := solve(m, t+2*e)
	if !ok {
		return nil
	}
	q, loc := solution[:t+e], append(slices.Clone(solution[t+e:]), 1)
	f, ok := divide(q, loc)
	if !ok {
		return nil
	}
	var bad []int
	for i, x := range xs {
		if evaluate(f, x) != ys[i] {
			bad = append(bad, i)
		}
	}
	if len(bad) > e {
		return nil
	}
	return bad
}

// solve returns one solution of the system with n unknowns whose rows are
// coefficients and right side, free unknowns 0. It overwrites m.
func solve(m [][]uint64, n int) ([]uint64, bool) {
	pivots := make([]int, 0, n)
	for c := 0; c < n && len(pivots) < len(m); c++ {
		r := len(pivots)
		at := slices.IndexFunc(m[r:], func(row []uint64) bool { return row[c] != 0 })
		if at < 0 {
			continue
		}
		m[r], m[r+at] = m[r+at], m[r]
		inv := invert(m[r][c])
		for k := c; k <= n; k++ {
			m[r][k] = m[r][k] * inv % fieldPrime
		}
		for i := range m {
			if f := m[i][c]; i != r && f != 0 {
				for k := c; k <= n; k++ {
					m[i][k] = (m[i][k] + (fieldPrime-f)*m[r][k]) % fieldPrime
				}
			}
		}
		pivots = append(pivots, c)
	}
	for _, row := range m[len(pivots):] {
		if row[n] != 0 {
			return nil, false
		}
	}
	x := make([]uint64, n)
	for r, c := range pivots {
		x[c] = m[r][n]
	}
	return x, true
}

// divide returns a/b for monic b, or false if there is a remainder. Index is
// the power.
func divide(a, b []uint64) ([]uint64, bool) {
	a = slices.Clone(a)
	d := len(b) - 1
	quotient := make([]uint64, max(0, len(a)-d))
	for i := len(quotient) - 1; i >= 0; i-- {
		c := a[i+d]
		quotient[i] = c
		for k := range b {
			a[i+k] = (a[i+k] + (fieldPrime-c)*b[k]) % fieldPrime
		}
	}
	for _, c := range a {
		if c != 0 {
			return nil, false
		}
	}
	return quotient, true
}

// evaluate returns f(x).
func evaluate(f []uint64, x uint64) uint64 {
	var y uint64
	for i := len(f) - 1; i >= 0; i-- {
		y = (y*x + f[i]) % fieldPrime
	}
	return y
}
