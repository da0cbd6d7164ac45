package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"tributary/protocol/jobspec"
)

type parquetRow struct {
	Name    string               `parquet:"name"`
	Kind    string               `parquet:"kind,enum"`
	Maybe   *float64             `parquet:"maybe"`
	Single  float32              `parquet:"single"`
	Small   int32                `parquet:"small"`
	Large   int64                `parquet:"large"`
	Natural uint64               `parquet:"natural"`
	Flag    bool                 `parquet:"flag"`
	Day     int32                `parquet:"day,date"`
	At      int64                `parquet:"at,timestamp(millisecond)"`
	Price   int64                `parquet:"price,decimal(2:18)"`
	Cost    [5]byte              `parquet:"cost,decimal(3:11)"`
	ID      [16]byte             `parquet:"id,uuid"`
	Inner   struct{ X, Y int64 } `parquet:"inner"`
	Tags    []string             `parquet:"tags"`
	Legacy  deprecated.Int96     `parquet:"legacy"`
	Last    string               `parquet:"last"`
}

func writeParquet[T any](t testing.TB, rows []T, options ...parquet.WriterOption) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rows")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Each type of flat column is read as one would write it in a CSV file; nested and repeated columns, and types without a text, aren't
// there, and leave the others in their places.
func TestParquetCellsAreTexts(t *testing.T) {
	half := 0.5
	at := time.Date(2026, 11, 9, 8, 7, 6, 500_000_000, time.UTC)
	file := writeParquet(t, []parquetRow{
		{" Zoë", "b", &half, 0.1, -5, math.MinInt64, math.MaxUint64, true, 20_000, at.UnixMilli(), -1205, [5]byte{0, 0, 0, 0, 7}, [16]byte{1, 15: 255}, struct{ X, Y int64 }{1, 2}, []string{"p", "q", "r"}, deprecated.Int96{}, "end"},
		{"", "a", nil, float32(math.NaN()), 5, math.MaxInt64, 0, false, -1, -1, 5, [5]byte{255, 255, 255, 255, 254}, [16]byte{}, struct{ X, Y int64 }{}, nil, deprecated.Int96{}, "end"},
	})
	r, err := OpenRecords(context.Background(), Binding{File: file})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	header := []string{"name", "kind", "maybe", "single", "small", "large", "natural", "flag", "day", "at", "price", "cost", "id", "last"}
	if !slices.Equal(r.Header, header) {
		t.Fatalf("%q", r.Header)
	}
	for i, want := range [][]string{
		{"Zoë", "b", "0.5", "0.1", "-5", "-9223372036854775808", "18446744073709551615", "true", "2024-10-04", "2026-11-09T08:07:06.5Z", "-12.05", "0.007", "01000000-0000-0000-0000-0000000000ff", "end"},
		{"", "a", "", "NaN", "5", "9223372036854775807", "0", "false", "1969-12-31", "1969-12-31T23:59:59.999Z", "0.05", "-0.002", "00000000-0000-0000-0000-000000000000", "end"},
	} {
		if got, err := r.Next(); err != nil || !slices.Equal(got, want) || r.Line() != i+1 {
			t.Errorf("row %d: %v\n%q, want\n%q", r.Line(), err, got, want)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
}

type shopRow struct {
	Customer string   `parquet:"customer"`
	Age      *int32   `parquet:"age,optional"`
	Spent    float64  `parquet:"spent"`
	Country  *string  `parquet:"country"`
	Bought   bool     `parquet:"bought"`
	Unused   []string `parquet:"unused"`
}

const parquetContract = `version: 1
name: shop
revision: 1
key: customer
label: {column: bought, positive: "true", negative: "false"}
max_rows: 10000
columns:
  age: {type: number, min: 0, max: 120, nullable: true}
  spent: {type: number, min: 0, max: 100000, outside: reject}
  country: {type: category, values: [DE, FR], nullable: true}
`

// The same rows give the same digest from Parquet as from CSV, over several row groups, and null is missing whatever else is.
func TestParquetAndCSVGiveTheSameRows(t *testing.T) {
	c, problems := jobspec.ParseContract([]byte(parquetContract))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var rows []shopRow
	var text strings.Builder
	text.WriteString("customer,age,spent,country,bought\n")
	for i := range 1000 {
		r := shopRow{Customer: fmt.Sprint("c", i), Spent: float64(i) / 7, Bought: i%3 == 0, Unused: []string{"x", "y"}}
		age, country := "NA", "NA"
		if i%5 > 0 {
			n := int32(i % 100)
			r.Age, age = &n, fmt.Sprint(n)
		}
		if i%7 > 0 {
			country = []string{"DE", "FR"}[i%2]
			r.Country = &country
		}
		rows = append(rows, r)
		fmt.Fprintf(&text, "%s,%s,%v,%s,%t\n", r.Customer, age, r.Spent, country, r.Bought)
	}
	csv := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(csv, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	b := Binding{Contract: "shop@1", ID: "rows", File: csv, Missing: []string{"NA"}}
	want, err := Read(context.Background(), b, c, secret())
	if err != nil {
		t.Fatal(err)
	}
	b.File = writeParquet(t, rows, parquet.MaxRowsPerRowGroup(300), parquet.Compression(&parquet.Zstd))
	got, err := Read(context.Background(), b, c, secret())
	if err != nil {
		t.Fatal(err)
	}
	if got.Count() != 1000 || got.Digest != want.Digest {
		t.Errorf("%d rows, another digest", got.Count())
	}
	// A bad value is named by its row.
	rows[499].Spent = -1
	b.File = writeParquet(t, rows)
	if _, err := Read(context.Background(), b, c, secret()); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "row 500") {
		t.Errorf("%v", err)
	}
}

// What the library can't unpack is refused before anything is read.
func TestParquetWithLZ4IsRefused(t *testing.T) {
	file := writeParquet(t, []shopRow{{Customer: "a", Spent: 1}}, parquet.Compression(&parquet.Lz4Raw))
	if _, err := OpenRecords(context.Background(), Binding{File: file}); !errors.Is(err, ErrHeader) || !strings.Contains(err.Error(), "LZ4") {
		t.Errorf("%v", err)
	}
}

// A footer that is said to be longer than the file is refused before memory is taken for it: 4 GB, once.
func TestParquetWithAFalseFooterIsRefused(t *testing.T) {
	file := writeParquet(t, []shopRow{{Customer: "a", Spent: 1}})
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, length := range []uint32{math.MaxUint32, math.MaxInt32, uint32(len(whole))} {
		binary.LittleEndian.PutUint32(whole[len(whole)-8:], length)
		if err := os.WriteFile(file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := OpenRecords(context.Background(), Binding{File: file})
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrHeader) || !strings.Contains(err.Error(), "its footer is said to have") || after.TotalAlloc-before.TotalAlloc > 1<<26 {
			t.Errorf("%d: %d bytes allocated, %v", length, after.TotalAlloc-before.TotalAlloc, err)
		}
	}
}

// A damaged Parquet file is an error, never rows and never a crash.
func TestDamagedParquetIsRefused(t *testing.T) {
	file := writeParquet(t, []shopRow{{Customer: "a", Spent: 1}, {Customer: "b", Spent: 2}})
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	readAll := func(data []byte) error {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := OpenRecords(context.Background(), Binding{File: file})
		if err != nil {
			return err
		}
		defer r.Close()
		for {
			if _, err := r.Next(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	for n := 4; n < len(whole); n += 7 {
		if err := readAll(whole[:n]); err == nil || !strings.Contains(err.Error(), "hint:") {
			t.Errorf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
	for at := range whole {
		changed := bytes.Clone(whole)
		changed[at] ^= 0x41
		_ = readAll(changed) // whatever it says, it returns
	}
}
