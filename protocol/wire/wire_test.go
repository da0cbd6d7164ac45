package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"

	"tributary/crypto/identity"
)

func newObject(t Type) Object {
	switch t {
	case TypeMemberCard:
		return &MemberCard{}
	case TypeCharter:
		return &Charter{}
	case TypeManifest:
		return &Manifest{}
	case TypeApproval:
		return &Approval{}
	case TypePlan:
		return &Plan{}
	case TypeUpload:
		return &Upload{}
	case TypeReceipt:
		return &Receipt{}
	case TypeComplaint:
		return &Complaint{}
	case TypeRoster:
		return &Roster{}
	case TypeShareSum:
		return &ShareSum{}
	case TypeRelease:
		return &Release{}
	case TypeRefusal:
		return &Refusal{}
	case TypeAbort:
		return &Abort{}
	case TypeEnrolment:
		return &Enrolment{}
	case TypeRevocation:
		return &Revocation{}
	case TypeFinish:
		return &Finish{}
	case TypeCharge:
		return &Charge{}
	case TypeAccount:
		return &Account{}
	case TypePolicy:
		return &Policy{}
	case TypeCertificate:
		return &Certificate{}
	}
	return nil
}

func samples() []Object {
	a, b := Member{1}, Member{2}
	card := MemberCard{Name: "alpen", Organisation: "Alpen AG", Key: a}
	return []Object{
		&card,
		&Charter{Consortium: "shops", Version: 2, Prev: Digest{9}, F: 1, Coordinator: b, LogOrigin: "shops/log",
			Members: []CharterMember{{card, RoleBoth}, {MemberCard{Name: "b", Key: b}, RoleData}}},
		&Manifest{Kind: Exact, Mode: Sealed, Cohort: []Member{a, b}, Committee: []Seat{{1, a}, {2, b}}, T: 2, F: 1, NMin: 3,
			Rounds: []RoundSpec{{Kind: Fit, MaxRounds: 1, Codec: Codec{Ring: 1, Segments: []Segment{{"rows", 1, 1, 1}}}}, {Kind: Train}}},
		&Approval{Job: Digest{1}, Member: a, SeatKey: []byte{1, 2, 3}},
		&Plan{Job: Digest{1}, Round: 7, Step: 3, Kind: Train, DeadlineMs: 5, LedgerSize: 9},
		&Upload{Ctx: Digest{1}, PayloadLen: 100, ShareDigests: []Digest{{1}, {2}}},
		&Receipt{Digest{1}, Digest{2}},
		&Complaint{Digest{1}, a, Digest{2}},
		&Roster{Ctx: Digest{1}, Entries: []RosterEntry{{a, Digest{1}}, {b, Digest{2}}}},
		&ShareSum{Index: 3, Sum: bytes.Repeat([]byte{7}, 8704)},
		&Release{Round: 2, Kind: Evaluate, KMax: 9, Suspects: []Seat{{2, b}}},
		&Refusal{Phase: "plan", Rule: "G3", Hint: "ask the other operators"},
		&Abort{Code: "deadline", Suspects: []Member{a, b}},
		&Enrolment{card, RoleCommittee},
		&Revocation{a, "left the consortium"},
		&Finish{Outcome: OutcomeCompleted},
		&Charge{Job: Digest{1}, Ctx: Digest{2}, Member: a, Account: Digest{3}, Order: 40, Units: 7, Spent: 9},
		&Account{Member: a, Account: Digest{3}, Unit: UnitRecord, EpsNum: 1, EpsDen: 1, DeltaNum: 1, DeltaDen: 100000, Order: 40, Budget: 9, PrevBudgets: 3, Refills: 1},
		&Policy{Member: a, Version: 2, Prev: Digest{4}, Text: "contracts: [shop-customers@1]"},
		&Certificate{Member: a, Key: Digest{5}, Serial: "0af3", NotAfterMs: 9},
	}
}

func TestEveryObjectHasOneEncoding(t *testing.T) {
	seen := map[Type]bool{}
	for _, o := range samples() {
		seen[o.Type()] = true
		body := Encode(o)
		got := newObject(o.Type())
		if err := Decode(body, got); err != nil {
			t.Errorf("%s: %v", o.Type(), err)
			continue
		}
		if !bytes.Equal(Encode(got), body) {
			t.Errorf("%s: re-encodes differently", o.Type())
		}
		for n := range body {
			if err := Decode(body[:n], newObject(o.Type())); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s cut at %d: %v", o.Type(), n, err)
			}
		}
		if err := Decode(append(body[:len(body):len(body)], 0), newObject(o.Type())); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with a byte more: %v", o.Type(), err)
		}
	}
	for k := Type(1); k < typeEnd; k++ {
		if !seen[k] {
			t.Errorf("no sample of %s", k)
		}
	}
}

func TestUnsortedOrRepeatedListsAreRefused(t *testing.T) {
	for name, entries := range map[string][]RosterEntry{
		"repeated": {{Member{1}, Digest{1}}, {Member{1}, Digest{2}}},
		"unsorted": {{Member{2}, Digest{1}}, {Member{1}, Digest{2}}},
	} {
		c := codec{}
		r := &Roster{Entries: entries}
		r.fields(&c) // written up to the point of failure: the list is all there
		if err := Decode(c.data, &Roster{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClaimedSizesDontAllocate(t *testing.T) {
	body := make([]byte, 32) // a roster's context, then a count of 1,638 entries that aren't there
	body = binary.BigEndian.AppendUint16(body, MaxMembers)
	if n := testing.AllocsPerRun(100, func() {
		if Decode(body, &Roster{}) == nil {
			t.Fatal("accepted")
		}
	}); n > 20 {
		t.Errorf("%v allocations to refuse a roster without its entries", n)
	}
	huge := binary.BigEndian.AppendUint32(make([]byte, 32+32+2), 1<<31)
	if err := Decode(huge, &ShareSum{}); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

func TestEnvelopeOfAnotherSignerTypeOrBodyIsRefused(t *testing.T) {
	key, _ := identity.Generate()
	other, _ := identity.Generate()
	e := Sign(key, &Receipt{Digest{1}, Digest{2}})
	if err := e.Open(&Receipt{}); err != nil {
		t.Fatal(err)
	}
	if err := e.Open(&Complaint{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("other type: %v", err)
	}
	f := e
	f.Kind = TypeRoster // the same body signed as another type
	if err := f.Open(&Roster{}); !errors.Is(err, ErrSignature) {
		t.Errorf("type changed: %v", err)
	}
	f = e
	f.Signer = other.Public()
	if err := f.Open(&Receipt{}); !errors.Is(err, ErrSignature) {
		t.Errorf("signer changed: %v", err)
	}
	data := e.Bytes()
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if g, err := ParseEnvelope(bad); err == nil && g.Open(&Receipt{}) == nil {
			t.Errorf("flipped bit at byte %d accepted", i)
		}
	}
}

func TestCardOfAKeyThatOneDoesntHoldIsRefused(t *testing.T) {
	mine, _ := identity.Generate()
	theirs, _ := identity.Generate()
	card := NewCard(mine, "alpen", "Alpen AG")
	if !card.Proven() {
		t.Fatal("own card refused")
	}
	card.Key = theirs.Public()
	if card.Proven() {
		t.Error("another's key accepted")
	}
	card = NewCard(mine, "alpen", "Alpen AG")
	card.Organisation = "Nord AG"
	if card.Proven() {
		t.Error("another organisation accepted")
	}
}

func TestHashIsInjectiveInItsParts(t *testing.T) {
	if Hash("x", []byte("ab"), []byte("c")) == Hash("x", []byte("a"), []byte("bc")) {
		t.Error("parts run together")
	}
	if Hash("x", []byte("a")) == Hash("xa") {
		t.Error("label and part run together")
	}
}

func FuzzDecode(f *testing.F) {
	for _, o := range samples() {
		f.Add(uint16(o.Type()), Encode(o))
	}
	f.Fuzz(func(t *testing.T, kind uint16, body []byte) {
		o := newObject(Type(kind))
		if o == nil {
			return
		}
		if err := Decode(body, o); err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		if !bytes.Equal(Encode(o), body) {
			t.Fatal("re-encodes differently")
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	key, _ := identity.FromSeed(make([]byte, 32))
	e := Sign(key, &Receipt{Digest{1}, Digest{2}})
	f.Add(e.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseEnvelope(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		if !bytes.Equal(e.Bytes(), data) {
			t.Fatal("re-encodes differently")
		}
	})
}

// Kinds are listed in the order in which their rounds run, which isn't that of their numbers; 4 is a finished state's.
func TestKindsOfRoundsAreInTheirOrder(t *testing.T) {
	of := func(kinds ...RoundKind) error {
		m := &Manifest{Kind: Private, Mode: Sealed}
		none := len(Encode(m))
		m.Rounds = []RoundSpec{{Kind: Sketch}, {Kind: Fit}, {Kind: Train}, {Kind: Evaluate}}[:len(kinds)]
		data := Encode(m) // which encodes no others
		for i, k := range kinds {
			data[none+i*(len(data)-none)/len(kinds)] = byte(k)
		}
		return Decode(data, &Manifest{})
	}
	for _, good := range [][]RoundKind{{}, {Fit}, {Sketch, Fit, Train, Evaluate}, {Sketch, Train}, {Fit, Evaluate}} {
		if err := of(good...); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for _, bad := range [][]RoundKind{{Fit, Sketch}, {Train, Fit}, {Sketch, Sketch}, {4}, {0}, {6}} {
		if err := of(bad...); !errors.Is(err, ErrMalformed) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// Encoding only reads: an object that several goroutines hold, such as the charter, may be encoded by all of them at once. What says so
// is the race detector (go test -race).
func TestObjectsAreEncodedSideBySide(t *testing.T) {
	for _, o := range samples() {
		want := Encode(o)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if !bytes.Equal(Encode(o), want) {
					t.Error("encodes differently")
				}
			})
		}
		all.Wait()
	}
}
