package ledger

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// witness is one of three that are expected.
func witness(i byte) Cosigner {
	return Cosigner{WitnessName(testOrigin, string('a'+rune(i))), public(testKey(10 + i))}
}

func witnessedBy(t *testing.T, msg []byte, by ...byte) []byte {
	t.Helper()
	for _, i := range by {
		var err error
		if msg, err = Cosign(msg, witness(i).Name, testKey(10+i), time.Unix(1_795_000_000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	return msg
}

func TestAnyOfTheWitnessesMayCosignAndNobodyElse(t *testing.T) {
	head := headOf(t, newLog(t, 9, "log"), 9)
	own := signed(t, testOrigin, head, testKey(1))
	expected := []Cosigner{witness(0), witness(1), witness(2)}
	for _, by := range [][]byte{{}, {1}, {2, 0}, {0, 1, 2}} {
		msg := witnessedBy(t, own, by...)
		got, present, err := VerifyWitnessed(testOrigin, public(testKey(1)), msg, expected)
		if err != nil || got != head || len(present) != len(by) {
			t.Errorf("cosigned by %v: %v %v %v", by, got, present, err)
		}
		first, lines := SplitCosignatures(msg)
		if !bytes.Equal(first, own) || len(lines) != len(by) || !bytes.Equal(append(first, bytes.Join(lines, nil)...), msg) {
			t.Errorf("cosigned by %v splits into %q and %q", by, first, lines)
		}
	}
	for name, msg := range map[string][]byte{
		"a stranger's":                  witnessedBy(t, own, 0, 3),
		"twice the same":                witnessedBy(t, own, 1, 1),
		"a witness's name, another key": must(Cosign(own, witness(0).Name, testKey(11), time.Unix(1, 0))),
		"of another log's name":         must(Cosign(own, WitnessName("other.example/1", "a"), testKey(10), time.Unix(1, 0))),
		"of another head":               append(bytes.Clone(own), second(witnessedBy(t, signed(t, testOrigin, headOf(t, newLog(t, 9, "other"), 9), testKey(1)), 0))...),
		"no cosignature but a line":     append(bytes.Clone(own), "— x\n"...),
		"without its newline":           bytes.TrimSuffix(witnessedBy(t, own, 0), []byte("\n")),
		"before the log's own":          append(bytes.Clone(own[:bytes.Index(own, []byte("\n\n"))+2]), append(bytes.Clone(second(witnessedBy(t, own, 0))), own[bytes.Index(own, []byte("\n\n"))+2:]...)...),
		"nothing":                       nil,
		"no signature at all":           own[:bytes.Index(own, []byte("\n\n"))+2],
	} {
		if _, present, err := VerifyWitnessed(testOrigin, public(testKey(1)), msg, expected); !errors.Is(err, ErrSignature) && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: cosigned by %v, %v", name, present, err)
		}
	}
}

func must(msg []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return msg
}

// second is the line after the log's own.
func second(msg []byte) []byte { _, lines := SplitCosignatures(msg); return lines[0] }
