package ca

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"tributary/protocol/invite"
)

func shopInvitation() Invitation {
	return Invitation{Kind: invite.Participant, Name: "alpen-shop", Role: "BOTH", Address: testAddress}
}

func TestTokenIsGoodOnce(t *testing.T) {
	c, _ := newCA(t)
	s, record, err := c.NewToken(shopInvitation(), 24*time.Hour, testNow())
	if err != nil {
		t.Fatal(err)
	}
	token, err := invite.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	if token.Fingerprint != c.Fingerprint() || token.Address != testAddress || token.Name != "alpen-shop" || token.Kind != invite.Participant {
		t.Fatalf("token %v", token)
	}
	if record.SecretDigest != SecretDigest(token.Secret) || record.Role != "BOTH" || record.Name != "alpen-shop" ||
		record.ExpiresMs != testNow().Add(24*time.Hour).UnixMilli() || record.Used {
		t.Fatalf("record %+v", record)
	}
	if err := record.Redeem(token, testNow()); err != nil {
		t.Fatal(err)
	}
	if err := record.Redeem(token, testNow().Add(24*time.Hour-time.Millisecond)); err != nil {
		t.Fatalf("in the last millisecond: %v", err)
	}
	if err := record.Redeem(token, testNow().Add(24*time.Hour)); !errors.Is(err, ErrTokenExpired) {
		t.Errorf("at its end: %v", err)
	}
	record.Used = true
	if err := record.Redeem(token, testNow()); !errors.Is(err, ErrTokenUsed) {
		t.Errorf("used: %v", err)
	}
}

func TestTamperedTokenIsRefused(t *testing.T) {
	c, _ := newCA(t)
	s, record, err := c.NewToken(shopInvitation(), time.Hour, testNow())
	if err != nil {
		t.Fatal(err)
	}
	for i := range s {
		tampered := []byte(s)
		tampered[i] ^= 1
		if _, err := invite.Parse(string(tampered)); err == nil {
			t.Fatalf("character %d changed: accepted", i+1)
		}
	}
	token, err := invite.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*invite.Token){
		"secret": func(t *invite.Token) { t.Secret[15] ^= 1 },
		"name":   func(t *invite.Token) { t.Name = "baltic-shop" },
		"kind":   func(t *invite.Token) { t.Kind = invite.Operator },
	} {
		forged := token
		edit(&forged)
		again, err := forged.Encode() // with a checksum that fits
		if err != nil {
			t.Fatal(err)
		}
		if forged, err = invite.Parse(again); err != nil {
			t.Fatal(err)
		}
		if err := record.Redeem(forged, testNow()); !errors.Is(err, ErrToken) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	used := record
	used.Used = true
	forged := token
	forged.Secret[0] ^= 1
	if err := used.Redeem(forged, testNow()); !errors.Is(err, ErrToken) || errors.Is(err, ErrTokenUsed) {
		t.Errorf("a guess learns that a token was used: %v", err)
	}
}

func TestStoredRecordCannotEnrol(t *testing.T) {
	c, _ := newCA(t)
	s, record, err := c.NewToken(shopInvitation(), time.Hour, testNow())
	if err != nil {
		t.Fatal(err)
	}
	token, err := invite.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := json.Marshal(token.Secret)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(stored, secret[1:len(secret)-1]) || bytes.Contains(record.SecretDigest[:], token.Secret[:]) {
		t.Error("the record contains the secret")
	}
	second, _, err := c.NewToken(shopInvitation(), time.Hour, testNow())
	if err != nil || second == s {
		t.Errorf("two invitations are equal, %v", err)
	}
}

func TestOnlySoundInvitationsAreMade(t *testing.T) {
	c, _ := newCA(t)
	for _, ttl := range []time.Duration{0, -1, MaxTokenTTL + 1} {
		if _, _, err := c.NewToken(shopInvitation(), ttl, testNow()); !errors.Is(err, ErrSubject) {
			t.Errorf("open for %v: %v", ttl, err)
		}
	}
	for name, edit := range map[string]func(*Invitation){
		"kind":    func(i *Invitation) { i.Kind = 0 },
		"name":    func(i *Invitation) { i.Name = "a b" },
		"address": func(i *Invitation) { i.Address = "example.org" },
	} {
		i := shopInvitation()
		edit(&i)
		if s, record, err := c.NewToken(i, time.Hour, testNow()); !errors.Is(err, invite.ErrMalformed) || s != "" || record != (TokenRecord{}) {
			t.Errorf("wrong %s: %v", name, err)
		}
	}
}
