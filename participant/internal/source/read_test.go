package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/protocol/jobspec"
)

const shopContract = `
version: 1
name: shop
revision: 1
key: customer_id
max_rows: 8
label: {column: churned, positive: "yes", negative: "no"}
columns:
  age:     {type: number, min: 16, max: 110}
  basket:  {type: number, min: 0, max: 10000, nullable: true, outside: reject}
  country: {type: category, values: [DE, FR], other: keep}
  device:  {type: category, values: [mobile, desktop], nullable: true}
  fold:    {type: split, values: [train, test]}
`

const shopRows = `customer_id;KUNDE_ALTER;basket;country;device;fold;churned;consent
c1;30;12.5;DE;mobile;train;1;true
c2; 200 ;;AT;"desktop";test;0;true
c3;40;7;FR;NA;train;0;false
c4;5;1e3;FR;;train;1;true
`

func contract(t testing.TB) *jobspec.Contract {
	t.Helper()
	c, problems := jobspec.ParseContract([]byte(shopContract))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return c
}

func binding() Binding {
	return Binding{
		Contract: "shop@1", ID: "customers", Separator: ';', Missing: []string{"", "NA"},
		Columns: map[string]string{"age": "KUNDE_ALTER"},
		Values:  map[string]map[string]string{"churned": {"1": "yes", "0": "no"}},
		Where:   []Filter{{Column: "consent", In: []string{"true"}}},
	}
}

func secret() (o Options) {
	copy(o.Secret[:], "a source's secret for these tests")
	return o
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readText reads a text with the tests' binding.
func readText(t testing.TB, text string, change ...func(*Binding)) (*Rows, error) {
	t.Helper()
	b := binding()
	b.File = write(t, "shop.csv", []byte(text))
	for _, c := range change {
		c(&b)
	}
	return Read(context.Background(), b, contract(t), secret())
}

func mustRead(t testing.TB, text string, change ...func(*Binding)) *Rows {
	t.Helper()
	r, err := readText(t, text, change...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func column(t *testing.T, table *dataset.Table, name string) *dataset.Column {
	t.Helper()
	c, ok := table.Column(name)
	if !ok {
		t.Fatalf("no column %s", name)
	}
	return c
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s = %v, want %v", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) { // NaN equals NaN here
			t.Fatalf("%s = %v, want %v", what, got, want)
		}
	}
}

// A label with classes becomes their codes, and another contract's rows another digest.
func TestClassesAreMappedToTheContract(t *testing.T) {
	text := strings.Replace(shopContract, `positive: "yes", negative: "no"`, `classes: ["1", "0", lost]`, 1)
	c, problems := jobspec.ParseContract([]byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	read := func(rows string) (*Rows, error) {
		b := binding()
		b.File = write(t, "shop.csv", []byte(rows))
		b.Values = map[string]map[string]string{"churned": {"gone": "lost"}}
		return Read(context.Background(), b, c, secret())
	}
	r, err := read(strings.Replace(shopRows, "mobile;train;1;", "mobile;train;gone;", 1))
	if err != nil {
		t.Fatal(err)
	}
	table, err := r.Table(jobspec.Holdout{})
	if err != nil || table.Validate() != nil || table.Label != nil {
		t.Fatal(err, table.Validate())
	}
	equal(t, "classes", table.Class, []int32{2, 1, 0})
	equal(t, "names", table.Classes, []string{"1", "0", "lost"})
	if again, err := read(shopRows); err != nil || again.Digest == r.Digest {
		t.Errorf("%v: another label, the same digest", err)
	}
	if _, err := read(strings.Replace(shopRows, "mobile;train;1;", "mobile;train;left;", 1)); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), `none of the contract's classes (1, 0, lost)`) {
		t.Error(err)
	}
}

func TestRowsAreMappedToTheContract(t *testing.T) {
	table, err := mustRead(t, shopRows).Table(jobspec.Holdout{Column: "fold", Equals: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Validate(); err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", []int{table.Rows, len(table.Columns)}, []int{3, 4})
	equal(t, "age, clipped", column(t, table, "age").Numbers, []float64{30, 110, 16})
	equal(t, "basket", column(t, table, "basket").Numbers, []float64{12.5, math.NaN(), 1000})
	equal(t, "country, AT is other", column(t, table, "country").Codes, []int32{0, 2, 1})
	equal(t, "country's values", column(t, table, "country").Values, []string{"DE", "FR"})
	equal(t, "device, empty is missing", column(t, table, "device").Codes, []int32{0, 1, dataset.Missing})
	equal(t, "label", table.Label, []bool{true, false, true})
	equal(t, "held out", table.HeldOut, []bool{false, true, false})
}

func TestGzipIsKnownByItsContent(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte("\ufeff" + shopRows)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	want := mustRead(t, shopRows).Digest
	b := binding()
	b.File = write(t, "shop.csv", packed.Bytes()) // not named .gz
	rows, err := Read(context.Background(), b, contract(t), secret())
	if err != nil || rows.Digest != want {
		t.Errorf("gzip: %v, digest equal: %v", err, err == nil && rows.Digest == want)
	}
	b.File = write(t, "cut.csv.gz", packed.Bytes()[:packed.Len()-9])
	if _, err := Read(context.Background(), b, contract(t), secret()); err == nil || !strings.Contains(err.Error(), "cut off or damaged") {
		t.Errorf("a gzip file cut short: %v", err)
	}
	b.File = write(t, "bad.csv.gz", []byte{0x1f, 0x8b, 0})
	if _, err := Read(context.Background(), b, contract(t), secret()); err == nil || !strings.Contains(err.Error(), "unpack gzip") {
		t.Errorf("a gzip file of 3 bytes: %v", err)
	}
}

func TestByteOrderMarkCRLFAndSpacesDoNotMatter(t *testing.T) {
	want := mustRead(t, shopRows).Digest
	for name, text := range map[string]string{
		"BOM":    "\ufeff" + shopRows,
		"CRLF":   strings.ReplaceAll(shopRows, "\n", "\r\n"),
		"spaces": strings.ReplaceAll(shopRows, ";", "; "),
		"quotes": strings.ReplaceAll(shopRows, ";FR;", `;"FR";`),
		"blank":  strings.ReplaceAll(shopRows, "\n", "\n\n"),
		"no end": strings.TrimSuffix(shopRows, "\n"),
	} {
		if got := mustRead(t, text).Digest; got != want {
			t.Errorf("%s changes the digest", name)
		}
	}
}

func TestSeparators(t *testing.T) {
	want := mustRead(t, shopRows).Digest
	for _, s := range []rune{0, ',', '\t', '|'} {
		as := s
		if as == 0 {
			as = ','
		}
		got := mustRead(t, strings.ReplaceAll(shopRows, ";", string(as)), func(b *Binding) { b.Separator = s }).Digest
		if got != want {
			t.Errorf("separator %q changes the digest", s)
		}
	}
}

func TestFiltersTakeSourceAndContractNames(t *testing.T) {
	for name, test := range map[string]struct {
		where []Filter
		rows  int
	}{
		"none":          {nil, 4},
		"source name":   {[]Filter{{"KUNDE_ALTER", []string{"30", "200"}}}, 2},
		"contract name": {[]Filter{{"age", []string{"30", "40"}}}, 2},
		"both":          {[]Filter{{"consent", []string{"true"}}, {"country", []string{"FR"}}}, 1},
		"raw value":     {[]Filter{{"churned", []string{"1"}}}, 2},
		"missing token": {[]Filter{{"device", []string{"NA"}}}, 1},
	} {
		if got := mustRead(t, shopRows, func(b *Binding) { b.Where = test.where }).Count(); got != test.rows {
			t.Errorf("%s: %d rows, want %d", name, got, test.rows)
		}
	}
}

func TestRowsThatAreFilteredOutAreNotChecked(t *testing.T) {
	text := shopRows + ";old;-;;;;;false\n"
	if mustRead(t, text).Digest != mustRead(t, shopRows).Digest {
		t.Error("a row that was filtered out changes the digest")
	}
}

func TestAMappedValueIsStrongerThanAMissingCell(t *testing.T) {
	rows := mustRead(t, shopRows, func(b *Binding) {
		b.Where = nil
		b.Values["device"] = map[string]string{"NA": "mobile"}
		b.Values["country"] = map[string]string{"AT": "DE", "FR": "other"}
	})
	table, _ := rows.Table(jobspec.Holdout{})
	equal(t, "device", column(t, table, "device").Codes, []int32{0, 1, 0, dataset.Missing})
	equal(t, "country", column(t, table, "country").Codes, []int32{0, 0, 2, 2})
	if table.HeldOut != nil {
		t.Error("rows held out without a hold-out")
	}
}

func TestCancelledReadStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b := binding()
	b.File = write(t, "shop.csv", []byte(shopRows))
	if _, err := Read(ctx, b, contract(t), secret()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
