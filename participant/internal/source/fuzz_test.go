package source

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// put writes the input to a file, which the next one replaces.
func put(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Any bytes are a table of as many texts in each row as in its header, or an error; never a crash.
func FuzzParquet(f *testing.F) {
	age, land := int32(30), "DE"
	rows := []shopRow{{"a", &age, 1.5, &land, true, []string{"x", "y"}}, {"b", nil, -2, nil, false, nil}, {"a", &age, 0, &land, true, []string{"x"}}}
	for _, options := range [][]parquet.WriterOption{nil, {parquet.Compression(&parquet.Snappy)}, {parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(1)}, {parquet.Compression(&parquet.Gzip), parquet.DataPageVersion(1)}} {
		data, err := os.ReadFile(writeParquet(f, rows, options...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	typed, err := os.ReadFile(writeParquet(f, []parquetRow{{Name: "x", Price: 5, Tags: []string{"p"}}}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(typed)
	file := filepath.Join(f.TempDir(), "rows")
	f.Fuzz(func(t *testing.T, data []byte) {
		if !bytes.HasPrefix(data, []byte(parquetMagic)) {
			return // CSV: FuzzRead
		}
		put(t, file, data)
		in, err := OpenRecords(t.Context(), Binding{File: file})
		if err != nil {
			if !errors.Is(err, ErrHeader) || !strings.Contains(err.Error(), "\nhint: ") {
				t.Fatalf("%v", err)
			}
			return
		}
		defer in.Close()
		for read := 0; read < 10_000; read++ {
			record, err := in.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				if !strings.Contains(err.Error(), "\nhint: ") {
					t.Fatalf("%v", err)
				}
				return
			}
			if len(record) != len(in.Header) || in.Line() != read+1 {
				t.Fatalf("row %d has %d cells, the header %d", in.Line(), len(record), len(in.Header))
			}
			for _, cell := range record {
				if !utf8.ValidString(cell) {
					t.Fatalf("%q", cell)
				}
			}
		}
	})
}

// Any text is refused with a place and a remedy, or each of its transactions is counted once and each customer makes sense.
func FuzzCustomers(f *testing.F) {
	f.Add([]byte(transactions), false)
	f.Add([]byte(spans), false)
	f.Add([]byte("who,at,order,price,land,way,points,invoice,item,qty\nann,2011-12-01,1,10,FR,shop,3,1,A,2\nann,2011-12-08,1,-.5,DE,web,-3,1,B,2\n"), true)
	f.Add([]byte("who,at,order,price,land,way,points,invoice,item,qty\nann,2011-12-01,1,9223372036854,FR,shop,9223372036854.775807,1,A,2\n"), true)
	file := filepath.Join(f.TempDir(), "rows.csv")
	bindings := []Binding{customersBinding(f, ""), spanning(f, "")}
	f.Fuzz(func(t *testing.T, data []byte, grouped bool) {
		if bytes.HasPrefix(data, []byte(parquetMagic)) {
			return
		}
		put(t, file, data)
		for _, b := range bindings {
			b.File, b.Where, b.Customers.Grouped = file, nil, grouped
			rows, err := readCustomers(t.Context(), b)
			if err != nil {
				if text := err.Error(); text == "" || len(text) > 20_000 {
					t.Fatalf("%d bytes: %.300s", len(text), text)
				}
				continue
			}
			n := rows.counts
			if n.Read != n.Where+n.Blank+n.NotPositive+n.Before+n.Counted+n.Outcome+n.Later || n.Counted < int64(len(rows.list)) {
				t.Fatalf("%+v of %d customers", n, len(rows.list))
			}
			for range len(rows.list) {
				record, err := rows.Read()
				if err != nil || len(record) != len(rows.header) {
					t.Fatalf("%d cells for %d columns, %v", len(record), len(rows.header), err)
				}
				recency, _ := strconv.ParseInt(record[1], 10, 64)
				frequency, _ := strconv.ParseInt(record[2], 10, 64)
				tenure, _ := strconv.ParseInt(record[3], 10, 64)
				if record[0] == "" || recency < 0 || recency > 100 || frequency < 1 || frequency > n.Counted || tenure < recency {
					t.Fatalf("%q", record)
				}
			}
			if _, err := rows.Read(); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
	})
}
