package ca

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"time"

	"tributary/protocol/invite"
)

// MaxTokenTTL bounds how long an invitation stays open.
const MaxTokenTTL = 30 * 24 * time.Hour

// Invitation is what an operator asks a token for.
type Invitation struct {
	Kind    invite.Kind
	Name    string // see invite.CheckName
	Role    string // the role that enrolment will grant; kept in the record, opaque here
	Address string // host:port at which the holder reaches the coordinator
}

// TokenRecord is what the coordinator keeps of a token: enough to check it once, not enough to make it.
type TokenRecord struct {
	SecretDigest [32]byte // key of the record; see SecretDigest
	Kind         invite.Kind
	Name         string
	Role         string
	ExpiresMs    int64 // milliseconds since 1970 UTC
	Used         bool
}

// NewToken makes an invitation that is open for ttl (at most MaxTokenTTL). The token is shown once and never stored; the
// record is stored.
func (c *CA) NewToken(i Invitation, ttl time.Duration, now time.Time) (token string, record TokenRecord, err error) {
	if ttl <= 0 || ttl > MaxTokenTTL {
		return "", TokenRecord{}, fmt.Errorf("make invitation: %w: open for %v, want more than 0 and at most %v", ErrSubject, ttl, MaxTokenTTL)
	}
	t := invite.Token{Version: invite.Version, Kind: i.Kind, Fingerprint: c.Fingerprint(), Address: i.Address, Name: i.Name}
	if _, err := rand.Read(t.Secret[:]); err != nil {
		return "", TokenRecord{}, fmt.Errorf("make invitation: %w", err)
	}
	if token, err = t.Encode(); err != nil {
		return "", TokenRecord{}, fmt.Errorf("make invitation: %w", err)
	}
	return token, TokenRecord{
		SecretDigest: SecretDigest(t.Secret),
		Kind:         i.Kind,
		Name:         i.Name,
		Role:         i.Role,
		ExpiresMs:    now.Add(ttl).UnixMilli(),
	}, nil
}

// SecretDigest returns the key under which a token's record is stored: a domain-separated SHA-256 of its 128-bit secret, which
// needs no slow hash.
func SecretDigest(secret [16]byte) [32]byte {
	return sha256.Sum256(append([]byte("tributary/v1/invite-secret"), secret[:]...))
}

// Redeem reports whether t may enrol now under the record: ErrToken if it isn't the record's token, ErrTokenUsed,
// ErrTokenExpired. The record's kind, name and role are granted, never the token's. The caller sets Used in the same
// transaction that stores the enrolment, and fails if it was set meanwhile.
func (r TokenRecord) Redeem(t invite.Token, now time.Time) error {
	digest := SecretDigest(t.Secret)
	switch {
	case subtle.ConstantTimeCompare(digest[:], r.SecretDigest[:]) != 1, t.Kind != r.Kind, t.Name != r.Name:
		return fmt.Errorf("%w (hint: ask the coordinator's operator for a new one)", ErrToken)
	case r.Used:
		return fmt.Errorf("%w: for %s %q (hint: if that wasn't you, tell the coordinator's operator at once; otherwise ask for a new one)", ErrTokenUsed, r.Kind, r.Name)
	case now.UnixMilli() >= r.ExpiresMs:
		return fmt.Errorf("%w: at %s (hint: ask the coordinator's operator for a new one)", ErrTokenExpired, time.UnixMilli(r.ExpiresMs).UTC().Format(time.RFC3339))
	}
	return nil
}
