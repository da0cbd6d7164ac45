package scoring

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"tributary/participant/internal/source"
)

// The offset is one of the file's columns, by the binding's name for it; a row without one is told by row and column.
func TestOffsetsAreReadFromTheRows(t *testing.T) {
	document := strings.Replace(linear, `"l2":1`, `"l2":1,"offset":{"name":"prior","min":-1,"max":1}`, 1)
	f := File{Out: filepath.Join(t.TempDir(), "scores.csv"), Keep: []string{}, Explain: true, Rows: source.Binding{Missing: []string{"-"}, Columns: map[string]string{"prior": "Vorwissen"}}}
	f.Rows.File = write(t, "Vorwissen,age,land\n-0.5,50,DE\n7,50,DE\n")
	result, err := f.Score(t.Context(), parse(t, document))
	if err != nil || result.Rows != 2 || result.Beyond["prior"] != 1 {
		t.Fatal(result, err)
	}
	for i, want := range []string{"logit logit:(intercept) logit:age logit:land logit:prior", "2.25 0.5 2 0.25 -0.5", "3.75 0.5 2 0.25 1"} {
		if got := strings.Join(read(t, f.Out, ',')[i][1:], " "); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for text, want := range map[string]string{
		"age,land\n50,DE\n":                      `row 1: there is no column "Vorwissen"`,
		"Vorwissen,age,land\n0,50,DE\n-,50,DE\n": "row 3, column Vorwissen: the value is missing",
		"Vorwissen,age,land\n0,50,DE\n?,50,DE\n": `row 3, column Vorwissen: want a number, got "?"`,
	} {
		f.Rows.File = write(t, text)
		if _, err := f.Score(t.Context(), parse(t, document)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "hint: ") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if code, got := post(t, Handler(parse(t, document), []byte(document)), nil, `{"row":{"age":50,"land":"DE","prior":null}}`); code != http.StatusBadRequest || !strings.Contains(got, `"field":"row.prior"`) {
		t.Errorf("%d %s", code, got)
	}
}
