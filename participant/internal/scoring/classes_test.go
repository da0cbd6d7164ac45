package scoring

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tributary/participant/internal/source"
)

// grades is linear with two classes, "high" as linear's positive label and "low, or none" with logits of 0.
var grades = strings.NewReplacer(`"type":"logistic_regression"`, `"type":"multinomial_logistic_regression","classes":["low, or none","high"]`, `"intercept":0.5`, `"intercepts":[0,0.5]`,
	`"coefficient":2`, `"coefficients":[0,2]`, `"coefficient":-1`, `"coefficients":[0,-1]`, `"coefficient":0.25`, `"coefficients":[0,0.25]`, `"coefficient":0.75`, `"coefficients":[0,0.75]`).Replace(linear)

func TestFileIsScoredByClass(t *testing.T) {
	in, out := write(t, "land,age,id\nDE,50,a\nFR,,b\nDE,20,c\n"), filepath.Join(t.TempDir(), "scores.csv")
	const header = "id|predicted|probability:low, or none|probability:high"
	for _, c := range []struct {
		explain bool
		header  string
		more    string // of the first row
	}{
		{false, header, ""},
		{true, header + "|logit:low, or none|logit:low, or none:(intercept)|logit:low, or none:age|logit:low, or none:land|logit:high|logit:high:(intercept)|logit:high:age|logit:high:land", "0|0|0|0|2.75|0.5|2|0.25"},
	} {
		result, err := File{Rows: source.Binding{File: in}, Out: out, Keep: []string{"id"}, Explain: c.explain}.Score(t.Context(), parse(t, grades))
		if err != nil || result.Rows != 3 {
			t.Fatal(result, err)
		}
		rows := read(t, out, ',')
		if got := strings.Join(rows[0], "|"); got != c.header {
			t.Errorf("%s, want %s", got, c.header)
		}
		if got := strings.Join(rows[1][4:], "|"); got != c.more {
			t.Errorf("%s, want %s", got, c.more)
		}
		for i, logit := range []float64{2.75, 0.25, 0.5 - 4 + 0.25} {
			row, want := rows[i+1], 1/(1+math.Exp(-logit))
			low, errLow := strconv.ParseFloat(row[2], 64)
			high, errHigh := strconv.ParseFloat(row[3], 64)
			if errors.Join(errLow, errHigh) != nil || math.Abs(high-want) > 1e-15 || math.Abs(low-(1-want)) > 1e-15 || row[1] != map[bool]string{true: "high", false: "low, or none"}[logit > 0] {
				t.Errorf("%v, want %g", row, want)
			}
		}
	}
	for text, want := range map[string]string{
		"age,land,predicted\n1,DE,2\n": `there is a column "predicted" already`,
		"age,land\n1,DE\nold,DE\n":     `row 3, column age: want a number, got "old"`,
	} {
		for _, explain := range []bool{false, true} {
			if _, err := (File{Rows: source.Binding{File: write(t, text)}, Out: out, Explain: explain}).Score(t.Context(), parse(t, grades)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %s", text, err, want)
			}
		}
	}
}

func TestRowsAreClassifiedAndExplained(t *testing.T) {
	h := Handler(parse(t, grades), []byte(grades))
	type explanation struct {
		Probability, Logit, Intercept float64
		Columns                       []struct {
			Column string
			Logit  float64
		}
	}
	type answer struct {
		Predicted     string
		Probabilities map[string]float64
		Classes       map[string]explanation
	}
	for body, explained := range map[string]bool{`{"rows":[{"age":50,"land":"DE"}]}`: false, `{"rows":[{"age":50,"land":"DE"}],"explain":true}`: true} {
		code, text := post(t, h, nil, body)
		var reply struct{ Results []answer }
		if err := json.Unmarshal([]byte(text), &reply); err != nil || code != http.StatusOK || len(reply.Results) != 1 {
			t.Fatalf("%d %s, %v", code, text, err)
		}
		got, want := reply.Results[0], 1/(1+math.Exp(-2.75))
		if got.Predicted != "high" || len(got.Probabilities) != 2 || math.Abs(got.Probabilities["high"]-want) > 1e-15 || math.Abs(got.Probabilities["low, or none"]-(1-want)) > 1e-15 {
			t.Errorf("%+v, want %g", got, want)
		}
		if strings.Contains(text, "classes") != explained {
			t.Error(text)
		}
		if explained && fmt.Sprint(got.Classes["high"]) != fmt.Sprintf("{%v 2.75 0.5 [{age 2} {land 0.25}]}", got.Probabilities["high"]) {
			t.Errorf("%+v", got.Classes)
		}
	}
	for _, body := range []string{`{"rows":[{"age":"old","land":"DE"}]}`, `{"rows":[{"age":"old","land":"DE"}],"explain":true}`} {
		if code, text := post(t, h, nil, body); code != http.StatusBadRequest || !strings.Contains(text, `"field":"rows[0].age"`) {
			t.Errorf("%d %s", code, text)
		}
	}
}

// Explaining many classes costs columns × classes a row: a small request can't ask for more than fits the memory.
func TestExplanationsAreBounded(t *testing.T) {
	var classes, zeros []string
	for k := range 256 {
		classes, zeros = append(classes, strconv.Quote(fmt.Sprint(k))), append(zeros, "0")
	}
	by := "[" + strings.Join(zeros, ",") + "]"
	document := strings.NewReplacer(`["low, or none","high"]`, "["+strings.Join(classes, ",")+"]", `[0,0.5]`, by, `[0,2]`, by, `[0,-1]`, by, `[0,0.25]`, by, `[0,0.75]`, by).Replace(grades)
	h := Handler(parse(t, document), []byte(document))
	for rows, want := range map[int]int{16: http.StatusOK, maxTold/512 + 1: http.StatusRequestEntityTooLarge} {
		body := `{"rows":[` + strings.TrimSuffix(strings.Repeat(`{"age":1,"land":"DE"},`, rows), ",") + `],"explain":true}`
		if code, text := post(t, h, nil, body); code != want || code != http.StatusOK && (!strings.Contains(text, `"field":"explain"`) || !strings.Contains(text, "fewer rows")) {
			t.Errorf("%d rows: %d %.200s", rows, code, text)
		}
	}
}

// So do the pairs of a factorization machine: their number grows with the square of the columns'.
func TestExplainedPairsAreBounded(t *testing.T) {
	document, row := wide()
	h := Handler(parse(t, document), []byte(document))
	for rows, want := range map[int]int{2: http.StatusOK, maxTold/5050 + 1: http.StatusRequestEntityTooLarge} {
		code, text := post(t, h, nil, `{"rows":[`+strings.TrimSuffix(strings.Repeat(row+",", rows), ",")+`],"explain":true}`)
		if code != want || code != http.StatusOK && !strings.Contains(text, "fewer rows") {
			t.Errorf("%d rows: %d %.200s", rows, code, text)
		}
	}
}
