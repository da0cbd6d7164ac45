package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// smallLog has one entry of each kind and fixed bytes.
func smallLog(t testing.TB) *Memory {
	t.Helper()
	m := &Memory{}
	for k := Charter; k <= Finish; k++ {
		if _, err := Append(m, Entry{Kind: k, AtMs: 1764000000000 + uint64(k)*1001, Object: []byte("object of " + k.String())}); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func exported(t testing.TB, s Store, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteExport(&b, s, signed(t, testOrigin, headOf(t, s, size), testKey(1))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// resealed replaces the trailer by the right one, as someone who edits an export would.
func resealed(lines []string) []byte {
	body := strings.Join(lines, "")
	sum := sha256.Sum256([]byte(body))
	return []byte(body + `{"sha256":"` + hex.EncodeToString(sum[:]) + "\"}\n")
}

func split(file []byte) []string {
	lines := strings.SplitAfter(string(file), "\n")
	return lines[:len(lines)-2] // without the trailer and the empty rest
}

func refused(err error) bool {
	return errors.Is(err, ErrMalformed) || errors.Is(err, ErrTampered) || errors.Is(err, ErrTruncated) || errors.Is(err, ErrOutOfRange)
}

func TestExportFormatIsFixed(t *testing.T) {
	want, err := os.ReadFile("testdata/export.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if got := exported(t, smallLog(t), 9); !bytes.Equal(got, want) {
		t.Fatalf("export differs from testdata/export.jsonl:\n%s", got)
	}
}

func TestExportIsReadBackWhole(t *testing.T) {
	m := smallLog(t)
	for size := range int64(10) {
		file := exported(t, m, size)
		x, err := ReadExport(iotest.OneByteReader(bytes.NewReader(file)))
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		if x.Origin != testOrigin || x.Head != headOf(t, m, size) || len(x.Entries) != int(size) {
			t.Fatalf("size %d: read %q, %v, %d entries", size, x.Origin, x.Head, len(x.Entries))
		}
		for i, e := range x.Entries {
			if record, err := e.Marshal(); err != nil || !bytes.Equal(record, m.records[i]) {
				t.Fatalf("entry %d of %d: %x, %v", i, size, record, err)
			}
		}
		if err := x.Verify(testOrigin, public(testKey(1))); err != nil {
			t.Fatal(err)
		}
		if err := x.Verify(testOrigin, public(testKey(2))); !errors.Is(err, ErrSignature) {
			t.Fatalf("under another key: %v", err)
		}
		if err := x.Verify("other.example/1", public(testKey(1))); !errors.Is(err, ErrSignature) {
			t.Fatalf("under another origin: %v", err)
		}
		x.Head.Root[0] ^= 1
		if err := x.Verify(testOrigin, public(testKey(1))); !errors.Is(err, ErrTampered) {
			t.Fatalf("with another head: %v", err)
		}
	}
}

func TestFlippedBitInAnExportIsFound(t *testing.T) {
	file := exported(t, smallLog(t), 9)
	for i := range len(file) * 8 {
		damaged := append([]byte(nil), file...)
		damaged[i/8] ^= 1 << (i % 8)
		if _, err := ReadExport(bytes.NewReader(damaged)); !refused(err) {
			t.Fatalf("bit %d of byte %d flipped: %v", i%8, i/8, err)
		}
	}
}

func TestTruncatedExportIsFound(t *testing.T) {
	file := exported(t, smallLog(t), 9)
	for n := range file {
		if _, err := ReadExport(bytes.NewReader(file[:n])); !errors.Is(err, ErrTruncated) {
			t.Fatalf("first %d of %d bytes: %v", n, len(file), err)
		}
	}
	lines := split(file)
	for n := range lines { // cut and sealed again
		if _, err := ReadExport(bytes.NewReader(resealed(lines[:n]))); !refused(err) {
			t.Fatalf("first %d of %d lines, resealed: %v", n, len(lines), err)
		}
	}
	// Cut, sealed again, and the header made to say so: the signed size still differs.
	lines[0] = strings.Replace(lines[0], `"entries":9`, `"entries":8`, 1)
	if _, err := ReadExport(bytes.NewReader(resealed(lines[:len(lines)-1]))); !errors.Is(err, ErrTampered) {
		t.Fatalf("one entry less and a header that says so: %v", err)
	}
}

func TestTamperedEntryIsFound(t *testing.T) {
	m := smallLog(t)
	file := exported(t, m, 9)
	lines := split(file)
	forged := &Memory{}
	for i := range m.records {
		e, err := ParseEntry(m.records[i])
		if err != nil {
			t.Fatal(err)
		}
		e.Object[0] ^= 1
		if _, err := Append(forged, e); err != nil {
			t.Fatal(err)
		}
	}
	forgedLines := split(exported(t, forged, 9))
	for i := range m.records {
		// In the file, with the trailer made to fit.
		edited := append([]string(nil), lines...)
		edited[2+i] = forgedLines[2+i]
		if _, err := ReadExport(bytes.NewReader(resealed(edited))); !errors.Is(err, ErrTampered) {
			t.Errorf("entry %d replaced in the export: %v", i, err)
		}
		// In the database: the export isn't written, and names the entry.
		broken := smallLog(t)
		broken.records[i] = forged.records[i]
		err := WriteExport(&bytes.Buffer{}, broken, signed(t, testOrigin, headOf(t, m, 9), testKey(1)))
		if want := "entry " + string(rune('0'+i)) + " "; !errors.Is(err, ErrTampered) || !strings.Contains(err.Error(), want) {
			t.Errorf("record %d changed in the store: %v", i, err)
		}
		// In a proof.
		proof, err := ProveInclusion(m, 9, int64(i))
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyInclusion(headOf(t, m, 9), int64(i), forged.records[i], proof); !errors.Is(err, ErrNotIncluded) {
			t.Errorf("record %d under its proof: %v", i, err)
		}
	}
	swapped := append([]string(nil), lines...)
	swapped[3], swapped[4] = swapped[4], swapped[3]
	if _, err := ReadExport(bytes.NewReader(resealed(swapped))); !errors.Is(err, ErrTampered) {
		t.Errorf("two entries swapped: %v", err)
	}
}

func TestForgedLogIsNotAuthentic(t *testing.T) {
	m := smallLog(t)
	var b bytes.Buffer
	if err := WriteExport(&b, m, signed(t, testOrigin, headOf(t, m, 9), testKey(9))); err != nil {
		t.Fatal(err)
	}
	x, err := ReadExport(&b)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Verify(testOrigin, public(testKey(1))); !errors.Is(err, ErrSignature) {
		t.Fatal(err)
	}
}

func TestCorruptStoreIsNotExported(t *testing.T) {
	good := signed(t, testOrigin, headOf(t, smallLog(t), 9), testKey(1))
	for i := range smallLog(t).hashes {
		m := smallLog(t)
		m.hashes[i][5] ^= 1
		if err := WriteExport(&bytes.Buffer{}, m, good); !errors.Is(err, ErrTampered) {
			// An inner hash that the root at this size isn't made from changes nothing that is exported.
			if err != nil {
				t.Errorf("hash %d changed: %v", i, err)
			}
			continue
		}
	}
	m := smallLog(t)
	m.hashes[0], m.records[0] = m.hashes[1], m.records[1] // a leaf and its record, consistently
	if err := WriteExport(&bytes.Buffer{}, m, good); !errors.Is(err, ErrTampered) {
		t.Errorf("first entry replaced with its hash: %v", err)
	}
	if err := WriteExport(&bytes.Buffer{}, newLog(t, 8, "log"), good); !errors.Is(err, ErrOutOfRange) {
		t.Errorf("a log shorter than its checkpoint: %v", err)
	}
	if err := WriteExport(&bytes.Buffer{}, newLog(t, 9, "log"), good); !errors.Is(err, ErrTampered) {
		t.Errorf("another log's checkpoint: %v", err)
	}
	if err := WriteExport(&bytes.Buffer{}, smallLog(t), []byte("x")); !errors.Is(err, ErrMalformed) {
		t.Errorf("no checkpoint: %v", err)
	}
	broken := errors.New("disk is gone")
	if err := WriteExport(&bytes.Buffer{}, brokenStore{smallLog(t), "entry", broken}, good); !errors.Is(err, broken) {
		t.Errorf("store fails: %v", err)
	}
	if err := WriteExport(failingWriter{broken}, smallLog(t), good); !errors.Is(err, broken) {
		t.Errorf("writer fails: %v", err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestExportsThatNobodyWritesAreRefused(t *testing.T) {
	file := exported(t, smallLog(t), 9)
	lines := split(file)
	edit := func(i int, old, new string) []byte {
		edited := append([]string(nil), lines...)
		if !strings.Contains(edited[i], old) {
			t.Fatalf("line %d has no %q: %s", i, old, edited[i])
		}
		edited[i] = strings.Replace(edited[i], old, new, 1)
		return resealed(edited)
	}
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"other format":      {edit(0, "v1", "v2"), ErrMalformed},
		"other origin":      {edit(0, "example", "exbmple"), ErrTampered},
		"other size":        {edit(0, `"entries":9`, `"entries":10`), ErrTampered},
		"negative size":     {edit(0, `"entries":9`, `"entries":-9`), ErrTampered},
		"unknown key":       {edit(0, `"origin"`, `"x":1,"origin"`), ErrMalformed},
		"key twice":         {edit(0, `"entries":9`, `"entries":9,"entries":9`), ErrMalformed},
		"key in capitals":   {edit(2, `"kind"`, `"KIND"`), ErrMalformed},
		"a space":           {edit(2, `,"kind"`, `, "kind"`), ErrMalformed},
		"escaped character": {edit(2, `charter`, `\u0063harter`), ErrMalformed},
		"wrong kind":        {edit(2, `"charter"`, `"release"`), ErrTampered},
		"wrong time":        {edit(2, `2025-`, `2024-`), ErrTampered},
		"wrong index":       {edit(2, `"index":0`, `"index":1`), ErrTampered},
		"no record":         {edit(2, lines[2], `{"index":0,"kind":"charter","at":"","record":null}`+"\n"), ErrMalformed},
		"carriage return":   {edit(2, "\n", "\r\n"), ErrMalformed},
		"more after it":     {append(append([]byte(nil), file...), '\n'), ErrMalformed},
		"a line too long":   {bytes.Repeat([]byte{'x'}, maxLineBytes+1), ErrMalformed},
		"nothing":           {nil, ErrTruncated},
	} {
		if _, err := ReadExport(bytes.NewReader(c.file)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	broken := errors.New("disk is gone")
	if _, err := ReadExport(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("reader fails: %v", err)
	}
}

func TestLargestEntryFitsAnExport(t *testing.T) {
	m := &Memory{}
	if _, err := Append(m, Entry{Kind: Revocation, AtMs: MaxAtMs, Object: make([]byte, MaxObjectBytes)}); err != nil {
		t.Fatal(err)
	}
	x, err := ReadExport(bytes.NewReader(exported(t, m, 1)))
	if err != nil || len(x.Entries) != 1 || len(x.Entries[0].Object) != MaxObjectBytes {
		t.Fatalf("read back: %v", err)
	}
}

func FuzzReadExport(f *testing.F) {
	m := smallLog(f)
	for _, size := range []int64{0, 1, 9} {
		f.Add(exported(f, m, size))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		x, err := ReadExport(bytes.NewReader(file))
		if err != nil {
			if !refused(err) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		m := &Memory{}
		for _, e := range x.Entries {
			if _, err := Append(m, e); err != nil {
				t.Fatal(err)
			}
		}
		var again bytes.Buffer
		if err := WriteExport(&again, m, x.Checkpoint); err != nil || !bytes.Equal(again.Bytes(), file) {
			t.Fatalf("re-encodes to\n%s\n%v, from\n%s", again.Bytes(), err, file)
		}
	})
}
