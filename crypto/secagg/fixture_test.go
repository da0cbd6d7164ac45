package secagg

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
)

// tb is what *testing.T, *testing.B, *testing.F and *rapid.T share.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// committee makes m seats with fresh keys. Seat i's key is keys[i-1].
func committee(t tb, m int) ([]Seat, []*SeatKey) {
	t.Helper()
	seats, keys := make([]Seat, m), make([]*SeatKey, m)
	for i := range seats {
		k, err := GenerateSeatKey()
		if err != nil {
			t.Fatalf("GenerateSeatKey: %v", err)
		}
		keys[i] = k
		seats[i] = Seat{Index: uint16(i + 1), Member: member(fmt.Sprint("seat ", i+1)), PublicKey: k.Public()}
	}
	return seats, keys
}

func member(name string) Member   { return sha256.Sum256([]byte("member " + name)) }
func context(name string) Context { return sha256.Sum256([]byte("context " + name)) }

func mustParams(t tb, n, b, threshold, m int, lengths ...int) Params {
	t.Helper()
	o := Options{Contributors: n, Bits: b, Threshold: threshold, Seats: m}
	for i, l := range lengths {
		o.Segments = append(o.Segments, Segment{Name: fmt.Sprint("s", i), Length: l, ScaleNum: 1, ScaleDen: 1})
	}
	p, err := NewParams(o)
	if err != nil {
		t.Fatalf("NewParams(%+v): %v", o, err)
	}
	return p
}

// A round is one aggregation under test: real keys, real seals.
type round struct {
	t       tb
	p       Params
	ctx     Context
	seats   []Seat
	keys    []*SeatKey
	acc     *Accumulator
	uploads []*Upload
	shares  [][]Share // by seat
	want    []int64   // the dumb twin: plain sums
}

func newRound(t tb, p Params) *round {
	t.Helper()
	seats, keys := committee(t, p.Seats())
	ctx := context("round 1")
	return &round{t: t, p: p, ctx: ctx, seats: seats, keys: keys, acc: NewAccumulator(p, ctx),
		shares: make([][]Share, p.Seats()), want: make([]int64, p.Length())}
}

func (r *round) sender() Member { return member(fmt.Sprint("sender ", len(r.uploads))) }

// contribute runs one contributor, every seat's unsealing and the addition.
func (r *round) contribute(lanes []int64) *Upload {
	r.t.Helper()
	sender := r.sender()
	up, err := Encrypt(r.p, r.ctx, sender, r.seats, lanes)
	if err != nil {
		r.t.Fatalf("Encrypt: %v", err)
	}
	r.unseal(sender, up)
	if err := r.acc.Add(up.Payload); err != nil {
		r.t.Fatalf("Add: %v", err)
	}
	for i, v := range lanes {
		r.want[i] += v
	}
	return up
}

func (r *round) unseal(sender Member, up *Upload) {
	r.t.Helper()
	r.uploads = append(r.uploads, up)
	for i, s := range r.seats {
		share, err := r.keys[i].OpenShare(r.ctx, sender, s.Member, s.Index, up.Shares[i])
		if err != nil {
			r.t.Fatalf("OpenShare: %v", err)
		}
		r.shares[i] = append(r.shares[i], share)
	}
}

// replies returns the share sums of the given seats, through the wire.
func (r *round) replies(index ...int) []Reply {
	r.t.Helper()
	var out []Reply
	for _, i := range index {
		sum, err := ParseShareSum(SumShares(r.shares[i-1]).Bytes())
		if err != nil {
			r.t.Fatalf("ParseShareSum: %v", err)
		}
		out = append(out, Reply{Index: uint16(i), Sum: sum})
	}
	return out
}

func (r *round) mustOpen(replies []Reply) *Opened {
	r.t.Helper()
	o, err := r.acc.Open(replies)
	if err != nil {
		r.t.Fatalf("Open: %v", err)
	}
	for i, v := range o.Values {
		if v != r.want[i] {
			r.t.Fatalf("lane %d opens to %d, the plain sum is %d", i, v, r.want[i])
		}
	}
	if len(o.Values) != len(r.want) {
		r.t.Fatalf("%d values, want %d", len(o.Values), len(r.want))
	}
	return o
}

// spoil returns a copy of the reply with d added to element c.
func spoil(r Reply, c int, d uint32) Reply {
	v := *r.Sum.values
	v[c] = (v[c] + d) % fieldPrime
	r.Sum.values = &v
	return r
}

// randomLanes are lanes over the whole range, from a fixed seed.
func randomLanes(p Params, seed uint64) []int64 {
	rnd := rand.New(rand.NewPCG(seed, 1))
	lanes := make([]int64, p.Length())
	for i := range lanes {
		lanes[i] = rnd.Int64N(2*p.laneOffset()) - p.laneOffset()
	}
	return lanes
}

func constantLanes(p Params, v int64) []int64 {
	lanes := make([]int64, p.Length())
	for i := range lanes {
		lanes[i] = v
	}
	return lanes
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i + 1
	}
	return out
}

var _ tb = (*testing.T)(nil)
