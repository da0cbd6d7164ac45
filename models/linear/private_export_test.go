package linear_test

import (
	"encoding/json"
	"math"
	"testing"

	"tributary/models/linear"
	"tributary/models/optim"
)

// The exported document alone scores raw records as the participant does, and says that the model is private.
func TestExportedPrivateModelScoresRawRecords(t *testing.T) {
	table := synthetic(1_000, 37)
	p := privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 4)
	states := statesOf(t, p, table)
	s := states[len(states)-1]
	doc, err := optim.Export(p, s)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Private   bool
		UnitNorm  bool `json:"unit_norm"`
		Intercept float64
		Converged *bool
		Columns   []struct {
			Feature, Role string
			Value         *string
			Coefficient   float64
			Number        *struct {
				Log1p, Scale   bool
				Mean, SD, Clip float64
			}
		}
		Metrics map[string]any
	}
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatal(err)
	}
	if !m.Private || !m.UnitNorm || m.Converged != nil || m.Metrics["noised"] != true || m.Metrics["objective"] != nil || m.Metrics["auc"] == nil {
		t.Errorf("%s", doc)
	}
	want, err := linear.Score(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	for row := range table.Rows {
		margin, square := m.Intercept, 1.0
		add := func(coefficient, value float64) {
			margin, square = margin+coefficient*value, square+value*value
		}
		matched := map[string]bool{}
		for _, c := range m.Columns {
			column, _ := table.Column(c.Feature)
			switch c.Role {
			case "number":
				x := column.Numbers[row]
				if math.IsNaN(x) {
					continue
				}
				if c.Number.Log1p {
					x = math.Log1p(x)
				}
				if !c.Number.Scale || c.Number.Clip != 1 {
					t.Fatalf("column %s: %+v", c.Feature, c.Number)
				}
				add(c.Coefficient, min(max((x-c.Number.Mean)/c.Number.SD, -1), 1))
			case "missing":
				if column.Numbers != nil && math.IsNaN(column.Numbers[row]) || column.Codes != nil && column.Codes[row] < 0 {
					add(c.Coefficient, 1)
					matched[c.Feature] = true
				}
			case "value":
				if code := column.Codes[row]; code >= 0 && int(code) < len(column.Values) && column.Values[code] == *c.Value {
					add(c.Coefficient, 1)
					matched[c.Feature] = true
				}
			}
		}
		for _, c := range m.Columns {
			column, _ := table.Column(c.Feature)
			if c.Role == "other" && column.Codes != nil && !matched[c.Feature] {
				add(c.Coefficient, 1)
			}
		}
		if got := 1 / (1 + math.Exp(-margin/math.Sqrt(square))); math.Abs(got-want[row]) > 1e-12 {
			t.Fatalf("row %d scores %g by the document, %g by the state", row, got, want[row])
		}
	}
}
