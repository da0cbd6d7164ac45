package scoring

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"tributary/participant/internal/source"
)

// texts reads any file as the source reads it, the header first.
func texts(t *testing.T, path string) (out []string) {
	t.Helper()
	in, err := source.OpenRecords(t.Context(), source.Binding{File: path})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out = append(out, strings.Join(in.Header, "|"))
	for {
		record, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.Join(record, "|"))
	}
}

// From and to either format, the same rows are written, of every kind of model; numbers keep all their bits.
func TestParquetAndCSVSayTheSame(t *testing.T) {
	in := write(t, "id,land,note,age\nb,DE,\"x, \"\"y\"\"\",50\na,FR,,\nü,DE,z,33.333333333333336\n")
	dir := filepath.Dir(in)
	for name, document := range map[string]string{"linear": linear, "machine": machine, "grades": grades} {
		for _, explain := range []bool{false, true} {
			score := func(from, to string) string {
				t.Helper()
				out := filepath.Join(dir, to)
				result, err := (File{Rows: source.Binding{File: from}, Out: out, Explain: explain}).Score(t.Context(), parse(t, document))
				if err != nil || result.Rows != 3 {
					t.Fatal(result, err)
				}
				return out
			}
			want := texts(t, score(in, "scores.csv"))
			asParquet := score(in, "scores.PARQUET")
			if got := texts(t, asParquet); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s:\n%q, want\n%q", name, got, want)
			}
			// The scored file's own columns, without the scores, are rows again.
			rows := filepath.Join(dir, "rows.parquet")
			one := parse(t, linear)
			if _, err := (File{Rows: source.Binding{File: in}, Out: rows}).Score(t.Context(), one); err != nil {
				t.Fatal(err)
			}
			for _, to := range []string{"again.csv", "again.parquet"} {
				out := filepath.Join(dir, to)
				if _, err := (File{Rows: source.Binding{File: rows}, Out: out, Keep: []string{"id", "land", "note", "age"}, Explain: explain}).Score(t.Context(), parse(t, document)); err != nil {
					t.Fatal(err)
				}
				if got := texts(t, out); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s from Parquet to %s:\n%q, want\n%q", name, to, got, want)
				}
			}
		}
	}
}

// open reads a Parquet file's own words.
func open(t *testing.T, path string) *parquet.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, _ := f.Stat()
	p, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Kept columns and the predicted class are strings, all else doubles, in the header's order, and none may be missing.
func TestParquetColumnsAreTyped(t *testing.T) {
	in := write(t, "z,land,age\n1,DE,50\n")
	out := in + ".parquet"
	if _, err := (File{Rows: source.Binding{File: in}, Out: out, Keep: []string{"z"}, Explain: true}).Score(t.Context(), parse(t, grades)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range open(t, out).Root().Columns() {
		got = append(got, fmt.Sprintf("%s %s", c.Name(), c.Type()))
		if !c.Required() {
			t.Errorf("%s is optional", c.Name())
		}
	}
	if text := strings.Join(got[:4], "; "); text != "z STRING; predicted STRING; probability:low, or none DOUBLE; probability:high DOUBLE" || len(got) != 12 {
		t.Errorf("%d columns: %s", len(got), text)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	empty := write(t, "land,age\n")
	if _, err := (File{Rows: source.Binding{File: empty}, Out: out}).Score(t.Context(), parse(t, linear)); err != nil {
		t.Fatal(err)
	}
	if got := texts(t, out); len(got) != 1 || got[0] != "land|age|probability" {
		t.Error(got)
	}
}

// Row groups end at a number of cells or bytes, so that a large file doesn't lie in memory.
func TestRowGroupsAreBounded(t *testing.T) {
	const rows, columns = 130_000, 9
	var b strings.Builder
	b.WriteString("land,age,note\n")
	for i := range rows {
		fmt.Fprintf(&b, "DE,%d,%d\n", i%90, i)
	}
	for i := range 40 {
		fmt.Fprintf(&b, "DE,%d,%s\n", i, strings.Repeat("x", 1<<20))
	}
	in := write(t, b.String())
	out := in + ".parquet"
	if _, err := (File{Rows: source.Binding{File: in}, Out: out, Explain: true}).Score(t.Context(), parse(t, machine)); err != nil {
		t.Fatal(err)
	}
	groups, total := open(t, out).RowGroups(), int64(0)
	for _, g := range groups {
		total += g.NumRows()
		if g.NumRows()*columns > groupCells+columns*256 {
			t.Errorf("a row group of %d rows", g.NumRows())
		}
	}
	if total != rows+40 || len(groups) < 4 {
		t.Errorf("%d rows in %d groups", total, len(groups))
	}
	read := texts(t, out)
	for i := 1; i <= rows; i += 9973 {
		if !strings.HasPrefix(read[i], fmt.Sprintf("DE|%d|%d|", (i-1)%90, i-1)) {
			t.Errorf("row %d: %s", i, read[i])
		}
	}
}

// What Parquet can't hold is told by row and column; an earlier file stays.
func TestWhatParquetCantHoldIsTold(t *testing.T) {
	for text, want := range map[string]string{
		"age,land,note\n1,DE,a\n1,DE,\xe4\n": "row 3, column note: the cell isn't UTF-8, which Parquet needs\nhint: save the file as UTF-8",
		"age,land,\n1,DE,a\n":                "column 3 has no name",
		"age,land,\xe4\n1,DE,a\n":            "column 3 has no name in UTF-8",
		"age,land\n1,DE\nold,DE\n":           `row 3, column age: want a number, got "old"`,
	} {
		in := write(t, text)
		out := in + ".parquet"
		if err := os.WriteFile(out, []byte("earlier"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := (File{Rows: source.Binding{File: in}, Out: out}).Score(t.Context(), parse(t, linear))
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, source.ErrInvalid) && !errors.Is(err, source.ErrHeader) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		entries, _ := os.ReadDir(filepath.Dir(in))
		if data, _ := os.ReadFile(out); string(data) != "earlier" || len(entries) != 2 {
			t.Errorf("%q left %q and %v", text, data, entries)
		}
		if _, err := (File{Rows: source.Binding{File: in}, Out: out, Keep: []string{"age", "land"}}).Score(t.Context(), parse(t, linear)); (err == nil) == strings.Contains(text, "old") {
			t.Errorf("%q without the column: %v", text, err)
		}
	}
}
