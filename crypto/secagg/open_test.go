package secagg

import (
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The whole path, against plain addition: any layout, any committee, any t of
// the replies.
func TestOpenedSumsEqualPlainSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(1, MaxContributors)).Draw(t, "n_max")
		b := rapid.IntRange(MinBits, MaxBits).Draw(t, "b")
		m := rapid.IntRange(1, 5).Draw(t, "m")
		threshold := rapid.IntRange(1, m).Draw(t, "t")
		lengths := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 50), rapid.IntRange(0, 20_000)), 1, 4).Draw(t, "lengths")
		lengths = append(lengths, 1)
		r := newRound(t, mustParams(t, n, b, threshold, m, lengths...))
		for i := range rapid.IntRange(1, min(n, 3)).Draw(t, "contributors") {
			r.contribute(randomLanes(r.p, rapid.Uint64().Draw(t, "seed")+uint64(i)))
		}
		subset := rapid.Permutation(upTo(m)).Draw(t, "replies")[:rapid.IntRange(threshold, m).Draw(t, "r")]
		o := r.mustOpen(r.replies(subset...))
		if len(o.Suspects) != 0 {
			t.Fatalf("honest seats %v are suspects", o.Suspects)
		}
	})
}

func TestSegmentsSurviveTheRoundTrip(t *testing.T) {
	p, err := NewParams(Options{Contributors: 3, Bits: 24, Threshold: 2, Seats: 3,
		Segments: []Segment{{"rows", 1, 1, 1}, {"gradient", 500, 1<<23 - 1, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRound(t, p)
	values := [][]float64{{1234}, make([]float64, 500)}
	for i := range values[1] {
		values[1][i] = float64(i-250) / 250
	}
	for range 3 {
		lanes, err := p.Quantise(values)
		if err != nil {
			t.Fatal(err)
		}
		r.contribute(lanes)
	}
	out := p.Dequantise(r.mustOpen(r.replies(3, 1)).Values)
	if out[0][0] != 3*1234 {
		t.Errorf("rows sum to %v", out[0][0])
	}
	for i, v := range out[1] {
		if d := v - 3*values[1][i]; d > 3*0.5000001/(1<<23-1) || d < -3*0.5000001/(1<<23-1) {
			t.Errorf("gradient %d opens to %v, want %v", i, v, 3*values[1][i])
		}
	}
}

// addPlain adds n contributions of constant lanes without sealing the shares:
// the largest cohort in a second.
func (r *round) addPlain(n int, v int64) (sum points) {
	r.t.Helper()
	lanes := constantLanes(r.p, v)
	for i := range n {
		key, shares := dealt(r.t, r.p.Threshold(), r.p.Seats())
		payload, err := r.p.encryptPayload(r.ctx, &key, lanes, rand.Reader)
		if err != nil {
			r.t.Fatalf("encryptPayload: %v", err)
		}
		if err := r.acc.Add(payload); err != nil {
			r.t.Fatalf("Add: %v", err)
		}
		if i == 0 {
			sum = shares
			continue
		}
		for k := range sum.ys {
			sum.ys[k].add(shares.ys[k])
		}
	}
	for i := range r.want {
		r.want[i] = int64(n) * v
	}
	return sum
}

func (r *round) plainReplies(sum points) (out []Reply) {
	for i, x := range sum.xs {
		out = append(out, Reply{uint16(x), ShareSum{uint16(x), uint16(r.acc.Count()), sum.ys[i]}})
	}
	return out
}

func TestExtremesOpenExactlyAtTheLargestCohort(t *testing.T) {
	for _, c := range []struct {
		n, b int
		top  bool
	}{
		{MaxContributors, 40, true}, {MaxContributors, 11, true}, {MaxContributors, 11, false},
		{102, 16, true}, {102, 16, false}, {103, 8, true}, {1, 8, true}, {1, 8, false}, {1, 40, true}, {2, 39, true},
	} {
		r := newRound(t, mustParams(t, c.n, c.b, 2, 3, 130))
		v := -r.p.laneOffset()
		if c.top {
			v = r.p.laneOffset() - 1
		}
		r.mustOpen(r.plainReplies(r.addPlain(c.n, v)))
	}
}

func TestOnePayloadTooManyIsRefused(t *testing.T) {
	r := newRound(t, mustParams(t, 2, 8, 1, 1, 10))
	r.contribute(constantLanes(r.p, 1))
	up := r.contribute(constantLanes(r.p, 1))
	if err := r.acc.Add(up.Payload); !errors.Is(err, ErrFull) {
		t.Fatalf("got %v", err)
	}
	if r.acc.Count() != 2 {
		t.Fatalf("count is %d", r.acc.Count())
	}
	r.mustOpen(r.replies(1))
}

func TestAccumulatorOpensOnce(t *testing.T) {
	r := newRound(t, mustParams(t, 3, 8, 1, 2, 10))
	up := r.contribute(constantLanes(r.p, 1))
	r.mustOpen(r.replies(1))
	if _, err := r.acc.Open(r.replies(1)); !errors.Is(err, ErrUsed) {
		t.Errorf("second Open: %v", err)
	}
	if err := r.acc.Add(up.Payload); !errors.Is(err, ErrUsed) {
		t.Errorf("Add after Open: %v", err)
	}
	if err := r.acc.AddReader(nil); !errors.Is(err, ErrUsed) {
		t.Errorf("AddReader after Open: %v", err)
	}
}

func TestEmptySumDoesntOpen(t *testing.T) {
	r := newRound(t, mustParams(t, 3, 8, 1, 2, 10))
	if _, err := r.acc.Open(nil); !errors.Is(err, ErrEmpty) {
		t.Fatalf("got %v", err)
	}
}

func TestTooFewRepliesDontOpenAndMoreDo(t *testing.T) {
	r := newRound(t, mustParams(t, 3, 16, 3, 4, 100))
	r.contribute(randomLanes(r.p, 1))
	r.contribute(randomLanes(r.p, 2))
	for _, have := range [][]int{nil, {2}, {1, 4}} {
		if _, err := r.acc.Open(r.replies(have...)); !errors.Is(err, ErrTooFewReplies) {
			t.Errorf("replies %v: %v", have, err)
		}
	}
	r.mustOpen(r.replies(1, 4, 2))
}

func TestRepliesOutsideTheCommitteeOrTwiceAreRefused(t *testing.T) {
	r := newRound(t, mustParams(t, 3, 16, 2, 3, 100))
	r.contribute(randomLanes(r.p, 1))
	one := r.replies(1)[0]
	for _, index := range []uint16{0, 4, 65535, 1} {
		bad := one
		bad.Index = index
		if _, err := r.acc.Open([]Reply{one, bad}); !errors.Is(err, ErrMalformed) {
			t.Errorf("index %d: %v", index, err)
		}
	}
}

// t-1 replies that are t's worth by a copy under another seat's name are too few.
func TestReplyOfAnotherSeatOrRosterIsSuspectNotCounted(t *testing.T) {
	r := newRound(t, mustParams(t, 3, 16, 2, 3, 100))
	r.contribute(randomLanes(r.p, 1))
	early := r.replies(2)[0] // over one contributor
	r.contribute(randomLanes(r.p, 2))
	for name, bad := range map[string]Reply{
		"copied from seat 1":   {Index: 2, Sum: r.replies(1)[0].Sum},
		"over another roster":  early,
		"the zero ShareSum":    {Index: 2},
		"of no shares at all":  {Index: 2, Sum: SumShares(nil)},
		"of one share too few": {Index: 2, Sum: SumShares(r.shares[1][1:])},
	} {
		if _, err := r.acc.Open([]Reply{r.replies(1)[0], bad}); !errors.Is(err, ErrTooFewReplies) {
			t.Errorf("a reply %s: %v", name, err)
		}
	}
	o := r.mustOpen([]Reply{early, r.replies(1)[0], r.replies(3)[0]})
	if !slices.Equal(o.Suspects, []uint16{2}) {
		t.Errorf("suspects %v, want 2", o.Suspects)
	}
}

// One seat of each committee that design §2 names returns a wrong sum.
// m=4, t=3 has no correction capacity: the subset search finds it. Reference: §4.
func TestWrongReplyIsCorrectedAndNamed(t *testing.T) {
	for _, c := range []struct{ m, t, wrong int }{
		{4, 3, 1}, {5, 3, 1}, {7, 5, 1}, {7, 5, 2}, {10, 7, 1}, {10, 7, 3}, {5, 2, 3}, {2, 1, 1},
	} {
		r := newRound(t, mustParams(t, 5, 16, c.t, c.m, 300))
		for i := range 3 {
			r.contribute(randomLanes(r.p, uint64(i)))
		}
		replies := r.replies(upTo(c.m)...)
		var want []uint16
		for i := range c.wrong {
			at := (3*i + 1) % c.m
			replies[at] = spoil(replies[at], 4095-i, uint32(1+1000*i))
			want = append(want, uint16(at+1))
		}
		slices.Sort(want)
		o := r.mustOpen(replies)
		if !slices.Equal(o.Suspects, want) {
			t.Errorf("%d of %d, %d wrong: suspects %v, want %v", c.t, c.m, c.wrong, o.Suspects, want)
		}
	}
}

func TestWrongReplyWithoutASpareDoesntOpen(t *testing.T) {
	r := newRound(t, mustParams(t, 5, 16, 3, 3, 300))
	r.contribute(randomLanes(r.p, 1))
	r.contribute(randomLanes(r.p, 2))
	replies := r.replies(1, 2, 3)
	replies[1] = spoil(replies[1], 17, 1)
	if _, err := r.acc.Open(replies); !errors.Is(err, ErrUnopenable) {
		t.Fatalf("got %v", err)
	}
	r.mustOpen(r.replies(1, 2, 3)) // and the accumulator still opens
}

func TestAllRepliesWrongIsUnopenable(t *testing.T) {
	for _, c := range []struct{ m, t int }{{4, 3}, {7, 5}, {3, 3}, {5, 1}} {
		r := newRound(t, mustParams(t, 5, 16, c.t, c.m, 300))
		r.contribute(randomLanes(r.p, 1))
		replies := r.replies(upTo(c.m)...)
		for i := range replies {
			replies[i] = spoil(replies[i], i, uint32(i+1))
		}
		if o, err := r.acc.Open(replies); !errors.Is(err, ErrUnopenable) {
			t.Errorf("%d of %d: %v %v", c.t, c.m, o, err)
		}
	}
}

// The least wrong key there is: one coefficient off by one, agreed by all seats.
func TestKeySumOffByOneIsRejected(t *testing.T) {
	for _, n := range []int{1, 102, MaxContributors} {
		r := newRound(t, mustParams(t, n, 11, 2, 4, 10))
		sum := r.addPlain(min(n, 3), 5)
		for _, c := range []int{0, 1, 4095} {
			for _, d := range []uint32{1, fieldPrime - 1} {
				replies := r.plainReplies(sum)
				for i := range replies {
					replies[i] = spoil(replies[i], c, d) // adds the constant polynomial d
				}
				if _, err := r.acc.Open(replies); !errors.Is(err, ErrRange) {
					t.Errorf("n=%d, all seats agree: %v", n, err)
				}
				if _, err := r.acc.Open(replies[:2]); !errors.Is(err, ErrUnopenable) {
					t.Errorf("n=%d, no spare reply: %v", n, err)
				}
			}
		}
		r.mustOpen(r.plainReplies(sum))
	}
}

func TestTwoKeySumsThatOpenAreRefused(t *testing.T) {
	_, p := dealt(t, 2, 4)
	p.ys[3][0] = (p.ys[3][0] + 1) % fieldPrime
	right := p.take([]int{0, 1}).interpolate()
	other := p.take([]int{1, 3}).interpolate()
	good, err := p.search(2, func(k *vector) bool { return *k == *right })
	if err != nil || *good.interpolate() != *right {
		t.Fatalf("one key: %v", err)
	}
	if _, err := p.search(2, func(k *vector) bool { return *k == *right || *k == *other }); !errors.Is(err, ErrUnopenable) {
		t.Fatalf("two keys: %v", err)
	}
}

func TestSearchIsBounded(t *testing.T) {
	for _, c := range []struct {
		r, t int
		few  bool
	}{{4, 3, true}, {10, 7, true}, {15, 8, true}, {16, 8, false}, {64, 33, false}, {64, 64, true}, {64, 1, true}, {3, 3, true}} {
		if fewSubsets(c.r, c.t) != c.few {
			t.Errorf("%d of %d: few is %v", c.t, c.r, !c.few)
		}
	}
	_, p := dealt(t, 2, 64)
	if _, err := p.take(upTo(20)).search(10, func(*vector) bool { panic("tried") }); !errors.Is(err, ErrUnopenable) {
		t.Errorf("got %v", err)
	}
}
