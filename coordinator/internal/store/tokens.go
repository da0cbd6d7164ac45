package store

import (
	"fmt"

	"tributary/coordinator/internal/ca"
	"tributary/protocol/invite"
)

// Token is what is kept of an invitation; the secret itself isn't.
type Token struct {
	ca.TokenRecord
	Organisation string // that a participant's card must name; empty: any
	CreatedMs    int64
}

// PutToken records a new invitation.
func (t *Tx) PutToken(k Token) error {
	return t.exec(`INSERT INTO tokens (digest, kind, name, role, organisation, expires_ms, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		k.SecretDigest[:], int64(k.Kind), k.Name, k.Role, k.Organisation, k.ExpiresMs, k.CreatedMs)
}

// Token finds an invitation by the digest of its secret, or ErrNotFound.
func (t *Tx) Token(digest [32]byte) (Token, error) {
	k := Token{TokenRecord: ca.TokenRecord{SecretDigest: digest}}
	var kind int64
	err := t.row(`SELECT kind, name, role, organisation, expires_ms, used, created_ms FROM tokens WHERE digest = ?`, digest[:]).
		Scan(&kind, &k.Name, &k.Role, &k.Organisation, &k.ExpiresMs, &k.Used, &k.CreatedMs)
	k.Kind = invite.Kind(kind)
	return k, notFound("invitation", err)
}

// UseToken marks an invitation as used, or fails with ca.ErrTokenUsed if it is.
func (t *Tx) UseToken(digest [32]byte) error {
	if err := t.change(`UPDATE tokens SET used = 1 WHERE digest = ? AND used = 0`, digest[:]); err != nil {
		return fmt.Errorf("%w: %w", ca.ErrTokenUsed, err)
	}
	return nil
}

// OpenTokens lists the invitations that can still be used at that time.
func (t *Tx) OpenTokens(nowMs int64) (out []Token, err error) {
	err = t.each(func(scan func(...any) error) error {
		var k Token
		var kind int64
		var digest []byte
		if err := scan(&digest, &kind, &k.Name, &k.Role, &k.Organisation, &k.ExpiresMs, &k.CreatedMs); err != nil {
			return err
		}
		k.Kind = invite.Kind(kind)
		copy(k.SecretDigest[:], digest)
		out = append(out, k)
		return nil
	}, `SELECT digest, kind, name, role, organisation, expires_ms, created_ms FROM tokens WHERE used = 0 AND expires_ms > ? ORDER BY created_ms, name`, nowMs)
	return out, err
}
