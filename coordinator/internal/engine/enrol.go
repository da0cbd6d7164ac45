package engine

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"time"

	"tributary/coordinator/internal/ca"
	"tributary/coordinator/internal/store"
	"tributary/protocol/invite"
	"tributary/protocol/ledger"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// DefaultInviteTTL is how long an invitation is open unless its maker says otherwise.
const DefaultInviteTTL = 7 * 24 * time.Hour

// participantName is how job specs name participants.
var participantName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Invitation is what an operator asks a token for.
type Invitation struct {
	Kind         invite.Kind
	Name         string
	Role         wire.Role // of a participant
	Organisation string    // that a participant's card must name; empty: any
	TTL          time.Duration
}

// Invite makes a one-time token.
func (e *Engine) Invite(ctx context.Context, i Invitation) (token string, expires time.Time, err error) {
	return Invite(ctx, e.Store, e.CA, e.Address, e.Now(), i)
}

// Invite makes a one-time token that names the coordinator's address. It needs no engine, so it also works beside a running one.
func Invite(ctx context.Context, s *store.Store, authority *ca.CA, address string, now time.Time, i Invitation) (token string, expires time.Time, err error) {
	if i.TTL == 0 {
		i.TTL = DefaultInviteTTL
	}
	role := "operator"
	if i.Kind == invite.Participant {
		if !participantName.MatchString(i.Name) {
			return "", time.Time{}, fail(Invalid, "name", "Use lower-case letters, digits and hyphens, at most 63, as in job specs.", "%q is not a participant's name", i.Name)
		}
		role = i.Role.String()
	}
	token, record, err := authority.NewToken(ca.Invitation{Kind: i.Kind, Name: i.Name, Role: role, Address: address}, i.TTL, now)
	if err != nil {
		return "", time.Time{}, err
	}
	err = s.Update(ctx, "commit/invite", func(t *store.Tx) error {
		return t.PutToken(store.Token{TokenRecord: record, Organisation: i.Organisation, CreatedMs: now.UnixMilli()})
	})
	return token, time.UnixMilli(record.ExpiresMs), err
}

// Admission is what an enrolment gives.
type Admission struct {
	ca.Issued
	Kind invite.Kind
	Role string
}

// Enrol takes in the holder of a token's secret: a participant with its member card, an operator without. Token, member, certificate
// and ledger entry are one transaction, so a token is good for exactly one enrolment.
func (e *Engine) Enrol(ctx context.Context, secret [16]byte, csr, card []byte) (out Admission, err error) {
	now := e.Now()
	digest := ca.SecretDigest(secret)
	err = e.Store.View(ctx, func(t *store.Tx) error { // who has no token doesn't get to write
		_, err := t.Token(digest)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return out, fmt.Errorf("%w (hint: ask the coordinator's operator for a new one)", ca.ErrToken)
	}
	if err != nil {
		return out, err
	}
	err = e.Store.Update(ctx, "commit/enrol", func(t *store.Tx) error {
		record, err := t.Token(digest)
		if err != nil {
			return err
		}
		if err := record.Redeem(invite.Token{Kind: record.Kind, Name: record.Name, Secret: secret}, now); err != nil {
			return err
		}
		if err := t.UseToken(digest); err != nil {
			return err
		}
		subject := ca.Subject{Kind: ca.Operator, Name: record.Name}
		if record.Kind == invite.Participant {
			if subject, err = e.enrolMember(t, record, card, now); err != nil {
				return err
			}
		} else if err := t.PutUser(record.Name, now.UnixMilli()); err != nil {
			return err
		}
		out = Admission{Kind: record.Kind, Role: record.Role}
		out.Issued, err = e.issue(t, csr, subject, now)
		return err
	})
	if err == nil {
		e.changed()
	}
	return out, err
}

func (e *Engine) enrolMember(t *store.Tx, record store.Token, body []byte, now time.Time) (ca.Subject, error) {
	var card wire.MemberCard
	if err := wire.Decode(body, &card); err != nil {
		return ca.Subject{}, &Error{Class: Invalid, Code: "card", Field: "member_card", Message: "the member card can't be read", Err: err}
	}
	role := wire.RoleData
	for role.Valid() && role.String() != record.Role {
		role++
	}
	switch {
	case !role.Valid():
		return ca.Subject{}, fmt.Errorf("invitation with role %q", record.Role)
	case !card.Proven():
		return ca.Subject{}, fail(Invalid, "card", "", "the member card doesn't prove that its sender holds its key")
	case card.Name != record.Name:
		return ca.Subject{}, fail(Invalid, "card", "Enrol under the name in the invitation.", "the member card is of %q, the invitation of %q", card.Name, record.Name)
	case card.Organisation == "":
		return ca.Subject{}, fail(Invalid, "card", "Name the organisation when enrolling.", "the member card names no organisation")
	case record.Organisation != "" && card.Organisation != record.Organisation:
		return ca.Subject{}, fail(Invalid, "card", "Enrol under the organisation in the invitation, or ask for another invitation.",
			"the member card names the organisation %q, the invitation %q", card.Organisation, record.Organisation)
	case card.Key == e.Key.Public():
		return ca.Subject{}, fail(Invalid, "card", "", "the member card has the coordinator's key")
	}
	if err := t.PutMember(store.Member{Card: card, Role: role, EnrolledMs: now.UnixMilli()}); err != nil {
		return ca.Subject{}, err
	}
	entry := wire.Sign(e.Key, &wire.Enrolment{Card: card, Role: role})
	if _, err := e.logEntry(t, ledger.Enrolment, entry.Bytes()); err != nil {
		return ca.Subject{}, err
	}
	return ca.Subject{Kind: ca.Participant, Name: card.Name, IdentityPK: card.Key}, nil
}

func (e *Engine) issue(t *store.Tx, csr []byte, s ca.Subject, now time.Time) (ca.Issued, error) {
	ttl := ca.DefaultTTL
	if s.Kind == ca.Operator { // people log in anew; participants renew by themselves
		ttl = ca.MaxTTL
	}
	issued, err := e.CA.Issue(csr, s, ttl, now)
	if err != nil {
		return ca.Issued{}, err
	}
	if s.Kind == ca.Participant { // people's certificates carry nothing into a sum
		leaf, err := x509.ParseCertificate(issued.Chain[0])
		if err != nil {
			return ca.Issued{}, err
		}
		entry := wire.Sign(e.Key, &wire.Certificate{Member: s.IdentityPK, Key: sha256.Sum256(leaf.RawSubjectPublicKeyInfo), Serial: issued.Serial, NotAfterMs: uint64(issued.NotAfter.UnixMilli())})
		if _, err := e.logEntry(t, ledger.Certificate, entry.Bytes()); err != nil {
			return ca.Issued{}, err
		}
	}
	return issued, t.PutCertificate(store.Certificate{Serial: issued.Serial, Kind: string(s.Kind), Name: s.Name, Key: s.IdentityPK, NotAfterMs: issued.NotAfter.UnixMilli()})
}

// Renew issues the peer of a valid certificate another.
func (e *Engine) Renew(ctx context.Context, p ca.Peer, csr []byte) (out ca.Issued, err error) {
	err = e.Store.Update(ctx, "commit/renew", func(t *store.Tx) error {
		out, err = e.issue(t, csr, ca.Subject{Kind: p.Kind, Name: p.Name, IdentityPK: p.IdentityPK}, e.Now())
		return err
	})
	return out, err
}

// Revoked reports whether a certificate no longer counts, for ca.Admission. When that can't be found out the caller is told to try
// again, not that it was revoked: a node would give up for good.
func (e *Engine) Revoked(p ca.Peer) (revoked bool, err error) {
	err = e.Store.View(context.WithoutCancel(e.stop), func(t *store.Tx) error {
		ok, err := t.Admitted(store.Certificate{Serial: p.Serial, Kind: string(p.Kind), Name: p.Name, Key: p.IdentityPK})
		revoked = !ok
		return err
	})
	if err != nil {
		return true, &Error{Class: Busy, Code: "admission", Message: "whether the certificate is revoked can't be found out", Hint: "Try again.", Err: err}
	}
	return revoked, nil
}

// Revoke ends a participant's or an operator's admission at once, and with a participant the jobs that can't do without it.
func (e *Engine) Revoke(ctx context.Context, kind invite.Kind, name, reason string) error {
	now := e.Now().UnixMilli()
	if kind == invite.Operator {
		return e.Store.Update(ctx, "commit/revoke", func(t *store.Tx) error { return t.RevokeUser(name, now) })
	}
	var m store.Member
	err := e.Store.Update(ctx, "commit/revoke", func(t *store.Tx) (err error) {
		if m, err = t.RevokeMember(name, now); err != nil {
			return err
		}
		entry := wire.Sign(e.Key, &wire.Revocation{Member: m.Card.Key, Reason: reason})
		_, err = e.logEntry(t, ledger.Revocation, entry.Bytes())
		return err
	})
	if err != nil {
		return err
	}
	for _, j := range e.openJobs() {
		if !j.proposal.NeedsApproval(m.Card.Key) {
			continue
		}
		j.mu.Lock()
		if _, err := e.feed(ctx, j, round.Revoked{Member: m.Card.Key}); err != nil {
			e.forget(j) // what is restored knows of the revocation
			e.logJob(j, "revoked", err)
		}
		j.mu.Unlock()
	}
	e.changed()
	return nil
}
