package scoring

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tributary/models/score"
	"tributary/participant/internal/source"
)

const (
	linear = `{"format":"tributary-model","version":1,"type":"logistic_regression","l2":1,"intercept":0.5,"columns":[
{"name":"age","feature":"age","role":"number","number":{"min":0,"max":100,"log1p":false,"standardize":true,"mean":40,"sd":10,"clip":3},"nullable":true,"folded":false,"coefficient":2},
{"name":"age:missing","feature":"age","role":"missing","folded":false,"coefficient":-1},
{"name":"land=DE","feature":"land","role":"value","value":"DE","folded":false,"coefficient":0.25},
{"name":"land=other","feature":"land","role":"other","folded":false,"coefficient":0.75}],"training_rows":10,"train_rounds":1}`
)

// machine is linear with factors: ⟨age, land⟩ is 6, ⟨missing, other⟩ 20.
var machine = strings.NewReplacer(`"type":"logistic_regression"`, `"type":"factorization_machine","factors":1`, `"coefficient":2`, `"factor":[2],"coefficient":2`, `"coefficient":-1`, `"factor":[4],"coefficient":-1`,
	`"coefficient":0.25`, `"factor":[3],"coefficient":0.25`, `"coefficient":0.75`, `"factor":[5],"coefficient":0.75`).Replace(linear)

func parse(t testing.TB, document string) *score.Model {
	t.Helper()
	m, err := score.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string, separator rune) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = separator
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestFileIsScoredWithItsColumnsCopied(t *testing.T) {
	in := write(t, "\xef\xbb\xbfland; age ;id;note\nDE; 50;a;\"x;y\"\nFR;NA;b;\n")
	out := filepath.Join(t.TempDir(), "scores.csv")
	for _, c := range []struct {
		file   File
		header string
	}{
		{File{}, "land age id note probability"}, {File{Keep: []string{"id"}}, "id probability"}, {File{Keep: []string{}}, "probability"},
		{File{Keep: []string{"id"}, Explain: true}, "id probability logit logit:(intercept) logit:age logit:land"},
	} {
		c.file.Rows, c.file.Out = source.Binding{File: in, Separator: ';', Missing: []string{"NA"}}, out
		result, err := c.file.Score(t.Context(), parse(t, linear))
		if err != nil || result.Rows != 2 || len(result.Beyond) != 1 || result.Beyond["land"] != 1 {
			t.Fatal(result, err)
		}
		rows := read(t, out, ';')
		if strings.Join(rows[0], " ") != c.header || len(rows) != 3 {
			t.Errorf("%q", rows)
		}
		at := strings.Count(c.header[:strings.Index(c.header, "probability")], " ")
		for i, logit := range []float64{0.5 + 2 + 0.25, 0.5 - 1 + 0.75} {
			p, err := strconv.ParseFloat(rows[i+1][at], 64)
			if err != nil || math.Abs(p-1/(1+math.Exp(-logit))) > 1e-15 {
				t.Errorf("row %d: %v, %v", i, rows[i+1], err)
			}
		}
		if c.file.Explain && strings.Join(rows[1][2:], " ") != "2.75 0.5 2 0.25" {
			t.Errorf("%q", rows[1])
		}
		if c.file.Keep == nil && rows[1][3] != "x;y" {
			t.Errorf("%q", rows[1])
		}
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(out), ".tributary*")); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

// A pair adds nothing where one of its columns is encoded as zeros; its cell is 0 then, and the others keep their places.
func TestPairsAreExplained(t *testing.T) {
	in, out := write(t, "age,land\n50,DE\n,FR\n40,FR\n"), filepath.Join(t.TempDir(), "scores.csv")
	if _, err := (File{Rows: source.Binding{File: in}, Out: out, Explain: true, Keep: []string{}}).Score(t.Context(), parse(t, machine)); err != nil {
		t.Fatal(err)
	}
	rows := read(t, out, ',')
	for i, want := range []string{"logit logit:(intercept) logit:age logit:land logit:age:land", "8.75 0.5 2 0.25 6", "20.25 0.5 -1 0.75 20", "1.25 0.5 0 0.75 0"} {
		if got := strings.Join(rows[i][1:], " "); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	folded := parse(t, strings.Replace(machine, `"role":"missing","folded":false`, `"role":"missing","folded":true`, 1))
	if _, err := (File{Rows: source.Binding{File: in}, Out: out, Explain: true, Keep: []string{}}).Score(t.Context(), folded); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(read(t, out, ',')[2][1:], " "); got != "1.25 0.5 0 0.75 0" {
		t.Error(got)
	}
}

// A machine may have a cross beside its features: their pair has another name.
func TestPairsAndCrossesHaveTheirOwnNames(t *testing.T) {
	m := parse(t, hashed)
	m.Factors = 1
	_, names := added(m, true)
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			t.Errorf("%q twice in %q", name, names)
		}
	}
}

func TestGzippedRowsAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	z.Write([]byte("age,land\n50,DE\n"))
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if result, err := (File{Rows: source.Binding{File: path}, Out: path + ".csv"}).Score(t.Context(), parse(t, linear)); result.Rows != 1 || err != nil {
		t.Error(result, err)
	}
}

// Transactions are scored as the customers that are made of them.
func TestCustomersOfTransactionsAreScored(t *testing.T) {
	in := write(t, "id,at,land,ok\nann,2011-12-01,DE,y\nbob,2011-12-02,DE,n\nann,2011-12-03,FR,y\ncid,2011-11-10,FR,y\n")
	document := strings.Replace(linear, `,
{"name":"land=DE","feature":"land","role":"value","value":"DE","folded":false,"coefficient":0.25},
{"name":"land=other","feature":"land","role":"other","folded":false,"coefficient":0.75}`, "", 1)
	f := File{Out: in + ".scores", Explain: true, Rows: source.Binding{File: in, Columns: map[string]string{"age": "recency_days"}, Where: []source.Filter{{Column: "ok", In: []string{"y"}}},
		Customers: &source.Customers{Key: "id", Time: "at", Until: time.Date(2011, 12, 10, 0, 0, 0, 0, time.UTC), Distinct: []string{"land"}}}}
	if result, err := f.Score(t.Context(), parse(t, document)); err != nil || result.Rows != 2 {
		t.Fatal(result, err)
	}
	var got []string
	for _, row := range read(t, f.Out, ',') {
		got = append(got, strings.Join(row[:5], " ")+" "+row[6])
	}
	if text := strings.Join(got, ", "); text != "id recency_days frequency tenure_days distinct_land logit, ann 7 2 9 2 -5.5, cid 30 1 30 1 -1.5" {
		t.Error(text)
	}
}

// A source of the config is scored as it is trained on: by its own names, values and filters.
func TestBoundRowsAreMapped(t *testing.T) {
	in := write(t, "nr;Alter;Staat;ok\n1;50;Deutschland;ja\n2;n/a;Schweiz;ja\n3;old;DE;nein\n4;1e3;XX; ja\n")
	out := in + ".scores"
	f := File{Out: out, Keep: []string{"nr"}, Explain: true, Rows: source.Binding{File: in, Separator: ';', Missing: []string{"", "n/a"}, Columns: map[string]string{"age": "Alter", "land": "Staat"},
		Values: map[string]map[string]string{"land": {"Deutschland": "DE", "Schweiz": "other"}}, Where: []source.Filter{{Column: "ok", In: []string{"ja"}}, {Column: "age", In: []string{"50", "n/a", "1e3"}}}}}
	result, err := f.Score(t.Context(), parse(t, linear))
	if err != nil || result.Rows != 3 || result.Beyond["age"] != 1 || result.Beyond["land"] != 1 {
		t.Fatal(result, err)
	}
	var got []string
	for _, row := range read(t, out, ';') {
		got = append(got, row[0]+" "+row[2])
	}
	if text := strings.Join(got, ", "); text != "nr logit, 1 2.75, 2 0.25, 4 7.25" {
		t.Error(text)
	}
	// A kept column may be asked for by the contract's name, which it then has.
	f.Keep, f.Explain = []string{"age", "Staat"}, false
	if _, err := f.Score(t.Context(), parse(t, linear)); err != nil {
		t.Error(err)
	} else if rows := read(t, out, ';'); strings.Join(rows[0], " ") != "age Staat probability" || rows[1][0] != "50" {
		t.Error(rows)
	}
	f.Keep = []string{"number"}
	if _, err := f.Score(t.Context(), parse(t, linear)); err == nil || !strings.Contains(err.Error(), "hint: check --keep: the columns are nr, Alter, Staat, ok") {
		t.Error(err)
	}
	f.Keep = nil
	f.Rows.Where = nil
	if _, err := f.Score(t.Context(), parse(t, linear)); err == nil || !strings.Contains(err.Error(), `row 4, column Alter: want a number, got "old"`) {
		t.Error(err)
	}
	f.Rows.Where = []source.Filter{{Column: "none", In: []string{"1"}}}
	if _, err := f.Score(t.Context(), parse(t, linear)); !errors.Is(err, source.ErrHeader) {
		t.Error(err)
	}
}

// What is wrong is told with its place, all of it at once, and an earlier file of scores stays as it was.
func TestBadRowsWriteNothing(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "the file is empty",
		"age\n1\n":                           `row 1: there is no column "land"`,
		"age;land\n1;DE\n":                   "check the separator",
		"age,land,probability\n1,DE,2\n":     `there is a column "probability" already`,
		"age,age,land\n1,1,DE\n":             "appears twice",
		"age,land\n1,DE\n1,\nold,DE\n1e9,\n": "row 3, column land: the value is missing\nhint: ",
		"age,land\n1,DE\n1,\nold,DE\n":       `row 4, column age: want a number, got "old"`,
		"age,land\n1,DE\n1\n":                "row 3: this is not CSV, or not as long as the header",
		"age,land\n1,\"D\n":                  "row 2: this is not CSV",
		"PAR1....":                           "Parquet",
	} {
		in := write(t, text)
		out := in + ".scores"
		if err := os.WriteFile(out, []byte("earlier"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := File{Rows: source.Binding{File: in}, Out: out}.Score(t.Context(), parse(t, linear))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), in) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		if known := errors.Is(err, source.ErrHeader) || errors.Is(err, source.ErrEmpty) || errors.Is(err, source.ErrInvalid); !known {
			t.Errorf("%q: %v has no class", text, err)
		}
		entries, _ := os.ReadDir(filepath.Dir(in))
		if data, _ := os.ReadFile(out); string(data) != "earlier" || len(entries) != 2 {
			t.Errorf("%q left %q and %v", text, data, entries)
		}
	}
	in := write(t, "age,land\n1,DE\n")
	if _, err := (File{Rows: source.Binding{File: in}, Out: in}).Score(t.Context(), parse(t, linear)); !errors.Is(err, ErrUse) {
		t.Error(err)
	}
	if _, err := (File{Rows: source.Binding{File: in}, Out: in + ".out", Keep: []string{"id"}}).Score(t.Context(), parse(t, linear)); !errors.Is(err, source.ErrHeader) {
		t.Error(err)
	}
	if _, err := (File{Rows: source.Binding{File: in}, Out: filepath.Join(in+".none", "out")}).Score(t.Context(), parse(t, linear)); err == nil || !strings.Contains(err.Error(), "hint: --out") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (File{Rows: source.Binding{File: in}, Out: in + ".out"}).Score(ctx, parse(t, linear)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
