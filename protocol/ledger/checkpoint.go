package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	// MaxOriginBytes bounds a log's origin and a cosigner's name.
	MaxOriginBytes = 255
	// MaxCheckpointBytes bounds a signed checkpoint with all its cosignatures.
	MaxCheckpointBytes = 64 << 10
	// MaxCosigners bounds the expected cosigners (sumdb/note reads at most 100 signature lines).
	MaxCosigners = 99
)

// SignCheckpoint returns the log's signed head in the C2SP tlog-checkpoint format:
//
//	origin
//	size in decimal
//	root in base64
//
//	— origin base64(key id ‖ Ed25519 signature)
//
// The origin names the log for ever and is the signing key's name: 1 to MaxOriginBytes printable ASCII characters without space
// and '+'. A key must sign at most one root per origin and size: the caller signs only heads of its own durable log.
func SignCheckpoint(origin string, head Head, priv ed25519.PrivateKey) ([]byte, error) {
	if err := checkName("origin", origin); err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	if err := head.check(); err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	if len(priv) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("sign checkpoint: %w: private key of %d bytes, want %d", ErrSignature, len(priv), ed25519.PrivateKeySize)
	}
	id := keyID(origin, algEd25519, priv.Public().(ed25519.PublicKey))
	text := checkpointText(origin, head)
	return appendSignature([]byte(text+"\n"), origin, id, ed25519.Sign(priv, []byte(text))), nil
}

// VerifyCheckpoint returns the head that msg signs. It demands the canonical form, the given origin, the log's signature by
// pub on the first line, exactly one valid cosignature of each given cosigner in any order, and no other line: an ignored
// line would let anyone change the bytes. Errors wrap ErrMalformed, ErrOutOfRange or ErrSignature.
func VerifyCheckpoint(origin string, pub ed25519.PublicKey, msg []byte, cosigners ...Cosigner) (Head, error) {
	head, err := verifyCheckpoint(origin, pub, msg, cosigners)
	if err != nil {
		return Head{}, fmt.Errorf("verify checkpoint: %w", err)
	}
	return head, nil
}

func verifyCheckpoint(origin string, pub ed25519.PublicKey, msg []byte, cosigners []Cosigner) (Head, error) {
	if len(msg) > MaxCheckpointBytes {
		return Head{}, fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, len(msg), MaxCheckpointBytes)
	}
	if len(cosigners) > MaxCosigners {
		return Head{}, fmt.Errorf("%w: %d cosigners, at most %d", ErrOutOfRange, len(cosigners), MaxCosigners)
	}
	if err := checkName("origin", origin); err != nil {
		return Head{}, err
	}
	logKey, err := newLogVerifier(origin, pub)
	if err != nil {
		return Head{}, err
	}
	known := []note.Verifier{logKey}
	for _, c := range cosigners {
		v, err := newCosignerVerifier(c)
		if err != nil {
			return Head{}, err
		}
		known = append(known, v)
	}
	n, err := openNote(msg, known)
	if err != nil {
		return Head{}, err
	}
	got, head, err := parseCheckpointText(n.Text)
	if err != nil {
		return Head{}, err
	}
	if got != origin {
		return Head{}, fmt.Errorf("%w: origin %q, want %q (hint: it is another log's checkpoint)", ErrSignature, got, origin)
	}
	return head, nil
}

// openNote opens msg, demanding that its signers are exactly the known ones, the first of them first, and that msg is the
// canonical encoding: note.Open drops repeated lines and accepts stray bits at the end of base64.
func openNote(msg []byte, known []note.Verifier) (*note.Note, error) {
	n, err := note.Open(msg, note.VerifierList(known...))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified), errors.As(err, &invalid):
		return nil, fmt.Errorf("%w: %w (hint: compare the log's key with the charter's)", ErrSignature, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	case len(n.UnverifiedSigs) != 0:
		return nil, fmt.Errorf("%w: unexpected signature by %q", ErrSignature, n.UnverifiedSigs[0].Name)
	case len(n.Sigs) != len(known):
		return nil, fmt.Errorf("%w: %d valid signatures, want %d", ErrSignature, len(n.Sigs), len(known))
	case n.Sigs[0].Name != known[0].Name() || n.Sigs[0].Hash != known[0].KeyHash():
		return nil, fmt.Errorf("%w: the first signature is by %q, want the log's", ErrSignature, n.Sigs[0].Name)
	}
	again := []byte(n.Text + "\n")
	for _, s := range n.Sigs {
		raw, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil || len(raw) < 4 {
			return nil, fmt.Errorf("%w: signature by %q", ErrMalformed, s.Name)
		}
		again = appendSignature(again, s.Name, s.Hash, raw[4:])
	}
	if !bytes.Equal(again, msg) {
		return nil, fmt.Errorf("%w: checkpoint isn't in its canonical form", ErrMalformed)
	}
	return n, nil
}

func checkpointText(origin string, head Head) string {
	return origin + "\n" + strconv.FormatInt(head.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(head.Root[:]) + "\n"
}

// parseCheckpointText decodes exactly three lines; extension lines, which nothing here writes, are refused.
func parseCheckpointText(text string) (origin string, head Head, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return "", Head{}, fmt.Errorf("%w: a checkpoint's text has %d lines, want 3", ErrMalformed, len(lines)-1)
	}
	if err := checkName("origin", lines[0]); err != nil {
		return "", Head{}, err
	}
	if head.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return "", Head{}, fmt.Errorf("%w: checkpoint size %.32q", ErrMalformed, lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(head.Root) {
		return "", Head{}, fmt.Errorf("%w: checkpoint root %.64q", ErrMalformed, lines[2])
	}
	copy(head.Root[:], root)
	if err := head.check(); err != nil {
		return "", Head{}, err
	}
	if checkpointText(lines[0], head) != text {
		return "", Head{}, fmt.Errorf("%w: checkpoint text isn't in its canonical form", ErrMalformed)
	}
	return lines[0], head, nil
}

// readCheckpoint returns what msg claims, without verifying a signature.
func readCheckpoint(msg []byte) (origin string, head Head, err error) {
	if len(msg) > MaxCheckpointBytes {
		return "", Head{}, fmt.Errorf("%w: checkpoint of %d bytes, at most %d", ErrMalformed, len(msg), MaxCheckpointBytes)
	}
	text, _, found := strings.Cut(string(msg), "\n\n")
	if !found {
		return "", Head{}, fmt.Errorf("%w: checkpoint without signatures", ErrMalformed)
	}
	return parseCheckpointText(text + "\n")
}

// checkName accepts what a C2SP key name may be, in printable ASCII.
func checkName(field, name string) error {
	if len(name) == 0 || len(name) > MaxOriginBytes {
		return fmt.Errorf("%w: %s of %d bytes, want 1 to %d", ErrMalformed, field, len(name), MaxOriginBytes)
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || c == '+' {
			return fmt.Errorf("%w: %s %.64q: byte %d is not a printable ASCII character other than '+' (hint: use something like example.org/tributary/1)", ErrMalformed, field, name, i)
		}
	}
	return nil
}
