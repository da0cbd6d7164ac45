package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tributary/deploy/consortium"
)

const visitsContract = `version: 1
name: visits
revision: 1
key: visit_id
max_rows: 100000
label: {column: bought, positive: "yes", negative: "no"}
columns:
  age:     {type: number, min: 16, max: 110, nullable: true}
  at:      {type: date, min: 2019-03-01, max: 2021-12-31}
  country: {type: category, values: [DE, FR], other: keep}
  fold:    {type: split, values: [train, test]}
`

const visitsSpec = `version: 1
name: visits
contract: visits@1
features:
  - {columns: [age], buckets: {edges: [30, 60]}}
  - {columns: [at], date_parts: [weekday, hour]}
  - {columns: [country], transform: one_hot}
  - {cross: [age, country]}
  - {cross: [at.weekday, at.hour], min_count: 5}
model: {type: logistic_regression, tolerance: 1e-6}
evaluate: {holdout: {column: fold, equals: test}}
privacy: exact
run: {mode: sealed, participants: all, committee: {threshold: 3, of: 4}}
`

// TestCrossedBucketsAndDatesOverRealProcesses: four shops train on ages by country and on hours by weekday, whose effects no feature has
// by itself. The exported model scores their held-out rows as the job evaluated them, and names the combinations.
func TestCrossedBucketsAndDatesOverRealProcesses(t *testing.T) {
	config := "policy: {contracts: [visits@1], approve: automatic}\ndata:\n  - {contract: visits@1, id: visits, source: {csv: visits.csv}}\n"
	c := shops(t, config, 9, func(n *consortium.Node, shop int, r *rand.Rand) {
		var b strings.Builder
		b.WriteString("visit_id,age,at,country,fold,bought\n")
		for i := range 1500 {
			at := time.Date(2019, 3, 1, 0, 0, r.IntN(1000*86400), 0, time.UTC)
			age, country, m := 16+r.IntN(90), []string{"DE", "FR", "IT"}[r.IntN(3)], -1.5
			if (at.Weekday()%6 == 0) == (at.Hour() >= 12) { // at noon on weekends, and in the morning on others
				m += 2
			}
			if age < 30 && country == "FR" {
				m += 2
			}
			label, text := "no", strconv.Itoa(age)
			if r.Float64() < 1/(1+math.Exp(-m)) {
				label = "yes"
			}
			if i%19 == 7 {
				text = ""
			}
			fmt.Fprintf(&b, "%d-%d,%s,%s,%s,%s,%s\n", shop, i, text, at.Format(time.DateTime), country, []string{"train", "train", "train", "test"}[i%4], label)
		}
		write(t, filepath.Join(n.Dir, "visits.csv"), b.String())
		write(t, filepath.Join(n.Dir, "visits.yaml"), visitsContract)
	})
	end := completed(t, c, visitsSpec, visitsContract)
	t.Logf("AUC %.4f, %d rounds", end.Metrics.AUC, end.Rounds("train"))
	shown, err := c.Tributary(t.Context(), "model", "show", "visits")
	if err != nil || shown.Code != 0 || !strings.Contains(shown.Out, "age*country#1 (age<30 × FR)") || !strings.Contains(shown.Out, "at.weekday*at.hour#1") || !strings.Contains(shown.Out, " (saturday × 1") {
		t.Errorf("%v: %s%s", err, shown.Out, shown.Err)
	}
	file := filepath.Join(c.Dir, "visits.json")
	for _, format := range []string{"json", "onnx"} {
		if r, err := c.Tributary(t.Context(), "model", "export", "visits", "--format", format, "--file", strings.TrimSuffix(file, "json")+format); err != nil || r.Code != 0 {
			t.Fatalf("%s: %v: %s", format, err, r.Err)
		}
	}
	h := scoredHeldOut(t, c, file, "visits", "fold,bought,age,country", func(head, row []string) {
		if strings.Join(head[4:9], " ") != "encoded:age*country names:age*country encoded:at.weekday*at.hour names:at.weekday*at.hour probability" {
			t.Fatalf("%q", head)
		}
		if row[2] == "" && row[3] == "DE" && (row[4] != "age*country#9" || row[5] != "(missing) × DE") {
			t.Fatalf("%q", row)
		}
	})
	if auc, _ := h.AUC(0); !auc.Known || math.Abs(auc.V-end.Metrics.AUC) > 1e-9 || auc.V < 0.7 {
		t.Errorf("scored AUC %v, evaluated %g", auc, end.Metrics.AUC)
	}
	r, err := c.Nodes[0].Command(t.Context(), "names", "--model", file, "--data", "visits", "--top", "200")
	if err != nil || r.Code != 0 || !slices.ContainsFunc(strings.Split(r.Out, "\n"), func(line string) bool {
		return strings.HasPrefix(line, "age*country#1 ") && strings.Contains(line, "  <30 × FR (")
	}) {
		t.Errorf("%v: %s%s", err, r.Out, r.Err)
	}
	verified(t, c)
}
