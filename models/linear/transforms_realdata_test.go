package linear_test

import (
	"bufio"
	"encoding/csv"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tributary/models/optim"
)

// readCredit reads UCI Default of Credit Card Clients with the reference split.
func readCredit(t testing.TB) *raw {
	t.Helper()
	records, err := csv.NewReader(lines(t, "credit_default/UCI_Credit_Card.csv.gz")).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	r := &raw{names: records[0][1:], heldOut: make([]bool, len(records)-1), yes: "1"} // the first column is a number of the row
	for _, row := range records[1:] {
		r.rows = append(r.rows, row[1:])
	}
	r.label = len(r.names) - 1
	for _, name := range r.names[:r.label] {
		if !slices.Contains([]string{"SEX", "EDUCATION", "MARRIAGE"}, name) {
			r.numbers = append(r.numbers, name)
		}
	}
	scan := bufio.NewScanner(lines(t, "splits/credit_default.test_idx.txt.gz"))
	for scan.Scan() {
		at, err := strconv.Atoi(strings.TrimSpace(scan.Text()))
		if err != nil {
			t.Fatal(err)
		}
		r.heldOut[at] = true
	}
	return r
}

// Clamping to fitted quantiles, and buckets by them, against the reference of standardised numbers. Amounts of the credit data have
// heavy tails and both signs. The references' AUC has a standard error of about 0.008 (credit) and 0.003 (Adult).
func TestQuantilesOnRealData(t *testing.T) {
	for _, c := range []struct {
		name             string
		read             func(testing.TB) *raw
		plain            float64
		clamped, buckets float64 // least AUC
	}{
		{"credit_default", readCredit, 0.71008, 0.7125, 0.765},
		{"adult", readAdult, 0.90543, 0.905, 0.902},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, features := c.read(t).table(t)
			for _, kind := range []string{"plain", "clamped", "buckets"} {
				var changed []feature
				for _, f := range features {
					switch {
					case f["kind"] != "number" || kind == "plain":
						changed = append(changed, f)
					case kind == "clamped":
						g := number(f["name"].(string), f["min"].(float64), f["max"].(float64))
						changed = append(changed, g.with("clip_quantiles", []float64{0.01, 0.99}))
					default:
						changed = append(changed, buckets(f["name"].(string), f["min"].(float64), f["max"].(float64), 20).with("quantiles", 10))
					}
				}
				j := job{contributors: 4, bits: 40, maxRows: 5_000_000, maxRounds: 30, features: changed, l2: 1, tolerance: 1e-8, holdout: true}
				p := j.program(t)
				s, reports := train(t, p, split(table, 4))
				m, _ := s.Metrics()
				lanes := 0
				for _, segment := range p.Layout(optim.Fit) {
					lanes += segment.Length
				}
				t.Logf("%s %s: %d columns, FIT of %d lanes, %d TRAIN rounds; AUC %.5f, log loss %.5f, accuracy %.5f", c.name, kind, len(p.Pipeline().Columns()), lanes, count(reports, optim.Train), m.AUC.V, m.LogLoss.V, m.Accuracy.V)
				switch {
				case kind == "plain" && math.Abs(m.AUC.V-c.plain) > 1e-4:
					t.Errorf("AUC %.5f, the reference is %.5f", m.AUC.V, c.plain)
				case kind == "clamped" && m.AUC.V < c.clamped, kind == "buckets" && m.AUC.V < c.buckets:
					t.Errorf("%s: AUC %.5f", kind, m.AUC.V)
				}
			}
		})
	}
}
