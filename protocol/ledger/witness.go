package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// WitnessName is the key name under which a member of the log's consortium cosigns its checkpoints. What isn't a key name (over
// MaxOriginBytes, say) is refused where it is used.
func WitnessName(origin, member string) string { return origin + "/witness/" + member }

// SplitCosignatures returns a checkpoint with the log's own signature line alone, and the lines that follow it, each with its newline.
// Nothing is verified. Lines joined to the checkpoint again give the same bytes.
func SplitCosignatures(checkpoint []byte) (own []byte, lines [][]byte) {
	text, _, found := bytes.Cut(checkpoint, []byte("\n\n"))
	if !found {
		return checkpoint, nil
	}
	all := bytes.SplitAfter(checkpoint[len(text)+2:], []byte("\n"))
	if n := len(all); len(all[n-1]) == 0 { // after the last newline
		all = all[:n-1]
	}
	if len(all) < 2 {
		return checkpoint, nil
	}
	own = checkpoint[: len(text)+2+len(all[0]) : len(text)+2+len(all[0])]
	return own, all[1:]
}

// CosignedAt is who a cosignature line names and when it says that it was made, Unix seconds. Nothing is verified.
func CosignedAt(line []byte) (name string, seconds uint64, ok bool) {
	fields := strings.SplitN(strings.TrimSuffix(string(line), "\n"), " ", 3)
	if len(fields) != 3 {
		return "", 0, false
	}
	raw, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || len(raw) != 4+8+ed25519.SignatureSize {
		return "", 0, false
	}
	return fields[1], binary.BigEndian.Uint64(raw[4:]), true
}

// VerifyWitnessed is VerifyCheckpoint where any of the witnesses may have cosigned: each line after the log's must be exactly one
// valid cosignature of one of them. It returns those who did, in the order given. At most MaxCosigners can cosign one checkpoint.
func VerifyWitnessed(origin string, pub ed25519.PublicKey, msg []byte, witnesses []Cosigner) (Head, []Cosigner, error) {
	_, lines := SplitCosignatures(msg)
	named := map[string]bool{}
	for _, line := range lines {
		if fields := strings.SplitN(string(line), " ", 3); len(fields) == 3 {
			named[fields[1]] = true
		}
	}
	var present []Cosigner
	for _, w := range witnesses {
		if named[w.Name] {
			present = append(present, w)
		}
	}
	head, err := VerifyCheckpoint(origin, pub, msg, present...)
	if err != nil {
		return Head{}, nil, err
	}
	return head, present, nil
}

// VerifyWitnessed is Verify where any of the witnesses may have cosigned; it returns those who did.
func (x *Export) VerifyWitnessed(origin string, pub ed25519.PublicKey, witnesses []Cosigner) ([]Cosigner, error) {
	head, present, err := VerifyWitnessed(origin, pub, x.Checkpoint, witnesses)
	if err != nil {
		return nil, err
	}
	if head != x.Head {
		return nil, fmt.Errorf("verify ledger export: %w: entries and checkpoint have different heads", ErrTampered)
	}
	return present, nil
}
