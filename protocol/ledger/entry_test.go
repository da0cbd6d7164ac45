package ledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestEntryHasOneEncoding(t *testing.T) {
	e := Entry{Kind: Release, AtMs: 0x0102030405, Object: []byte("sum")}
	got, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if want := "0001" + "0004" + "0000000102030405" + "00000003" + "73756d"; hex.EncodeToString(got) != want {
		t.Fatalf("encoding %x, want %s", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		e := Entry{
			Kind:   Kind(rapid.Uint16Range(1, 9).Draw(t, "kind")),
			AtMs:   rapid.Uint64Range(0, MaxAtMs).Draw(t, "at"),
			Object: rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "object"),
		}
		record, err := e.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseEntry(record)
		if err != nil {
			t.Fatal(err)
		}
		if back.Kind != e.Kind || back.AtMs != e.AtMs || !bytes.Equal(back.Object, e.Object) {
			t.Fatalf("read back %+v, want %+v", back, e)
		}
		for n := range record {
			if _, err := ParseEntry(record[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("first %d of %d bytes: %v", n, len(record), err)
			}
		}
		if _, err := ParseEntry(append(record, 0)); !errors.Is(err, ErrMalformed) {
			t.Fatalf("a byte more: %v", err)
		}
	})
}

func TestLargestEntryIsAccepted(t *testing.T) {
	e := Entry{Kind: Job, AtMs: MaxAtMs, Object: make([]byte, MaxObjectBytes)}
	record, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseEntry(record); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseEntry(append(record, 0)); !errors.Is(err, ErrMalformed) {
		t.Fatalf("a byte over the bound: %v", err)
	}
}

func TestMalformedEntriesAreRefused(t *testing.T) {
	for name, e := range map[string]Entry{
		"kind 0":           {Kind: 0, Object: []byte{1}},
		"kind 16":          {Kind: 16, Object: []byte{1}},
		"year 10000":       {Kind: Job, AtMs: MaxAtMs + 1, Object: []byte{1}},
		"no object":        {Kind: Job},
		"object too large": {Kind: Job, Object: make([]byte, MaxObjectBytes+1)},
	} {
		if _, err := e.Marshal(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: Marshal: %v", name, err)
		}
		if _, err := Append(&Memory{}, e); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: Append: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"nothing":              "",
		"version 0":            "0000000400000000000000000000000173",
		"version 2":            "0002000400000000000000000000000173",
		"kind 0":               "0001000000000000000000000000000173",
		"kind 16":              "0001001000000000000000000000000173",
		"time beyond 9999":     "00010004ffffffffffffffff0000000173",
		"length short":         "0001000400000000000000000000000073",
		"length long":          "0001000400000000000000000000000273",
		"length of 4 GiB":      "000100040000000000000000ffffffff73",
		"empty object":         "00010004000000000000000000000000",
		"header only, cut off": "000100040000000000000000000000",
	} {
		record, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseEntry(record); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKindsHaveDistinctNames(t *testing.T) {
	seen := map[string]bool{}
	for k := Charter; k <= Finish; k++ {
		if s := k.String(); seen[s] || s[0] == 'k' {
			t.Errorf("kind %d is called %q", uint16(k), s)
		}
		seen[k.String()] = true
	}
	if got := Kind(77).String(); got != "kind(77)" {
		t.Errorf("unknown kind is called %q", got)
	}
}

func FuzzParseEntry(f *testing.F) {
	for k := Charter; k <= Finish; k++ {
		record, err := Entry{Kind: k, AtMs: 1, Object: []byte("object")}.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(record)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		e, err := ParseEntry(record)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		again, err := e.Marshal()
		if err != nil || !bytes.Equal(again, record) {
			t.Fatalf("%x re-encodes to %x, %v", record, again, err)
		}
	})
}
