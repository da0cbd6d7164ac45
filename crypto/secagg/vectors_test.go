package secagg

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// testdata/vectors.json holds one round, 2 of 3, and what must come of its
// objects, changed or not. `go test -run Vectors -update` writes it anew; the
// sealed shares then change, as HPKE's randomness is the standard library's.
const vectorsPath = "testdata/vectors.json"

type vectors struct {
	Comment                                      string
	Contributors, Bits, Threshold, Seats, Length int
	Ctx                                          []byte
	SeatMembers, SeatKeys                        [][]byte
	Contributions                                []vectorContribution
	ShareSums                                    [][]byte // by seat
	Sum                                          []int64
	KMax, EMax                                   int64
	Cases                                        []vectorCase
}

type vectorContribution struct {
	Sender  []byte
	Coins   []byte // seeds ChaCha8, the coins of payload and sharing
	Lanes   []int64
	Payload []byte
	Shares  [][]byte // sealed, by seat
}

// A vectorCase takes one object, flips a bit, and names the outcome.
type vectorCase struct {
	Object      string // "payload 0", "share 0 1" (contribution, seat from 0), "sum 0"
	Flip        int    // bit, numbered from the low end of each byte; −1: none
	OtherCtx    bool   // judged under another context
	OtherSender bool
	Expect      string // "ok", "malformed", "unseal"
}

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

func (v *vectors) params(t tb) Params {
	return mustParams(t, v.Contributors, v.Bits, v.Threshold, v.Seats, v.Length)
}

func (v *vectors) seats(t tb) (seats []Seat, keys []*SeatKey) {
	for i, b := range v.SeatKeys {
		k, err := ParseSeatKey(b)
		if err != nil {
			t.Fatalf("seat key %d: %v", i, err)
		}
		keys = append(keys, k)
		seats = append(seats, Seat{uint16(i + 1), Member(v.SeatMembers[i]), k.Public()})
	}
	return seats, keys
}

func (v *vectors) run(t tb, c vectorCase) error {
	var name string
	var i, k int
	_, err := fmt.Sscanf(c.Object+" 0", "%s %d %d", &name, &i, &k)
	if err != nil {
		t.Fatalf("object %q: %v", c.Object, err)
	}
	object := map[string]func() []byte{
		"payload": func() []byte { return v.Contributions[i].Payload },
		"share":   func() []byte { return v.Contributions[i].Shares[k] },
		"sum":     func() []byte { return v.ShareSums[i] },
	}[name]()
	if object = bytes.Clone(object); c.Flip >= 0 {
		object[c.Flip/8] ^= 1 << (c.Flip % 8)
	}
	ctx, sender := Context(v.Ctx), Member(v.Contributions[i%len(v.Contributions)].Sender)
	if c.OtherCtx {
		ctx[31] ^= 1
	}
	if c.OtherSender {
		sender[0] ^= 1
	}
	switch name {
	case "payload":
		return NewAccumulator(v.params(t), ctx).Add(object)
	case "share":
		seats, keys := v.seats(t)
		_, err = keys[k].OpenShare(ctx, sender, seats[k].Member, seats[k].Index, object)
	case "sum":
		_, err = ParseShareSum(object)
	}
	return err
}

func TestVectorsHold(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	file, err := os.ReadFile(vectorsPath)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(file, &v); err != nil {
		t.Fatal(err)
	}
	p, acc := v.params(t), NewAccumulator(v.params(t), Context(v.Ctx))
	seats, keys := v.seats(t)
	shares := make([][]Share, len(seats))
	for i, c := range v.Contributions {
		up, err := encrypt(p, Context(v.Ctx), Member(c.Sender), seats, c.Lanes, rand.NewChaCha8([32]byte(c.Coins)))
		if err != nil || !bytes.Equal(up.Payload, c.Payload) {
			t.Fatalf("contribution %d encrypts differently: %v", i, err)
		}
		if err := acc.Add(c.Payload); err != nil {
			t.Fatal(err)
		}
		for k, s := range seats {
			share, err := keys[k].OpenShare(Context(v.Ctx), Member(c.Sender), s.Member, s.Index, c.Shares[k])
			if err != nil {
				t.Fatal(err)
			}
			shares[k] = append(shares[k], share)
		}
	}
	var replies []Reply
	for k := range seats {
		if b := SumShares(shares[k]).Bytes(); !bytes.Equal(b, v.ShareSums[k]) {
			t.Fatalf("share sum of seat %d differs", k+1)
		}
		sum, err := ParseShareSum(v.ShareSums[k])
		if err != nil {
			t.Fatal(err)
		}
		replies = append(replies, Reply{seats[k].Index, sum})
	}
	o, err := acc.Open(replies[1:])
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.Values, v.Sum) || o.KMax != v.KMax || o.EMax != v.EMax {
		t.Errorf("opens to %+v", o)
	}
	want := map[string]error{"ok": nil, "malformed": ErrMalformed, "unseal": ErrUnseal}
	for _, c := range v.Cases {
		sentinel, known := want[c.Expect]
		if err := v.run(t, c); !known || !errors.Is(err, sentinel) || (err == nil) != (c.Expect == "ok") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func writeVectors(t *testing.T) {
	v := vectors{
		Comment:      "One round of crypto/secagg, payload version 1. Bytes are base64. Every seat key is public: never use one.",
		Contributors: 3, Bits: 16, Threshold: 2, Seats: 3, Length: 330,
	}
	ctx := context("vectors")
	v.Ctx = ctx[:]
	p := v.params(t)
	seats, keys := committee(t, v.Seats)
	for i, s := range seats {
		v.SeatMembers = append(v.SeatMembers, s.Member[:])
		v.SeatKeys = append(v.SeatKeys, keys[i].Bytes())
	}
	acc := NewAccumulator(p, ctx)
	shares := make([][]Share, v.Seats)
	for i := range 2 {
		sender := member(fmt.Sprint("sender ", i))
		coins := [32]byte{byte(i)}
		c := vectorContribution{Sender: sender[:], Coins: coins[:], Lanes: randomLanes(p, uint64(i))}
		c.Lanes[0], c.Lanes[1] = -p.laneOffset(), p.laneOffset()-1
		up, err := encrypt(p, ctx, sender, seats, c.Lanes, rand.NewChaCha8(coins))
		if err != nil {
			t.Fatal(err)
		}
		c.Payload, c.Shares = up.Payload, up.Shares
		v.Contributions = append(v.Contributions, c)
		if err := acc.Add(up.Payload); err != nil {
			t.Fatal(err)
		}
		for k, s := range seats {
			share, err := keys[k].OpenShare(ctx, sender, s.Member, s.Index, up.Shares[k])
			if err != nil {
				t.Fatal(err)
			}
			shares[k] = append(shares[k], share)
		}
	}
	var replies []Reply
	for k, s := range seats {
		sum := SumShares(shares[k])
		v.ShareSums = append(v.ShareSums, sum.Bytes())
		replies = append(replies, Reply{s.Index, sum})
	}
	o, err := acc.Open(replies)
	if err != nil {
		t.Fatal(err)
	}
	v.Sum, v.KMax, v.EMax = o.Values, o.KMax, o.EMax
	last := 8*p.PayloadBytes() - 1
	v.Cases = []vectorCase{
		{Object: "payload 0", Flip: -1, Expect: "ok"},
		{Object: "payload 0", Flip: -1, OtherCtx: true, Expect: "malformed"},
		{Object: "payload 0", Flip: 24, Expect: "malformed"},       // version
		{Object: "payload 0", Flip: 8*12 + 7, Expect: "malformed"}, // coefficients
		{Object: "payload 0", Flip: last, Expect: "malformed"},     // behind the last residue
		{Object: "payload 0", Flip: 8 * 48, Expect: "ok"},          // another residue: it parses, the sum doesn't open
		{Object: "share 0 0", Flip: -1, Expect: "ok"},
		{Object: "share 1 2", Flip: -1, Expect: "ok"},
		{Object: "share 0 0", Flip: -1, OtherCtx: true, Expect: "unseal"},
		{Object: "share 0 0", Flip: -1, OtherSender: true, Expect: "unseal"},
		{Object: "share 0 0", Flip: 32, Expect: "unseal"},
		{Object: "share 0 0", Flip: 8*SealedShareBytes - 1, Expect: "unseal"},
		{Object: "share 0 0", Flip: 24, Expect: "malformed"},
		{Object: "sum 0", Flip: -1, Expect: "ok"},
		{Object: "sum 0", Flip: 8*4 + 6, Expect: "malformed"}, // seat
		{Object: "sum 0", Flip: 8*6 + 7, Expect: "malformed"}, // count
		{Object: "sum 0", Flip: 64 + 16, Expect: "malformed"}, // element 0 + 65536
	}
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorsPath, append(out, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
