package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

const testOrigin = "coordinator.example.org/tributary/1"

// testKey returns a fixed key, so that signed bytes are the same in every run.
func testKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func signed(t testing.TB, origin string, h Head, key ed25519.PrivateKey) []byte {
	t.Helper()
	msg, err := SignCheckpoint(origin, h, key)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestCheckpointIsInC2SPFormat(t *testing.T) {
	head := headOf(t, newLog(t, 12, "log"), 12)
	key := testKey(1)
	msg := signed(t, testOrigin, head, key)
	text := testOrigin + "\n12\n" + base64.StdEncoding.EncodeToString(head.Root[:]) + "\n"
	if !strings.HasPrefix(string(msg), text+"\n— "+testOrigin+" ") {
		t.Fatalf("checkpoint:\n%s", msg)
	}
	// The independent reader: sumdb/note with its own verifier of the same key.
	vkey, err := note.NewEd25519VerifierKey(testOrigin, public(key))
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil || n.Text != text || len(n.Sigs) != 1 {
		t.Fatalf("sumdb/note reads %+v, %v", n, err)
	}
	got, err := VerifyCheckpoint(testOrigin, public(key), msg)
	if err != nil || got != head {
		t.Fatalf("verified %v, %v", got, err)
	}
	empty, err := VerifyCheckpoint(testOrigin, public(key), signed(t, testOrigin, EmptyHead(), key))
	if err != nil || empty != EmptyHead() {
		t.Fatalf("the empty log's checkpoint: %v, %v", empty, err)
	}
}

func TestEveryBitOfACheckpointCounts(t *testing.T) {
	key, w1, w2 := testKey(1), testKey(2), testKey(3)
	cosigners := []Cosigner{{"alpen-shop", public(w1)}, {"baltic-shop", public(w2)}}
	plain := signed(t, testOrigin, headOf(t, newLog(t, 3, "log"), 3), key)
	cosigned := plain
	for i, w := range []ed25519.PrivateKey{w1, w2} {
		var err error
		if cosigned, err = Cosign(cosigned, cosigners[i].Name, w, time.Unix(1700000000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		msg       []byte
		cosigners []Cosigner
	}{"plain": {plain, nil}, "cosigned": {cosigned, cosigners}} {
		if _, err := VerifyCheckpoint(testOrigin, public(key), c.msg, c.cosigners...); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range len(c.msg) * 8 {
			msg := append([]byte(nil), c.msg...)
			msg[i/8] ^= 1 << (i % 8)
			if _, err := VerifyCheckpoint(testOrigin, public(key), msg, c.cosigners...); !ours(err) {
				t.Fatalf("%s with bit %d flipped: %v\n%s", name, i, err, msg)
			}
		}
		for n := range c.msg {
			if _, err := VerifyCheckpoint(testOrigin, public(key), c.msg[:n], c.cosigners...); !ours(err) {
				t.Fatalf("%s cut to %d bytes: %v", name, n, err)
			}
		}
	}
}

// ours reports whether err is one that VerifyCheckpoint promises.
func ours(err error) bool {
	return errors.Is(err, ErrMalformed) || errors.Is(err, ErrSignature) || errors.Is(err, ErrOutOfRange)
}

func TestSignersAreExactlyTheExpectedOnes(t *testing.T) {
	key, w1, w2 := testKey(1), testKey(2), testKey(3)
	head := headOf(t, newLog(t, 3, "log"), 3)
	plain := signed(t, testOrigin, head, key)
	at := time.Unix(1700000000, 0)
	by := func(msg []byte, name string, k ed25519.PrivateKey) []byte {
		out, err := Cosign(msg, name, k, at)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	a, b := Cosigner{"alpen-shop", public(w1)}, Cosigner{"baltic-shop", public(w2)}
	both := by(by(plain, a.Name, w1), b.Name, w2)
	line := func(msg []byte, i int) []byte { return bytes.SplitAfter(msg, []byte("\n"))[i] }
	logLine, aLine := line(both, 4), line(both, 5)
	text := both[:bytes.Index(both, logLine)]

	for name, c := range map[string]struct {
		msg       []byte
		cosigners []Cosigner
		want      error // nil: accepted
	}{
		"none expected":             {plain, nil, nil},
		"both":                      {both, []Cosigner{a, b}, nil},
		"both, set in other order":  {both, []Cosigner{b, a}, nil},
		"one more than expected":    {both, []Cosigner{a}, ErrSignature},
		"two more than expected":    {both, nil, ErrSignature},
		"one missing":               {by(plain, a.Name, w1), []Cosigner{a, b}, ErrSignature},
		"all missing":               {plain, []Cosigner{a}, ErrSignature},
		"right name, other key":     {by(plain, a.Name, w2), []Cosigner{a}, ErrSignature},
		"right key, other name":     {by(plain, "eve", w1), []Cosigner{a}, ErrSignature},
		"the log's line twice":      {append(plain[:len(plain):len(plain)], logLine...), nil, ErrMalformed},
		"a cosigner's line twice":   {append(by(plain, a.Name, w1), aLine...), []Cosigner{a}, ErrMalformed},
		"unknown line twice":        {append(by(plain, a.Name, w1), aLine...), nil, ErrSignature},
		"cosigner before the log":   {append(append(text[:len(text):len(text)], aLine...), logLine...), []Cosigner{a}, ErrSignature},
		"only a cosigner":           {append(text[:len(text):len(text)], aLine...), []Cosigner{a}, ErrSignature},
		"one key expected twice":    {by(plain, a.Name, w1), []Cosigner{a, a}, ErrMalformed},
		"cosigner without a key":    {plain, []Cosigner{{Name: "x"}}, ErrSignature},
		"cosigner without a name":   {plain, []Cosigner{{Key: public(w1)}}, ErrMalformed},
		"log signs as its cosigner": {by(plain, testOrigin, key), nil, ErrSignature},
		"signed by another key":     {signed(t, testOrigin, head, w1), nil, ErrSignature},
		"another log's checkpoint":  {signed(t, "other.example/1", head, key), nil, ErrSignature},
	} {
		got, err := VerifyCheckpoint(testOrigin, public(key), c.msg, c.cosigners...)
		if c.want == nil && (err != nil || got != head) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// The text may differ from the key's name although both are signed: nobody else's log passes for this one.
func TestOriginLineMustBeTheLogs(t *testing.T) {
	key := testKey(1)
	text := checkpointText("other.example/1", EmptyHead())
	msg := appendSignature([]byte(text+"\n"), testOrigin, keyID(testOrigin, algEd25519, public(key)), ed25519.Sign(key, []byte(text)))
	if _, err := VerifyCheckpoint(testOrigin, public(key), msg); !errors.Is(err, ErrSignature) {
		t.Fatal(err)
	}
}

func TestSignedNonsenseIsRefused(t *testing.T) {
	key := testKey(1)
	root := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	for name, text := range map[string]string{
		"extension line":     testOrigin + "\n3\n" + root + "\nextra\n",
		"no root":            testOrigin + "\n3\n",
		"size with a zero":   testOrigin + "\n03\n" + root + "\n",
		"size with a plus":   testOrigin + "\n+3\n" + root + "\n",
		"negative size":      testOrigin + "\n-3\n" + root + "\n",
		"size of 2^62+1":     testOrigin + "\n4611686018427387905\n" + root + "\n",
		"size beyond int64":  testOrigin + "\n99999999999999999999\n" + root + "\n",
		"size 0 with a root": testOrigin + "\n0\n" + root + "\n",
		"root of 31 bytes":   testOrigin + "\n3\n" + base64.StdEncoding.EncodeToString(make([]byte, 31)) + "\n",
		"root with stray bits": testOrigin + "\n3\n" +
			strings.TrimSuffix(root, "c=") + "d=\n",
	} {
		msg := appendSignature([]byte(text+"\n"), testOrigin, keyID(testOrigin, algEd25519, public(key)), ed25519.Sign(key, []byte(text)))
		if _, err := VerifyCheckpoint(testOrigin, public(key), msg); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrOutOfRange) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckpointsAreOnlySignedWhenTheyWouldVerify(t *testing.T) {
	key := testKey(1)
	for _, origin := range []string{"", "a b", "a+b", "a\nb", "ä", strings.Repeat("x", MaxOriginBytes+1)} {
		if _, err := SignCheckpoint(origin, EmptyHead(), key); !errors.Is(err, ErrMalformed) {
			t.Errorf("origin %q: %v", origin, err)
		}
		if _, err := VerifyCheckpoint(origin, public(key), nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("verify origin %q: %v", origin, err)
		}
		if _, err := Cosign(signed(t, testOrigin, EmptyHead(), key), origin, key, time.Unix(1, 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("cosigner %q: %v", origin, err)
		}
	}
	for _, h := range []Head{{}, {Size: -1}, {Size: MaxSize + 1}} {
		if _, err := SignCheckpoint(testOrigin, h, key); err == nil {
			t.Errorf("signed head %v", h)
		}
	}
	if _, err := SignCheckpoint(testOrigin, EmptyHead(), key[:31]); !errors.Is(err, ErrSignature) {
		t.Errorf("short private key: %v", err)
	}
	if _, err := VerifyCheckpoint(testOrigin, public(key)[:31], signed(t, testOrigin, EmptyHead(), key)); !errors.Is(err, ErrSignature) {
		t.Errorf("short public key: %v", err)
	}
	if _, err := VerifyCheckpoint(testOrigin, public(key), make([]byte, MaxCheckpointBytes+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("huge checkpoint: %v", err)
	}
	if _, err := Cosign([]byte("x"), "name", key, time.Unix(1, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("cosigned nonsense: %v", err)
	}
}

func FuzzCheckpoint(f *testing.F) {
	key := testKey(1)
	cosigner := Cosigner{"alpen-shop", public(testKey(2))}
	for _, n := range []int{0, 1, 7} {
		msg := signed(f, testOrigin, headOf(f, newLog(f, n, "log"), int64(n)), key)
		f.Add(msg)
		msg, err := Cosign(msg, cosigner.Name, testKey(2), time.Unix(1700000000, 0))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(msg)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		head, err := VerifyCheckpoint(testOrigin, public(key), msg)
		if err != nil && !ours(err) {
			t.Fatalf("foreign error %v", err)
		}
		if err == nil && !bytes.Equal(msg, signed(t, testOrigin, head, key)) {
			t.Fatalf("accepted another form of one checkpoint:\n%s", msg)
		}
		if _, err := VerifyCheckpoint(testOrigin, public(key), msg, cosigner); err != nil && !ours(err) {
			t.Fatalf("foreign error with a cosigner: %v", err)
		}
		if origin, head, err := readCheckpoint(msg); err == nil && !bytes.HasPrefix(msg, []byte(checkpointText(origin, head)+"\n")) {
			t.Fatalf("text isn't canonical:\n%s", msg)
		}
	})
}
