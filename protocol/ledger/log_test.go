package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// newLog returns a log of n entries. Two logs with the same salt are equal.
func newLog(t testing.TB, n int, salt string) *Memory {
	t.Helper()
	m := &Memory{}
	for i := range n {
		appendTo(t, m, fmt.Sprintf("%s %d", salt, i))
	}
	return m
}

func appendTo(t testing.TB, m *Memory, object string) {
	t.Helper()
	next := len(m.records)
	index, err := Append(m, Entry{Kind: Release, AtMs: uint64(next) * 1000, Object: []byte(object)})
	if err != nil || index != int64(next) {
		t.Fatalf("append %d: index %d, %v", next, index, err)
	}
}

func headOf(t testing.TB, s Store, size int64) Head {
	t.Helper()
	h, err := HeadAt(s, size)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// rootOf is the Merkle tree hash as [RFC6962, §2.1] defines it, without stored hashes: the dumb twin of HeadAt.
func rootOf(records [][]byte) [32]byte {
	switch len(records) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, records[0]...))
	}
	k := 1
	for k*2 < len(records) {
		k *= 2
	}
	left, right := rootOf(records[:k]), rootOf(records[k:])
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

func TestProofsVerifyForAllSizes(t *testing.T) {
	const n = 200
	m := newLog(t, n, "log")
	heads := make([]Head, n+1)
	for size := range heads {
		heads[size] = headOf(t, m, int64(size))
		if want := rootOf(m.records[:size]); heads[size].Root != want {
			t.Fatalf("root at %d: %x, want %x", size, heads[size].Root, want)
		}
	}
	if got, err := CurrentHead(m); err != nil || got != heads[n] {
		t.Fatalf("current head %v, %v", got, err)
	}
	for size := int64(0); size <= n; size++ {
		for i := int64(0); i < size; i++ {
			proof, err := ProveInclusion(m, size, i)
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyInclusion(heads[size], i, m.records[i], proof); err != nil {
				t.Fatalf("entry %d of %d: %v", i, size, err)
			}
		}
		for old := int64(0); old <= size; old++ {
			proof, err := ProveConsistency(m, old, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyConsistency(heads[old], heads[size], proof); err != nil {
				t.Fatalf("from %d to %d: %v", old, size, err)
			}
		}
	}
}

func TestNothingButItsProofVerifies(t *testing.T) {
	m := newLog(t, 200, "log")
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 199).Draw(t, "size")
		index := rapid.Int64Range(0, size-1).Draw(t, "index")
		head, err := HeadAt(m, size)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := ProveInclusion(m, size, index)
		if err != nil {
			t.Fatal(err)
		}
		record := append([]byte(nil), m.records[index]...)
		refused := func(what string, head Head, index int64, record []byte, proof [][32]byte) {
			if err := VerifyInclusion(head, index, record, proof); !errors.Is(err, ErrNotIncluded) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		bit := rapid.IntRange(0, len(record)*8-1).Draw(t, "bit")
		record[bit/8] ^= 1 << (bit % 8)
		refused("changed record", head, index, record, proof)
		record[bit/8] ^= 1 << (bit % 8)

		head.Root[bit%32] ^= 0x10
		refused("changed root", head, index, record, proof)
		head.Root[bit%32] ^= 0x10

		if other := rapid.Int64Range(-1, size).Draw(t, "other"); other != index {
			refused("other index", head, other, record, proof)
		}
		refused("longer proof", head, index, record, append(proof[:len(proof):len(proof)], [32]byte{}))
		if len(proof) > 0 {
			refused("shorter proof", head, index, record, proof[1:])
			cut := rapid.IntRange(0, len(proof)-1).Draw(t, "hash")
			proof[cut][0] ^= 1
			refused("changed proof", head, index, record, proof)
			proof[cut][0] ^= 1
		}
		if err := VerifyInclusion(head, index, record, proof); err != nil {
			t.Fatalf("the unchanged proof: %v", err)
		}
	})
}

func TestForkedLedgerIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shared := rapid.IntRange(0, 60).Draw(t, "shared")
		old := rapid.IntRange(shared+1, 80).Draw(t, "old")
		size := rapid.IntRange(old, 100).Draw(t, "new")
		honest, forked := &Memory{}, &Memory{}
		for i := range size {
			e := Entry{Kind: Release, AtMs: uint64(i), Object: []byte("same")}
			if _, err := Append(honest, e); err != nil {
				t.Fatal(err)
			}
			if i >= shared {
				e.Object = []byte("other")
			}
			if _, err := Append(forked, e); err != nil {
				t.Fatal(err)
			}
		}
		seen, err := HeadAt(honest, int64(old))
		if err != nil {
			t.Fatal(err)
		}
		shown, err := CurrentHead(forked)
		if err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]*Memory{"forked": forked, "honest": honest} {
			proof, err := ProveConsistency(s, int64(old), int64(size))
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyConsistency(seen, shown, proof); !errors.Is(err, ErrFork) {
				t.Fatalf("the %s log's proof from %d to %d, shared %d: %v", name, old, size, shared, err)
			}
		}
		if shared > 0 { // what is shared can be extended either way
			common, err := HeadAt(honest, int64(shared))
			if err != nil {
				t.Fatal(err)
			}
			proof, err := ProveConsistency(forked, int64(shared), int64(size))
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyConsistency(common, shown, proof); err != nil {
				t.Fatalf("from the shared head: %v", err)
			}
		}
	})
}

func TestShrunkOrUnprovenLedgerIsAFork(t *testing.T) {
	m := newLog(t, 20, "log")
	proof, err := ProveConsistency(m, 7, 20)
	if err != nil {
		t.Fatal(err)
	}
	h7, h20 := headOf(t, m, 7), headOf(t, m, 20)
	changed := append([][32]byte(nil), proof...)
	changed[1][3] ^= 4
	wrongRoot := h20
	wrongRoot.Root[0] ^= 1
	for name, c := range map[string]struct {
		old, new Head
		proof    [][32]byte
	}{
		"rolled back":            {h20, h7, proof},
		"rolled back to nothing": {h20, EmptyHead(), nil},
		"zero head as new":       {h7, Head{}, nil},
		"no proof":               {h7, h20, nil},
		"proof cut":              {h7, h20, proof[1:]},
		"proof changed":          {h7, h20, changed},
		"proof longer":           {h7, h20, append(proof[:len(proof):len(proof)], [32]byte{})},
		"new root changed":       {h7, wrongRoot, proof},
		"same size, other root":  {h20, wrongRoot, nil},
		"same size, some proof":  {h20, h20, proof},
		"empty, some proof":      {Head{}, h20, proof},
		"size 0 with a root":     {Head{Root: h7.Root}, h20, nil},
		"negative size":          {Head{Size: -1, Root: h7.Root}, h20, nil},
	} {
		if err := VerifyConsistency(c.old, c.new, c.proof); !errors.Is(err, ErrFork) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, old := range []Head{{}, EmptyHead()} {
		for _, new := range []Head{EmptyHead(), h20} {
			if err := VerifyConsistency(old, new, nil); err != nil {
				t.Errorf("from an empty log to %d entries: %v", new.Size, err)
			}
		}
	}
}

// sumdb/tlog searches a power of two above the size and never finds one beyond 2^62.
func TestHostileSizeDoesNotHang(t *testing.T) {
	for _, size := range []int64{MaxSize + 1, 1<<62 + 1, 1<<63 - 1} {
		h := Head{Size: size, Root: [32]byte{1}}
		if err := VerifyInclusion(h, 0, nil, nil); !errors.Is(err, ErrNotIncluded) {
			t.Errorf("inclusion at size %d: %v", size, err)
		}
		if err := VerifyConsistency(Head{Size: 1}, h, nil); !errors.Is(err, ErrFork) {
			t.Errorf("consistency to size %d: %v", size, err)
		}
		if err := VerifyConsistency(h, h, nil); !errors.Is(err, ErrFork) {
			t.Errorf("consistency from size %d: %v", size, err)
		}
	}
}

func TestProversRefuseWhatTheLogDoesNotHave(t *testing.T) {
	m := newLog(t, 5, "log")
	for _, c := range [][2]int64{{6, 0}, {5, 5}, {5, -1}, {0, 0}, {-1, 0}} {
		if _, err := ProveInclusion(m, c[0], c[1]); !errors.Is(err, ErrOutOfRange) {
			t.Errorf("inclusion of %d in %d: %v", c[1], c[0], err)
		}
	}
	for _, c := range [][2]int64{{0, 6}, {4, 3}, {-1, 3}, {0, -1}} {
		if _, err := ProveConsistency(m, c[0], c[1]); !errors.Is(err, ErrOutOfRange) {
			t.Errorf("consistency from %d to %d: %v", c[0], c[1], err)
		}
	}
	for _, size := range []int64{-1, 6} {
		if _, err := HeadAt(m, size); !errors.Is(err, ErrOutOfRange) {
			t.Errorf("head at %d: %v", size, err)
		}
	}
	if _, err := m.ReadEntry(5); !errors.Is(err, ErrOutOfRange) {
		t.Errorf("entry 5: %v", err)
	}
	if err := m.AppendEntry(7, nil, nil); !errors.Is(err, ErrOutOfRange) {
		t.Errorf("append at 7: %v", err)
	}
}

// brokenStore fails, or returns too little, at the chosen call.
type brokenStore struct {
	*Memory
	at  string
	err error
}

func (b brokenStore) Size() (int64, error) {
	if b.at == "size" {
		return 0, b.err
	}
	return b.Memory.Size()
}

func (b brokenStore) ReadHashes(x []int64) ([]tlog.Hash, error) {
	if b.at == "hashes" {
		return nil, b.err
	}
	return b.Memory.ReadHashes(x)
}

func (b brokenStore) ReadEntry(i int64) ([]byte, error) {
	if b.at == "entry" {
		return nil, b.err
	}
	return b.Memory.ReadEntry(i)
}

func (b brokenStore) AppendEntry(i int64, r []byte, h []tlog.Hash) error {
	if b.at == "append" {
		return b.err
	}
	return b.Memory.AppendEntry(i, r, h)
}

func TestStoreErrorsArePassedOn(t *testing.T) {
	broken := errors.New("disk is gone")
	for _, at := range []string{"size", "hashes", "append"} {
		s := brokenStore{newLog(t, 3, "log"), at, broken}
		if _, err := Append(s, Entry{Kind: Job, Object: []byte{1}}); !errors.Is(err, broken) {
			t.Errorf("append with broken %s: %v", at, err)
		}
		if n := len(s.records); n != 3 {
			t.Errorf("append with broken %s left %d entries", at, n)
		}
	}
	for _, at := range []string{"size", "hashes"} {
		s := brokenStore{newLog(t, 3, "log"), at, broken}
		_, err1 := CurrentHead(s)
		_, err2 := ProveInclusion(s, 3, 1)
		_, err3 := ProveConsistency(s, 2, 3)
		for i, err := range []error{err1, err2, err3} {
			if !errors.Is(err, broken) {
				t.Errorf("read %d with broken %s: %v", i, at, err)
			}
		}
	}
	short := brokenStore{newLog(t, 3, "log"), "hashes", nil}
	if _, err := CurrentHead(short); err == nil {
		t.Error("a head from a store that returns no hashes")
	}
}
