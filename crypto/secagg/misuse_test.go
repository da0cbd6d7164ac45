package secagg

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// A colluder that sends a copy of someone's payload has no key shares for it:
// with shares of a key of its own the sum doesn't open. Reference: §3.
func TestCopiedPayloadDoesntOpen(t *testing.T) {
	r := newRound(t, mustParams(t, 5, 16, 3, 4, 300))
	victim := r.contribute(randomLanes(r.p, 1))
	own, err := Encrypt(r.p, r.ctx, r.sender(), r.seats, constantLanes(r.p, 0))
	if err != nil {
		t.Fatal(err)
	}
	r.unseal(r.sender(), own)
	if err := r.acc.Add(victim.Payload); err != nil {
		t.Fatal(err)
	}
	if _, err := r.acc.Open(r.replies(1, 2, 3, 4)); !errors.Is(err, ErrRange) {
		t.Errorf("four replies: %v", err)
	}
	if _, err := r.acc.Open(r.replies(1, 2, 3)); !errors.Is(err, ErrUnopenable) {
		t.Errorf("three replies: %v", err)
	}
}

// Nor do the victim's shares help: they don't unseal under another sender.
func TestCopiedSharesDontUnseal(t *testing.T) {
	r := newRound(t, mustParams(t, 5, 16, 3, 4, 300))
	victim := r.contribute(randomLanes(r.p, 1))
	for i, s := range r.seats {
		if _, err := r.keys[i].OpenShare(r.ctx, member("copier"), s.Member, s.Index, victim.Shares[i]); !errors.Is(err, ErrUnseal) {
			t.Errorf("seat %d: %v", s.Index, err)
		}
	}
}

// A negated payload would cancel the victim's vector from the sum.
func TestNegatedPayloadDoesntOpen(t *testing.T) {
	r := newRound(t, mustParams(t, 5, 16, 3, 4, 300))
	victim := r.contribute(randomLanes(r.p, 1))
	r.contribute(randomLanes(r.p, 2))
	s0, s1 := make([]uint64, r.p.coeffs), make([]uint64, r.p.coeffs)
	addResidues(s0, s1, victim.Payload[payloadHeaderBytes:])
	for i := range s0 {
		s0[i], s1[i] = (prime0-s0[i])%prime0, (prime1-s1[i])%prime1
	}
	negated := append([]byte(nil), victim.Payload...)
	packResidues(negated[payloadHeaderBytes:], s0, s1)
	own, err := Encrypt(r.p, r.ctx, r.sender(), r.seats, constantLanes(r.p, 0))
	if err != nil {
		t.Fatal(err)
	}
	r.unseal(r.sender(), own)
	if err := r.acc.Add(negated); err != nil {
		t.Fatal(err)
	}
	if _, err := r.acc.Open(r.replies(1, 2, 3, 4)); !errors.Is(err, ErrRange) {
		t.Errorf("got %v", err)
	}
}

func TestPayloadUnderAnotherKeyDoesntOpen(t *testing.T) {
	p := mustParams(t, 5, 16, 3, 4, 300)
	r, other := newRound(t, p), newRound(t, p)
	r.contribute(randomLanes(p, 1))
	other.contribute(randomLanes(p, 1))
	if _, err := r.acc.Open(other.replies(1, 2, 3)); !errors.Is(err, ErrUnopenable) {
		t.Errorf("got %v", err)
	}
}

// Errors or lanes beyond their range name no seat: a contributor is at fault.
func TestContributionOutOfRangeIsRefused(t *testing.T) {
	for name, edit := range map[string]func(p *Params, key *[ringDegree]int64, payload []byte){
		"error":      func(p *Params, _ *[ringDegree]int64, b []byte) { shift(p, b, 0, 1<<11) },
		"spare bits": func(p *Params, _ *[ringDegree]int64, b []byte) { shift(p, b, 63, 1<<12) },
		"lane":       func(p *Params, _ *[ringDegree]int64, b []byte) { shift(p, b, 0, 2*255<<12) },
	} {
		r := newRound(t, mustParams(t, 3, 8, 2, 3, 1))
		key, sum := dealt(t, 2, 3)
		payload, err := r.p.encryptPayload(r.ctx, &key, []int64{127}, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		edit(&r.p, &key, payload)
		if err := r.acc.Add(payload); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := r.acc.Open(r.plainReplies(sum)); !errors.Is(err, ErrRange) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// shift adds v to coefficient c of a payload.
func shift(p *Params, payload []byte, c int, v uint64) {
	s0, s1 := make([]uint64, p.coeffs), make([]uint64, p.coeffs)
	body := payload[payloadHeaderBytes:]
	addResidues(s0, s1, body)
	s0[c], s1[c] = (s0[c]+v)%prime0, (s1[c]+v)%prime1
	packResidues(body, s0, s1)
}

func TestKeyOutOfRangeIsRefused(t *testing.T) {
	r := newRound(t, mustParams(t, 3, 8, 2, 3, 1))
	var key [ringDegree]int64
	key[7] = 33 // the bound for one contributor is 20
	coins, err := freshCoins(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	shares := shareKey(&key, 2, 3, coins)
	payload, err := r.p.encryptPayload(r.ctx, &key, []int64{1}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.acc.Add(payload); err != nil {
		t.Fatal(err)
	}
	if _, err := r.acc.Open(r.plainReplies(points{[]uint64{1, 2, 3}, shares})); !errors.Is(err, ErrRange) {
		t.Errorf("got %v", err)
	}
}

func TestMalformedPayloadLeavesTheSumAsItWas(t *testing.T) {
	r := newRound(t, mustParams(t, 5, 16, 1, 2, 20_000))
	r.contribute(randomLanes(r.p, 1))
	up := r.contribute(randomLanes(r.p, 2))
	bad := append([]byte(nil), up.Payload...)
	for i := len(bad) - 27; i < len(bad); i++ {
		bad[i] = 0xff // the last residues aren't below their primes
	}
	if err := r.acc.Add(bad); !errors.Is(err, ErrMalformed) {
		t.Errorf("Add: %v", err)
	}
	if err := r.acc.AddReader(bytes.NewReader(bad)); !errors.Is(err, ErrMalformed) {
		t.Errorf("AddReader: %v", err)
	}
	if r.acc.Count() != 2 {
		t.Errorf("count is %d", r.acc.Count())
	}
	r.mustOpen(r.replies(2))
}

func TestPayloadOfAnotherRoundOrLayoutIsRefused(t *testing.T) {
	p := mustParams(t, 5, 16, 1, 1, 300)
	seats, _ := committee(t, 1)
	for name, c := range map[string]struct {
		p   Params
		ctx Context
	}{
		"context": {p, context("round 2")},
		"n_max":   {mustParams(t, 6, 16, 1, 1, 300), context("round 1")},
		"bits":    {mustParams(t, 5, 15, 1, 1, 300), context("round 1")},
		"length":  {mustParams(t, 5, 16, 1, 1, 299), context("round 1")},
	} {
		up, err := Encrypt(c.p, c.ctx, Member{}, seats, constantLanes(c.p, 1))
		if err != nil {
			t.Fatal(err)
		}
		acc := NewAccumulator(p, context("round 1"))
		if err := acc.Add(up.Payload); !errors.Is(err, ErrMalformed) || acc.Count() != 0 {
			t.Errorf("other %s: %v", name, err)
		}
	}
}

func TestEachBitOfThePayloadHeaderIsChecked(t *testing.T) {
	r := newRound(t, mustParams(t, 5, 16, 1, 1, 300))
	up := r.contribute(constantLanes(r.p, 1))
	for bit := range 8 * payloadHeaderBytes {
		bad := append([]byte(nil), up.Payload...)
		bad[bit/8] ^= 1 << (bit % 8)
		if err := r.acc.Add(bad); !errors.Is(err, ErrMalformed) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	for _, size := range []int{0, 1, 47, 48, len(up.Payload) - 1} {
		if err := r.acc.Add(up.Payload[:size]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if err := r.acc.Add(append(up.Payload, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestStreamedPayloadAddsAsAWholeOne(t *testing.T) {
	r := newRound(t, mustParams(t, 5, 16, 1, 2, 2000))
	lanes := randomLanes(r.p, 1)
	up := r.contribute(lanes)
	again, err := Encrypt(r.p, r.ctx, r.sender(), r.seats, lanes)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken pipe")
	for name, in := range map[string]io.Reader{
		"cut in the header": bytes.NewReader(again.Payload[:20]),
		"cut in the body":   bytes.NewReader(again.Payload[:len(again.Payload)-1]),
		"header alone":      bytes.NewReader(again.Payload[:payloadHeaderBytes]),
		"empty":             bytes.NewReader(nil),
		"too long":          bytes.NewReader(append(bytes.Clone(again.Payload), 0)),
		"another round's":   io.MultiReader(bytes.NewReader(make([]byte, payloadHeaderBytes)), iotest.ErrReader(errors.New("read on"))),
	} {
		if err := r.acc.AddReader(in); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, size := range []int{0, 30, 100, len(again.Payload)} {
		in := io.MultiReader(bytes.NewReader(again.Payload[:size]), iotest.ErrReader(broken))
		if err := r.acc.AddReader(in); !errors.Is(err, broken) {
			t.Errorf("broken after %d bytes: %v", size, err)
		}
	}
	r.unseal(r.sender(), again)
	if err := r.acc.AddReader(iotest.OneByteReader(bytes.NewReader(again.Payload))); err != nil {
		t.Fatal(err)
	}
	for i, v := range lanes {
		r.want[i] += v
	}
	_ = up
	r.mustOpen(r.replies(1))
}

func TestAddAllocatesNothing(t *testing.T) {
	r := newRound(t, mustParams(t, MaxContributors, 16, 1, 1, 5000))
	up := r.contribute(randomLanes(r.p, 1))
	in := bytes.NewReader(up.Payload)
	if err := r.acc.AddReader(in); err != nil {
		t.Fatal(err)
	}
	allocs := testing.AllocsPerRun(100, func() {
		in.Reset(up.Payload)
		if r.acc.Add(up.Payload) != nil || r.acc.AddReader(in) != nil {
			t.Fatal("Add failed")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations per payload", allocs)
	}
}

func TestEncryptRefusesWrongLanesAndCommittees(t *testing.T) {
	p := mustParams(t, 5, 8, 2, 3, 100)
	seats, _ := committee(t, 3)
	lane := func(v int64) []int64 { l := constantLanes(p, 0); l[99] = v; return l }
	edit := func(f func(s []Seat) []Seat) []Seat { return f(append([]Seat(nil), seats...)) }
	for name, c := range map[string]struct {
		seats []Seat
		lanes []int64
		want  error
	}{
		"a lane too few":       {seats, constantLanes(p, 0)[1:], ErrShape},
		"a lane too high":      {seats, lane(128), ErrOutOfLane},
		"a lane too low":       {seats, lane(-129), ErrOutOfLane},
		"the highest int64":    {seats, lane(1<<63 - 1), ErrOutOfLane},
		"the lowest int64":     {seats, lane(-1 << 63), ErrOutOfLane},
		"a seat too few":       {seats[1:], lane(0), ErrSeats},
		"index 0":              {edit(func(s []Seat) []Seat { s[0].Index = 0; return s }), lane(0), ErrSeats},
		"index 4":              {edit(func(s []Seat) []Seat { s[0].Index = 4; return s }), lane(0), ErrSeats},
		"an index twice":       {edit(func(s []Seat) []Seat { s[0].Index = 2; return s }), lane(0), ErrSeats},
		"a member twice":       {edit(func(s []Seat) []Seat { s[0].Member = s[1].Member; return s }), lane(0), ErrSeats},
		"no public key":        {edit(func(s []Seat) []Seat { s[2].PublicKey = nil; return s }), lane(0), ErrMalformed},
		"a useless X25519 key": {edit(func(s []Seat) []Seat { s[2].PublicKey = zeroX25519(seats[2].PublicKey); return s }), lane(0), ErrMalformed},
	} {
		if up, err := Encrypt(p, Context{}, Member{}, c.seats, c.lanes); !errors.Is(err, c.want) || up != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Encrypt(p, Context{}, Member{}, []Seat{seats[2], seats[0], seats[1]}, lane(-128)); err != nil {
		t.Errorf("seats in another order: %v", err)
	}
}

func TestEncryptWithoutRandomnessFails(t *testing.T) {
	p := mustParams(t, 5, 8, 2, 3, 40_000)
	seats, _ := committee(t, 3)
	broken := errors.New("no randomness")
	for bytes := range int64(4 * 32) { // key, sharing, two polynomials
		in := io.MultiReader(io.LimitReader(rand.Reader, bytes), iotest.ErrReader(broken))
		if up, err := encrypt(p, Context{}, Member{}, seats, constantLanes(p, 0), in); !errors.Is(err, broken) || up != nil {
			t.Fatalf("after %d bytes: %v", bytes, err)
		}
	}
}

func TestTwoPayloadsOfOneVectorHaveNothingInCommon(t *testing.T) {
	p := mustParams(t, 5, 8, 1, 1, 5000)
	seats, _ := committee(t, 1)
	a, err1 := Encrypt(p, Context{}, Member{}, seats, constantLanes(p, 0))
	b, err2 := Encrypt(p, Context{}, Member{}, seats, constantLanes(p, 0))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	same := 0
	for i := payloadHeaderBytes; i < len(a.Payload); i++ {
		if a.Payload[i] == b.Payload[i] {
			same++
		}
	}
	// Expected 1 in 256 of about 8,200 bytes: 32, standard deviation 5.7.
	if n := len(a.Payload) - payloadHeaderBytes; same > n/64 {
		t.Errorf("%d of %d bytes agree", same, n)
	}
	if bytes.Equal(a.Shares[0], b.Shares[0]) {
		t.Error("the shares agree")
	}
}
