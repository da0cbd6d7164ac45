package secagg

import (
	"bytes"
	"errors"
	"testing"
)

func zeroX25519(public []byte) []byte {
	out := bytes.Clone(public)
	clear(out[len(out)-32:])
	return out
}

type sealedCase struct {
	key               *SeatKey
	ctx               Context
	sender, recipient Member
	index             uint16
	sealed            []byte
}

func newSealedCase(t *testing.T) sealedCase {
	t.Helper()
	seats, keys := committee(t, 2)
	p := mustParams(t, 3, 8, 2, 2, 10)
	c := sealedCase{keys[0], context("round 1"), member("sender"), seats[0].Member, 1, nil}
	up, err := Encrypt(p, c.ctx, c.sender, seats, constantLanes(p, 0))
	if err != nil {
		t.Fatal(err)
	}
	c.sealed = up.Shares[0]
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c sealedCase) open() error {
	_, err := c.key.OpenShare(c.ctx, c.sender, c.recipient, c.index, c.sealed)
	return err
}

func TestShareForAnotherRoundIsRefused(t *testing.T) {
	c := newSealedCase(t)
	c.ctx = context("round 2")
	if err := c.open(); !errors.Is(err, ErrUnseal) {
		t.Errorf("got %v", err)
	}
}

func TestShareOfAnotherSenderIsRefused(t *testing.T) {
	c := newSealedCase(t)
	c.sender = member("another")
	if err := c.open(); !errors.Is(err, ErrUnseal) {
		t.Errorf("got %v", err)
	}
}

func TestShareForAnotherRecipientIsRefused(t *testing.T) {
	c := newSealedCase(t)
	c.recipient = member("another")
	if err := c.open(); !errors.Is(err, ErrUnseal) {
		t.Errorf("other name: %v", err)
	}
	c = newSealedCase(t)
	c.sender, c.recipient = c.recipient, c.sender
	if err := c.open(); !errors.Is(err, ErrUnseal) {
		t.Errorf("names swapped: %v", err)
	}
}

func TestShareForAnotherSeatIsRefused(t *testing.T) {
	c := newSealedCase(t)
	c.index = 2
	if err := c.open(); !errors.Is(err, ErrUnseal) {
		t.Errorf("index 2: %v", err)
	}
	for _, index := range []uint16{0, MaxSeats + 1} {
		c.index = index
		if err := c.open(); !errors.Is(err, ErrMalformed) {
			t.Errorf("index %d: %v", index, err)
		}
	}
}

func TestShareUnderAnotherSeatKeyIsRefused(t *testing.T) {
	c := newSealedCase(t)
	c.key = newSealedCase(t).key
	if err := c.open(); !errors.Is(err, ErrUnseal) {
		t.Errorf("got %v", err)
	}
}

func TestCorruptedShareDoesntUnseal(t *testing.T) {
	c := newSealedCase(t)
	good := c.sealed
	for at := headerBytes; at < len(good); at += 61 {
		c.sealed = bytes.Clone(good)
		c.sealed[at] ^= 0x10
		if err := c.open(); !errors.Is(err, ErrUnseal) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
	for at := range headerBytes {
		c.sealed = bytes.Clone(good)
		c.sealed[at] ^= 1
		if err := c.open(); !errors.Is(err, ErrMalformed) {
			t.Errorf("header byte %d: %v", at, err)
		}
	}
	for _, sealed := range [][]byte{nil, good[:4], good[:len(good)-1], append(bytes.Clone(good), 0)} {
		c.sealed = sealed
		if err := c.open(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", len(sealed), err)
		}
	}
}

// What unseals may still not be a share: its sender is faulty.
func TestSealedNonShareIsMalformed(t *testing.T) {
	c := newSealedCase(t)
	public, err := parseSeatPublicKey(c.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	bad := vector{5: fieldPrime}
	c.sealed, err = sealShare(public, shareInfo(c.ctx, c.sender, c.recipient, c.index), &bad)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.open(); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

func TestInfoHasOneLengthAndNoTwoMeanings(t *testing.T) {
	seen := map[string]bool{}
	for _, ctx := range []Context{{}, {1}} {
		for _, sender := range []Member{{}, {1}} {
			for _, recipient := range []Member{{}, {1}} {
				for _, index := range []uint16{1, 256} {
					info := string(shareInfo(ctx, sender, recipient, index))
					if len(info) != 130 || seen[info] {
						t.Fatalf("info of %d bytes, seen %v", len(info), seen[info])
					}
					seen[info] = true
				}
			}
		}
	}
}

func TestErasedSeatKeyOpensNothing(t *testing.T) {
	c := newSealedCase(t)
	seed := c.key.seed
	c.key.Erase()
	if err := c.open(); !errors.Is(err, ErrErased) {
		t.Errorf("got %v", err)
	}
	if c.key.Bytes() != nil || !bytes.Equal(seed, make([]byte, 32)) {
		t.Error("the seed is still there")
	}
	c.key.Erase() // harmless
}

func TestSeatKeySurvivesItsFile(t *testing.T) {
	c := newSealedCase(t)
	k, err := ParseSeatKey(c.key.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(k.Public(), c.key.Public()) || !bytes.Equal(k.Bytes(), c.key.Bytes()) {
		t.Error("the key changed")
	}
	c.key = k
	if err := c.open(); err != nil {
		t.Error(err)
	}
	if len(k.Public()) != SeatPublicKeyBytes || len(k.Bytes()) != SeatKeyBytes || len(c.sealed) != SealedShareBytes {
		t.Errorf("sizes %d, %d, %d", len(k.Public()), len(k.Bytes()), len(c.sealed))
	}
	for _, b := range [][]byte{nil, k.Bytes()[1:], append(k.Bytes(), 0), k.Public()} {
		if _, err := ParseSeatKey(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

func TestUselessSeatPublicKeyIsFoundBeforeAJob(t *testing.T) {
	k, err := GenerateSeatKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckSeatPublicKey(k.Public()); err != nil {
		t.Fatal(err)
	}
	unreduced := k.Public()
	for i := range 3 {
		unreduced[headerBytes+i] = 0xff // ML-KEM coefficients not below 3329
	}
	for name, b := range map[string][]byte{
		"empty": nil, "short": k.Public()[1:], "secret": k.Bytes(), "unreduced": unreduced, "zero X25519": zeroX25519(k.Public()),
	} {
		if err := CheckSeatPublicKey(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSharesOfTwoSeatsOrRoundsAreNeverMixed(t *testing.T) {
	a := Share{context("1"), 1, new(vector)}
	for name, b := range map[string]Share{
		"seat": {context("1"), 2, new(vector)}, "round": {context("2"), 1, new(vector)}, "zero": {},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("other %s: summed", name)
				}
			}()
			SumShares([]Share{a, b})
		}()
	}
	if s := SumShares(nil); s.Bytes() != nil || s.Count() != 0 || s.Index() != 0 {
		t.Error("the sum of no shares isn't the zero ShareSum")
	}
}

func TestErasedShareIsZero(t *testing.T) {
	s := Share{context("1"), 1, &vector{1, 2, 3}}
	s.Erase()
	if *s.values != (vector{}) {
		t.Error("values are left")
	}
	Share{}.Erase()
}
