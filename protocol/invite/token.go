package invite

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Errors of Parse and Encode.
var (
	// ErrMalformed: not a token at all, or one with a field that no coordinator writes.
	ErrMalformed = errors.New("not an invitation token")
	// ErrChecksum: a token with a typing error, or cut short.
	ErrChecksum = errors.New("invitation token has a typing error")
	// ErrVersion: a token of another version.
	ErrVersion = errors.New("invitation token of another version")
)

// Kind says what the holder becomes.
type Kind uint8

// The kinds of invitation. Numbers are part of the token's format.
const (
	Participant Kind = 1
	Operator    Kind = 2
)

// String returns "participant" or "operator", or "kind(N)" for a number that is neither.
func (k Kind) String() string {
	switch k {
	case Participant:
		return "participant"
	case Operator:
		return "operator"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

const (
	// Version is the version of the token that this package writes and reads.
	Version = 1
	// MaxAddressBytes and MaxNameBytes bound the variable fields.
	MaxAddressBytes = 255
	MaxNameBytes    = 63

	prefix      = "tributary-invite-"
	checksumLen = 4
	// version, kind, fingerprint, secret, two length bytes, an address and a name of at least one byte each, checksum
	minTokenLen = 1 + 1 + 32 + 16 + 1 + 1 + checksumLen
	maxTokenLen = minTokenLen + MaxAddressBytes + MaxNameBytes
)

// base32lower has no look-alikes of case: a token survives a terminal, a letter and a double click.
var base32lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Token is an invitation.
type Token struct {
	Version     uint8
	Kind        Kind
	Fingerprint [32]byte // SHA-256 of the DER of the coordinator's root certificate
	Secret      [16]byte // 128 random bits, good for one enrolment
	Address     string   // host:port of the coordinator
	Name        string   // what the holder will be called; see CheckName
}

// Format keeps the secret out of logs and error messages, whatever verb is used; only Encode gives it out.
func (t Token) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "invitation of %s %q to %q", t.Kind, t.Name, t.Address)
}

// Encode returns the token's only string form: "tributary-invite-" and lower-case base32 without padding of
//
//	version u8 ‖ kind u8 ‖ fingerprint [32] ‖ secret [16] ‖ length u8 ‖ address ‖ length u8 ‖ name ‖ checksum [4]
//
// It contains the secret: show it once, log it never. Errors wrap ErrMalformed or ErrVersion.
func (t Token) Encode() (string, error) {
	if err := t.check(); err != nil {
		return "", fmt.Errorf("encode invitation: %w", err)
	}
	b := []byte{t.Version, byte(t.Kind)}
	b = append(b, t.Fingerprint[:]...)
	b = append(b, t.Secret[:]...)
	b = append(append(b, byte(len(t.Address))), t.Address...)
	b = append(append(b, byte(len(t.Name))), t.Name...)
	return prefix + base32lower.EncodeToString(append(b, checksum(b)...)), nil
}

// Parse decodes a token. It accepts only what Encode writes; a caller that reads from a person trims space around it first.
// Errors name what is wrong without repeating the secret and wrap ErrMalformed, ErrChecksum or ErrVersion.
func Parse(s string) (Token, error) {
	t, err := parse(s)
	if err != nil {
		return Token{}, fmt.Errorf("read invitation: %w", err)
	}
	return t, nil
}

func parse(s string) (Token, error) {
	text, found := strings.CutPrefix(s, prefix)
	if !found {
		return Token{}, fmt.Errorf("%w: it doesn't begin with %q (hint: copy the whole line that the invite command printed)", ErrMalformed, prefix)
	}
	for i := range len(text) {
		if c := text[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return Token{}, fmt.Errorf("%w: character %d can't be in a token (hint: a token has no spaces, capitals, 0, 1, 8 or 9)", ErrChecksum, len(prefix)+i+1)
		}
	}
	if n := base32lower.DecodedLen(len(text)); n < minTokenLen || n > maxTokenLen {
		return Token{}, fmt.Errorf("%w: %d characters, want %d to %d (hint: copy the whole line)", ErrChecksum, len(s),
			len(prefix)+base32lower.EncodedLen(minTokenLen), len(prefix)+base32lower.EncodedLen(maxTokenLen))
	}
	b, err := base32lower.DecodeString(text)
	if err != nil || base32lower.EncodeToString(b) != text {
		return Token{}, fmt.Errorf("%w: the last characters don't fit (hint: copy the whole line)", ErrChecksum)
	}
	b, sum := b[:len(b)-checksumLen], b[len(b)-checksumLen:]
	if !bytes.Equal(checksum(b), sum) {
		return Token{}, fmt.Errorf("%w: its checksum doesn't fit (hint: copy the whole line again)", ErrChecksum)
	}
	t := Token{Version: b[0], Kind: Kind(b[1])}
	if t.Version != Version {
		return Token{}, fmt.Errorf("%w: %d, this program reads %d (hint: use the release that the coordinator runs)", ErrVersion, t.Version, Version)
	}
	rest := b[2:]
	rest = rest[copy(t.Fingerprint[:], rest):]
	rest = rest[copy(t.Secret[:], rest):]
	var ok1, ok2 bool
	t.Address, rest, ok1 = cutString(rest)
	t.Name, rest, ok2 = cutString(rest)
	if !ok1 || !ok2 || len(rest) != 0 {
		return Token{}, fmt.Errorf("%w: its fields' lengths don't fit", ErrMalformed)
	}
	return t, t.check()
}

func cutString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) == 0 || len(b)-1 < int(b[0]) {
		return "", nil, false
	}
	n := 1 + int(b[0])
	return string(b[1:n]), b[n:], true
}

func checksum(b []byte) []byte {
	sum := sha256.Sum256(append([]byte("tributary/v1/invite-checksum"), b...))
	return sum[:checksumLen]
}

func (t Token) check() error {
	switch {
	case t.Version != Version:
		return fmt.Errorf("%w: %d, want %d", ErrVersion, t.Version, Version)
	case t.Kind != Participant && t.Kind != Operator:
		return fmt.Errorf("%w: unknown %v", ErrMalformed, t.Kind)
	case t.Fingerprint == [32]byte{}:
		return fmt.Errorf("%w: without a certificate fingerprint", ErrMalformed)
	case t.Secret == [16]byte{}:
		return fmt.Errorf("%w: without a secret", ErrMalformed)
	}
	if _, err := splitAddress(t.Address); err != nil {
		return err
	}
	return CheckName(t.Name)
}

// splitAddress returns the host of a host:port address.
func splitAddress(address string) (host string, err error) {
	if len(address) > MaxAddressBytes {
		return "", fmt.Errorf("%w: address of %d bytes, at most %d", ErrMalformed, len(address), MaxAddressBytes)
	}
	for i := range len(address) {
		if c := address[i]; c <= ' ' || c > '~' {
			return "", fmt.Errorf("%w: address %.64q (hint: host:port in ASCII)", ErrMalformed, address)
		}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return "", fmt.Errorf("%w: address %.64q (hint: host:port, such as coordinator.example.org:8443)", ErrMalformed, address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%w: address %.64q: port %.8q, want 1 to 65535", ErrMalformed, address, port)
	}
	return host, nil
}

// CheckName reports whether name can be a participant's or operator's name: 1 to MaxNameBytes of ASCII letters, digits, '.',
// '_' and '-', the first a letter or digit. So it needs no quoting in a certificate, a file name or a shell.
func CheckName(name string) error {
	if len(name) == 0 || len(name) > MaxNameBytes {
		return fmt.Errorf("%w: name of %d bytes, want 1 to %d", ErrMalformed, len(name), MaxNameBytes)
	}
	for i := range len(name) {
		c := name[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '.' && c != '_' && c != '-') {
			return fmt.Errorf("%w: name %q (hint: letters, digits, '.', '_' and '-', beginning with a letter or digit)", ErrMalformed, name)
		}
	}
	return nil
}
