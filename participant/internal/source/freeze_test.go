package source

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"tributary/protocol/jobspec"
)

func TestDigestChangesWithEveryValueFoldAndTheOrder(t *testing.T) {
	all := func(b *Binding) { b.Where = nil }
	base := mustRead(t, shopRows, all).Digest
	seen := map[[32]byte]string{base: "base"}
	for name, e := range map[string][2]string{
		"number":   {"c1;30;", "c1;31;"},
		"category": {"12.5;DE;", "12.5;FR;"},
		"other":    {"12.5;DE;", "12.5;XX;"},
		"missing":  {"mobile;train;1;true\nc2", "NA;train;1;true\nc2"},
		"split":    {"mobile;train", "mobile;test"},
		"label":    {"train;1;true\nc2", "train;0;true\nc2"},
		"key":      {"c4;", "c5;"}, // another tenth, as the test of the tenths shows
		"order":    {"c1;30;12.5;DE;mobile;train;1;true\nc2; 200 ;;AT;\"desktop\";test;0;true\n", "c2; 200 ;;AT;\"desktop\";test;0;true\nc1;30;12.5;DE;mobile;train;1;true\n"},
		"fewer":    {"c4;5;1e3;FR;;train;1;true\n", ""},
	} {
		if strings.Count(shopRows, e[0]) != 1 {
			t.Fatalf("%s: %q is not there once", name, e[0])
		}
		d := mustRead(t, strings.Replace(shopRows, e[0], e[1], 1), all).Digest
		if other, same := seen[d]; same {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[d] = name
	}
	b := binding()
	b.File = write(t, "shop.csv", []byte(shopRows))
	b.Where = nil
	rows, err := Read(context.Background(), b, contract(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, same := seen[rows.Digest]; same {
		t.Error("another secret, the same digest")
	}
}

func TestDigestIsThatOfTheMappedValues(t *testing.T) {
	base := mustRead(t, shopRows).Digest
	for name, e := range map[string][2]string{
		"clipped alike":   {" 200 ", "111"},
		"number's form":   {"1e3", "1000.0"},
		"unlisted alike":  {";AT;", ";CH;"},
		"missing alike":   {";;train;1", ";NA;train;1"},
		"unused column":   {"c3;40;7;FR;NA;train;0;false", "c3;40;7;FR;NA;train;0;no"},
		"mapped the same": {"train;1;true\nc2", "train;yes;true\nc2"},
	} {
		if strings.Count(shopRows, e[0]) != 1 {
			t.Fatalf("%s: %q is not there once", name, e[0])
		}
		if mustRead(t, strings.Replace(shopRows, e[0], e[1], 1)).Digest != base {
			t.Errorf("%s: another digest", name)
		}
	}
	// A golden value: a digest that changes between versions would end running jobs.
	const want = "59dc6044f8c04e2b77f7feaef1941ac683cb0755bdf945a9c6da04e32d628fb1"
	if got := hex.EncodeToString(base[:]); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

func TestDigestDoesNotDependOnTheJobsHoldout(t *testing.T) {
	rows := mustRead(t, shopRows)
	before := rows.Digest
	for _, h := range []jobspec.Holdout{{}, {Tenths: 5}, {Column: "fold", Equals: "train"}} {
		if _, err := rows.Table(h); err != nil {
			t.Fatal(err)
		}
		if rows.Digest != before {
			t.Errorf("hold-out %+v changes the digest", h)
		}
	}
}

func TestTenthsFollowTheKeyUnderTheSecret(t *testing.T) {
	o := secret()
	f := newFolds(o.Secret)
	counts := [10]int{}
	for i := range 10_000 {
		key := fmt.Sprintf("customer %d", i)
		mac := hmac.New(sha256.New, o.Secret[:])
		mac.Write([]byte(key))
		want := uint8(binary.BigEndian.Uint64(mac.Sum(nil)) % 10)
		if tag, id := f.of(key); uint8(tag%10) != want || f.tenth(key) != want || int(f.number(id)) != i {
			t.Fatalf("tenth of %s = %d, want %d", key, tag%10, want)
		}
		counts[want]++
	}
	// Binomial(10000, 1/10) has a standard deviation of 30; the secret is fixed, so
	// this passes always or never.
	for tenth, n := range counts {
		if n < 850 || n > 1150 {
			t.Errorf("tenth %d has %d of 10000 keys", tenth, n)
		}
	}
	if f.tenth("c4") == f.tenth("c5") {
		t.Error("c4 and c5 share a tenth: the digest test needs another key")
	}
}

func TestHoldoutsAreNestedAndKeepAKeyTogether(t *testing.T) {
	var text strings.Builder
	text.WriteString("customer_id;KUNDE_ALTER;basket;country;device;fold;churned;consent\n")
	for i := range 8 {
		fmt.Fprintf(&text, "k%d;30;1;DE;mobile;train;%d;true\n", i/2, i%2)
	}
	rows := mustRead(t, text.String())
	previous := make([]bool, rows.Count())
	for tenths := 1; tenths <= 9; tenths++ {
		table, err := rows.Table(jobspec.Holdout{Tenths: tenths})
		if err != nil {
			t.Fatal(err)
		}
		for i, held := range table.HeldOut {
			if previous[i] && !held {
				t.Errorf("row %d is held out at fewer than %d tenths only", i, tenths)
			}
			if held != table.HeldOut[i^1] {
				t.Errorf("rows %d and %d of one key are parted", i, i^1)
			}
			if held != (int(rows.tenths[i]) < tenths) {
				t.Errorf("row %d of tenth %d at %d tenths: %v", i, rows.tenths[i], tenths, held)
			}
		}
		previous = table.HeldOut
	}
}

// Each row is held out in exactly one of the folds.
func TestFoldsHoldOutEachRowOnce(t *testing.T) {
	rows := mustRead(t, shopRows)
	for _, size := range []int{1, 2, 5} {
		times := make([]int, rows.Count())
		for from := 0; from < 10; from += size {
			table, err := rows.Table(jobspec.Holdout{Tenths: size, From: from})
			if err != nil {
				t.Fatal(err)
			}
			for i, held := range table.HeldOut {
				if held {
					times[i]++
				}
			}
		}
		for i, n := range times {
			if n != 1 {
				t.Errorf("folds of %d tenths: row %d is held out %d times", size, i, n)
			}
		}
	}
}

func TestHoldoutsThatTheContractLacksAreRefused(t *testing.T) {
	rows := mustRead(t, shopRows)
	for _, h := range []jobspec.Holdout{{Tenths: 10}, {Tenths: -1}, {Tenths: 2, From: 9}, {Tenths: 2, From: -1}, {From: 3}, {Tenths: 1, Column: "fold"}, {Column: "age", Equals: "30"}, {Column: "folds", Equals: "test"}, {Column: "fold", Equals: "dev"}, {Equals: "test"}} {
		if table, err := rows.Table(h); err == nil || table != nil {
			t.Errorf("hold-out %+v: accepted", h)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(shopRows))
	f.Add([]byte("\ufeff" + shopRows))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Add([]byte("customer_id;\"KUNDE\nALTER\"\n\"a\nb\";2"))
	c, b := contract(f), binding()
	f.Fuzz(func(t *testing.T, data []byte) {
		text, _, err := plainText(bytes.NewReader(data))
		if err != nil {
			return
		}
		rows, err := read(context.Background(), text, b, c, secret())
		if (rows == nil) != (err != nil) {
			t.Fatalf("rows %v with error %v", rows, err)
		}
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		for _, h := range []jobspec.Holdout{{}, {Tenths: 3}, {Column: "fold", Equals: "test"}} {
			table, err := rows.Table(h)
			if err != nil {
				t.Fatal(err)
			}
			if err := table.Validate(); err != nil {
				t.Fatal(err)
			}
			age, _ := table.Column("age")
			for _, v := range age.Numbers {
				if !(v >= 16 && v <= 110) {
					t.Fatalf("age %v is outside the contract", v)
				}
			}
		}
	})
}

// read is Read of a text.
func read(ctx context.Context, text io.Reader, b Binding, c *jobspec.Contract, o Options) (*Rows, error) {
	in := newCSV(text, b.Separator)
	header, err := readHeader(in, b.File)
	if err != nil {
		return nil, err
	}
	return readTable(ctx, in, header, math.MaxInt64, b, c, o)
}

func BenchmarkRead(b *testing.B) {
	var text bytes.Buffer
	text.WriteString("customer_id;age;basket;country;device;fold;churned\n")
	for i := range 100_000 {
		fmt.Fprintf(&text, "customer-%d;%d;%d.%02d;%s;%s;train;%s\n", i, 16+i%90, i%5000, i%100, []string{"DE", "FR", "AT"}[i%3], []string{"mobile", "desktop"}[i%2], []string{"yes", "no"}[i%2])
	}
	c, problems := jobspec.ParseContract([]byte(strings.Replace(shopContract, "max_rows: 8", "max_rows: 1000000", 1)))
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	bind := Binding{Contract: "shop@1", ID: "bench", File: "bench", Separator: ';'}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read(context.Background(), bytes.NewReader(text.Bytes()), bind, c, secret()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestRowsOfAKeyShareAUser(t *testing.T) {
	var text strings.Builder
	text.WriteString("customer_id;KUNDE_ALTER;basket;country;device;fold;churned;consent\n")
	for i := range 8 {
		fmt.Fprintf(&text, "k%d;30;1;DE;mobile;train;%d;true\n", i%3, i%2)
	}
	table, err := mustRead(t, text.String()).UserTable(jobspec.Holdout{})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Validate(); err != nil || fmt.Sprint(table.User) != "[0 1 2 0 1 2 0 1]" {
		t.Errorf("users %v: %v", table.User, err)
	}
}
