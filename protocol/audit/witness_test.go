package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/crypto/identity"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// cosign appends a cosignature to an export's checkpoint.
func cosign(t testing.TB, x *ledger.Export, name string, key *identity.Key) {
	t.Helper()
	var err error
	if x.Checkpoint, err = ledger.Cosign(x.Checkpoint, name, key.Ed25519(), time.Unix(1_795_000_000, 0)); err != nil {
		t.Fatal(err)
	}
}

func ruled(b *Book, rule string) bool {
	return slices.ContainsFunc(b.Findings, func(f Finding) bool { return f.Rule == rule && f.Entry == -1 })
}

func TestVerifySaysWhoCosignedAndWhoDidnt(t *testing.T) {
	x := small(t).read() // cosigned by alpen and coast
	for _, c := range []struct {
		witnesses int
		verified  bool
	}{{0, true}, {1, true}, {2, true}, {3, false}} {
		b := Verify(x, Options{Witnesses: c.witnesses})
		if b.Verified() != c.verified || ruled(b, RuleCosignature) == c.verified || !b.Signed() {
			t.Errorf("with %d witnesses: %v", c.witnesses, b.Findings)
		}
	}
	s := Verify(x, Options{}).Summary()
	if !slices.Equal(s.Cosigned, []string{"alpen", "coast"}) || !slices.Equal(s.Silent, []string{"baltic"}) || !strings.Contains(s.String(), "cosigned by alpen, coast; not by baltic") {
		t.Errorf("%+v\n%s", s, s)
	}
	cosign(t, x, "shops/log/witness/baltic", memberKeys()[1])
	if s := Verify(x, Options{Witnesses: 3}).Summary(); !s.Verified || !strings.Contains(s.String(), "cosigned by all members") {
		t.Errorf("%+v\n%s", s, s)
	}
	w := small(t)
	w.witnesses = nil
	if s := w.verify().Summary(); !s.Verified || len(s.Silent) != 3 || !strings.Contains(s.String(), "cosigned by no member") {
		t.Errorf("%+v\n%s", s, s)
	}
}

func TestCosignatureOfNoMemberRefusesTheFile(t *testing.T) {
	keys := memberKeys()
	for name, change := range map[string]func(*world, *ledger.Export){
		"a stranger's":                  func(_ *world, x *ledger.Export) { cosign(t, x, "shops/log/witness/delta", keys[3]) },
		"a stranger's in baltic's name": func(_ *world, x *ledger.Export) { cosign(t, x, "shops/log/witness/baltic", keys[3]) },
		"baltic's in another name":      func(_ *world, x *ledger.Export) { cosign(t, x, "shops/log/witness/delta", keys[1]) },
		"baltic's under another log":    func(_ *world, x *ledger.Export) { cosign(t, x, "other/log/witness/baltic", keys[1]) },
		"baltic's without the log":      func(_ *world, x *ledger.Export) { cosign(t, x, "baltic", keys[1]) },
		"alpen's twice":                 func(_ *world, x *ledger.Export) { cosign(t, x, "shops/log/witness/alpen", keys[0]) },
		"the coordinator's":             func(w *world, x *ledger.Export) { cosign(t, x, "shops/log", w.hub) },
	} {
		w := small(t)
		x := w.read()
		change(w, x)
		b := Verify(x, Options{})
		if b.Verified() || !ruled(b, RuleCosignature) || !b.Signed() || len(b.Cosigned) != 0 {
			t.Errorf("%s: %v, cosigned by %v", name, b.Findings, b.Cosigned)
		}
		everything(t, b)
	}
}

func TestMembersWhoLeftAreNoWitnesses(t *testing.T) {
	w := small(t)
	w.add("revoke/coast", ledger.Revocation, w.hub, &wire.Revocation{Member: w.member(2), Reason: "left"})
	if b := w.verify(); b.Verified() || !ruled(b, RuleCosignature) {
		t.Error("a revoked member's cosignature passed:", b.Findings)
	}
	w.witnesses = []int{0}
	if b := w.verify(); !b.Verified() || len(b.Cosigned) != 1 || len(b.Silent) != 1 {
		t.Error(b.Findings, b.Cosigned, b.Silent)
	}
}

// TestEveryEditOfACosignatureIsFound edits each byte of the cosignature lines, and writes a trailer that fits: what is left to find it are
// the cosignatures themselves.
func TestEveryEditOfACosignatureIsFound(t *testing.T) {
	data := small(t).export()
	x, err := ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	own, lines := ledger.SplitCosignatures(x.Checkpoint)
	if len(lines) != 2 {
		t.Fatalf("%d cosignatures", len(lines))
	}
	for at := len(own); at < len(x.Checkpoint); at++ {
		for bit := range 8 {
			edited := bytes.Clone(x.Checkpoint)
			edited[at] ^= 1 << bit
			if _, _, err := ledger.VerifyWitnessed("shops/log", w100(), edited, witnessesOf(x)); err == nil {
				t.Fatalf("bit %d of byte %d: the checkpoint passed", bit, at)
			}
			if bit != at%8 {
				continue
			}
			if y, err := ReadFile(withCheckpoint(t, data, edited)); err == nil && Verify(y, Options{}).Verified() {
				t.Fatalf("bit %d of byte %d: the file passed", bit, at)
			}
		}
	}
}

func w100() []byte { k := testKey(100).Public(); return k[:] }

func witnessesOf(x *ledger.Export) (out []ledger.Cosigner) {
	for i, k := range memberKeys()[:3] {
		public := k.Public()
		out = append(out, ledger.Cosigner{Name: ledger.WitnessName(x.Origin, people[i]), Key: public[:]})
	}
	return out
}

// withCheckpoint replaces an export's checkpoint and mends the trailer.
func withCheckpoint(t testing.TB, data, checkpoint []byte) []byte {
	t.Helper()
	lines := bytes.SplitAfter(data, []byte("\n"))
	line, err := json.Marshal(map[string]string{"checkpoint": string(checkpoint)})
	if err != nil {
		t.Fatal(err)
	}
	lines[1] = append(line, '\n')
	body := bytes.Join(lines[:len(lines)-2], nil)
	sum := sha256.Sum256(body)
	return append(body, `{"sha256":"`+hex.EncodeToString(sum[:])+"\"}\n"...)
}
