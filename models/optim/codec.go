package optim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrState is wrapped by every error of DecodeState.
var ErrState = errors.New("invalid state")

// stateVersion is the first field of an encoded state; 1 had no variances.
const stateVersion = 4

// Encode is the state's one encoding, big-endian; floats are IEEE 754 bits:
//
//	version u16, kind u8, step u32, rounds u32, converged u8
//	not FIT:     rows u64, positives u64, held_out u64, mean []f64, sd []f64, folded []u8, w []f64; with groups: group_rows []u64
//	rounds > 0:  best []f64, best_objective f64, decrement f64
//	TRAIN with rounds > 0 and a patience:  watched []f64, held_out_loss f64, worse u32
//	not FIT, not TRAIN, without L1:  variance []f64
//	DONE:        train_loss f64, objective f64, held_out u64, positives u64, auc, log_loss, accuracy (known u8, f64)
//
// Of a label that is a number, its mean f64 and sd f64 are before the list of means, and rmse, mae and r2 in place of auc, log_loss
// and accuracy; so in the other exact encodings.
//
// Each list is a u32 length and its items. This is an exact linear model's; a private program's state has an encoding of its
// own, see encodePrivate.
func (s *State) Encode() []byte { return s.solver.encode(s) }

func (p *Program) encodeExact(s *State) []byte {
	var e encoder
	e.begin(stateVersion, s)
	e.flag(s.converged)
	if s.kind == Fit {
		return e.buf
	}
	e.fitted(s.fitted)
	e.list(s.w)
	e.groups(s.groups)
	if s.rounds > 0 {
		e.list(s.best)
		e.numbers(s.bestObjective, s.decrement)
	}
	e.watch(s.watch)
	if s.variance != nil {
		e.list(s.variance)
	}
	if s.kind == Done {
		e.summary(p, &s.summary)
	}
	return e.buf
}

// DecodeState reads a state of this program. It is strict: what decodes encodes to the same bytes, and is a state that the
// program can reach as far as one state shows. It doesn't show that a sum led there: for that the step is recomputed.
func (p *Program) DecodeState(data []byte) (*State, error) {
	s, err := p.solver.decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	s.solver = p.solver
	return s, nil
}

// begin writes what every encoding of a state begins with.
func (e *encoder) begin(version uint16, s *State) {
	e.buf = binary.BigEndian.AppendUint16(e.buf, version)
	e.buf = append(e.buf, byte(s.kind))
	e.buf = binary.BigEndian.AppendUint32(e.buf, s.step)
	e.buf = binary.BigEndian.AppendUint32(e.buf, s.rounds)
}

// decodeState reads a state to its end: what begin wrote, whether the solver has converged if it tells, the body of a state after FIT.
// check holds what was read to what Apply can give.
func decodeState(data []byte, version uint16, converges bool, body func(*decoder, *State), check func(*State) error) (*State, error) {
	return decodeKinds(data, version, converges, map[RoundKind]func(*decoder, *State){Fit: nil, Train: body, Evaluate: body, Done: body}, check)
}

// decodeKinds is decodeState with a body for each kind of state; nil: it has none.
func decodeKinds(data []byte, version uint16, converges bool, bodies map[RoundKind]func(*decoder, *State), check func(*State) error) (*State, error) {
	d := decoder{buf: data}
	if got := d.u16(); d.err == nil && got != version {
		d.fail("version %d, want %d", got, version)
	}
	s := &State{kind: RoundKind(d.u8()), step: d.u32(), rounds: d.u32()}
	if converges {
		s.converged = d.flag()
	}
	body, known := bodies[s.kind]
	switch {
	case d.err != nil:
	case !known:
		d.fail("unknown kind %d", s.kind)
	case body != nil:
		body(&d, s)
	}
	if d.err == nil && len(d.buf) != 0 {
		d.fail("%d bytes after the end", len(d.buf))
	}
	if d.err == nil {
		d.err = check(s)
	}
	return s, d.err
}

func (p *Program) decodeExact(data []byte) (*State, error) {
	return decodeState(data, stateVersion, true, p.decodeBody, p.checkState)
}

func (p *Program) decodeBody(d *decoder, s *State) {
	coefficients := p.Coefficients()
	s.fitted = d.fitted(p)
	s.w = d.list(coefficients)
	s.groups = d.groups(p.groupCount())
	if s.rounds > 0 {
		s.best = d.list(coefficients)
		s.bestObjective, s.decrement = d.f64(), d.f64()
	}
	d.watch(p, s)
	if s.kind != Train && p.infers() {
		s.variance = d.list(coefficients)
	}
	if s.kind == Done {
		s.summary = d.summary(p, s.fitted.Rows)
	}
}

// checkState holds a state to what Apply can give.
func (p *Program) checkState(s *State) error {
	if s.kind == Fit {
		return checkStart(s)
	}
	if err := p.checkProgress(s); err != nil {
		return err
	}
	if err := p.checkFitted(s.fitted); err != nil {
		return err
	}
	if err := p.checkGroups(s.groups, s.fitted.HeldOut); err != nil {
		return err
	}
	if s.bestObjective < 0 || s.decrement < 0 {
		return fmt.Errorf("objective %g, decrement %g", s.bestObjective, s.decrement)
	}
	if s.rounds == 0 {
		return p.checkStarted(s.fitted, s.w)
	}
	if err := p.checkWatched(s); err != nil {
		return err
	}
	for i, w := range s.w {
		zero := i < len(s.fitted.Folded) && s.fitted.Folded[i]
		if zero && w != 0 || math.Abs(w) > maxCoefficient || s.rounds > 0 && (zero && s.best[i] != 0 || math.Abs(s.best[i]) > maxCoefficient) {
			return fmt.Errorf("coefficient %d is %g", i, w)
		}
	}
	return p.checkVariance(s)
}

// checkProgress holds a state after FIT to the rounds that lead to its kind.
func (p *Program) checkProgress(s *State) error {
	limit := uint32(p.Model.MaxRounds)
	var ok bool
	// A watched training ends early, or with the coefficients of an earlier round.
	switch early := s.converged || p.watches() && s.rounds >= 2; s.kind {
	case Train:
		ok = s.rounds < limit && s.step == s.rounds+1 && !s.converged
	case Evaluate:
		ok = s.rounds >= 1 && s.rounds <= limit && s.step == s.rounds+1 && (early || s.rounds == limit)
	case Done:
		ok = s.rounds >= 1 && s.rounds <= limit && s.step == s.rounds+2 && (early || s.rounds == limit)
	}
	if !ok {
		return fmt.Errorf("kind %s, step %d, %d TRAIN rounds of %d, converged %t", s.kind, s.step, s.rounds, limit, s.converged)
	}
	return nil
}

// checkVariance holds what is known of a model's errors to its optimum.
func (p *Program) checkVariance(s *State) error {
	for i, v := range s.variance {
		unknown := !s.converged || p.folded(s.fitted, i)
		if !(v >= 0) || math.Signbit(v) || unknown && v != 0 {
			return fmt.Errorf("variance %d is %g", i, v)
		}
	}
	return nil
}

// checkStart holds a state before FIT to the only one there is.
func checkStart(s *State) error {
	if s.step != 0 || s.rounds != 0 || s.converged {
		return errors.New("a state before FIT has no steps")
	}
	return nil
}

type encoder struct{ buf []byte }

func (e *encoder) flag(b bool) {
	if b {
		e.buf = append(e.buf, 1)
		return
	}
	e.buf = append(e.buf, 0)
}

func (e *encoder) length(n int) { e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(n)) }

func (e *encoder) integers(values ...int64) {
	for _, v := range values {
		e.buf = binary.BigEndian.AppendUint64(e.buf, uint64(v))
	}
}

func (e *encoder) numbers(values ...float64) {
	for _, v := range values {
		e.buf = binary.BigEndian.AppendUint64(e.buf, math.Float64bits(v))
	}
}

func (e *encoder) list(values []float64) {
	e.length(len(values))
	e.numbers(values...)
}

// decoder reads fields until the first problem, after which it gives zeros.
type decoder struct {
	buf []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *decoder) take(n int) []byte {
	if d.err == nil && len(d.buf) < n {
		d.fail("truncated")
	}
	if d.err != nil {
		return make([]byte, n)
	}
	out := d.buf[:n]
	d.buf = d.buf[n:]
	return out
}

func (d *decoder) u8() uint8   { return d.take(1)[0] }
func (d *decoder) u16() uint16 { return binary.BigEndian.Uint16(d.take(2)) }
func (d *decoder) u32() uint32 { return binary.BigEndian.Uint32(d.take(4)) }

func (d *decoder) flag() bool {
	b := d.u8()
	if b > 1 {
		d.fail("a flag is %d", b)
	}
	return b == 1
}

func (d *decoder) i64() int64 {
	v := binary.BigEndian.Uint64(d.take(8))
	if v > 1<<53 {
		d.fail("a count is %d", v)
	}
	return int64(v)
}

func (d *decoder) f64() float64 {
	v := math.Float64frombits(binary.BigEndian.Uint64(d.take(8)))
	if math.IsNaN(v) || math.IsInf(v, 0) {
		d.fail("a number is %g", v)
		return 0
	}
	return v
}

// length reads a list's length, which must be n items of the given bytes that are all there.
func (d *decoder) length(n, bytes int) bool {
	if got := d.u32(); d.err == nil && int64(got) != int64(n) {
		d.fail("a list of %d, want %d", got, n)
	}
	if d.err == nil && len(d.buf) < n*bytes {
		d.fail("truncated")
	}
	return d.err == nil
}

func (d *decoder) list(n int) []float64 {
	if !d.length(n, 8) {
		return nil
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = d.f64()
	}
	return out
}

func (d *decoder) counts(n int) []int64 {
	if !d.length(n, 8) {
		return nil
	}
	out := make([]int64, n)
	for i := range out {
		out[i] = d.i64()
	}
	return out
}
