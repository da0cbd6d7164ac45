package e2e

import (
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tributary/deploy/consortium"
	"tributary/deploy/trial"
)

const datedContract = `version: 1
name: dated
revision: 1
key: row
max_rows: 100000
label: {column: stays, positive: "yes", negative: "no"}
columns:
  age: {type: number, min: 16, max: 110}
  income: {type: number, min: 0, max: 1e7, nullable: true}
  since: {type: date, min: 2015-03-01, max: 2020-12-31, nullable: true}
  fold: {type: split, values: [train, test]}
`

// dated are customers with a date, and an income of heavy tails.
func dated(rows int) *realData {
	d := &trial.Data{Name: "dated", Columns: []string{"age", "income", "since", "stays"}, Label: "stays", Yes: "yes", No: "no"}
	r := rand.New(rand.NewPCG(7, 8))
	first := time.Date(2015, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range rows {
		age, income, since, stays := 18+r.IntN(70), min(1000/(1e-9+r.Float64()), 1e7), first.Add(time.Duration(r.IntN(2000*86400))*time.Second), "no"
		if math.Log(income/3000)+3*math.Abs(float64(age)/50-1)+float64(since.Weekday()%3)-float64(since.Year()-2017)+r.NormFloat64() > 2 {
			stays = "yes"
		}
		row := []string{strconv.Itoa(age), strconv.FormatFloat(income, 'f', 2, 64), since.Format([]string{time.RFC3339, time.DateTime}[i%2]), stays}
		if i%11 == 0 {
			row[1], row[2] = "", ""
		}
		d.Rows, d.Test = append(d.Rows, row), append(d.Test, i%5 == 0)
	}
	return &realData{d, func(row map[string]string, i int) int { return i % 4 }}
}

// TestTransformsOverRealProcesses: quantiles, buckets and parts of dates in an exact job; what is exported scores the files as the job evaluated them. Then a private job that fits quantiles, means and deviations from noised counts, in a round that every account pays for.
func TestTransformsOverRealProcesses(t *testing.T) {
	d := dated(4_000)
	config := strings.Replace(d.config(), "privacy: [exact]", "privacy: [exact, private]", 1)
	var members []consortium.Member
	for i := range 4 {
		members = append(members, consortium.Member{Name: fmt.Sprintf("holder-%d", i+1), Organisation: fmt.Sprintf("Holder %d", i+1), Role: "both", Config: config})
	}
	var nodes []*consortium.Node
	c := started(t, release, members, func(n *consortium.Node) {
		if nodes = append(nodes, n); len(nodes) < 4 {
			return
		}
		d.write(t, nodes)
		for _, n := range nodes {
			write(t, filepath.Join(n.Dir, "contract.yaml"), datedContract)
		}
	})
	exact := completed(t, c, `version: 1
name: dated
contract: dated@1
features:
  - {columns: [income], transform: [log1p, standardize], clip: {quantiles: [0.01, 0.99]}, missing: indicator}
  - {columns: [age], buckets: {quantiles: 10}}
  - {columns: [since], transform: [days, standardize], date_parts: [month, weekday], missing: indicator}
model: {type: logistic_regression, l2: 1.0}
evaluate: {holdout: {column: fold, equals: test}}
privacy: exact
run: {mode: sealed, participants: all, committee: {threshold: 3, of: 4}}
`, datedContract)
	shown, err := c.Tributary(t.Context(), "model", "show", "dated")
	if err != nil || shown.Code != 0 {
		t.Fatalf("model show: %d %v %s", shown.Code, err, shown.Err)
	}
	t.Logf("AUC %.4f\n%s", exact.Metrics.AUC, shown.Out)
	for _, want := range []string{"clamped to ", "age:q10", "since.days", "since.weekday=sunday", "income:missing"} {
		if !strings.Contains(shown.Out, want) {
			t.Errorf("model show lacks %q", want)
		}
	}
	if exact.Metrics.AUC < 0.85 {
		t.Errorf("AUC %.4f", exact.Metrics.AUC)
	}
	if rows, right := rightRows(t, c, nodes); rows == 0 || math.Abs(right-exact.Metrics.Accuracy) > 1e-9 {
		t.Errorf("scored files are right in %.6f of %d rows, the job in %.6f", right, rows, exact.Metrics.Accuracy)
	}
	for _, n := range nodes {
		if _, err := n.JSON(t.Context(), "budget", "open", "rows", "--epsilon", "8", "--delta", "1e-5"); err != nil {
			t.Fatal(err)
		}
	}
	private := completed(t, c, `version: 1
name: dated-private
contract: dated@1
features:
  - {columns: [income], transform: [log1p, standardize], missing: indicator}
  - {columns: [age], buckets: {quantiles: 5}}
  - {columns: [since], transform: [days, scale], date_parts: [weekday]}
model: {type: logistic_regression, l2: 1.0}
evaluate: {holdout: {column: fold, equals: test}, metrics: [auc]}
privacy: {unit: record, epsilon: "7.9", delta: "1e-5"}
run: {mode: sealed, participants: all, min_participants: 3, committee: {threshold: 3, of: 4}, round_timeout: 5s}
`, datedContract)
	if shown, err = c.Tributary(t.Context(), "model", "show", "dated-private"); err != nil || shown.Code != 0 {
		t.Fatalf("model show: %d %v %s", shown.Code, err, shown.Err)
	}
	t.Logf("private: AUC %.4f\n%s", private.Metrics.AUC, shown.Out)
	for _, want := range []string{"clamped to ", "age:q5", "since.days"} {
		if !strings.Contains(shown.Out, want) {
			t.Errorf("model show lacks %q", want)
		}
	}
	if private.Rounds("sketch") != 1 || private.Rounds("fit") != 1 {
		t.Errorf("%d sketch rounds, %d fit rounds", private.Rounds("sketch"), private.Rounds("fit"))
	}
	if private.Metrics.AUC < 0.6 {
		t.Errorf("private: AUC %.4f", private.Metrics.AUC)
	}
	verified(t, c)
}

// rightRows scores each participant's test rows with the exported model, and tells the share that 0.5 decides rightly.
func rightRows(t *testing.T, c *consortium.Consortium, nodes []*consortium.Node) (rows int, right float64) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "model.json")
	for _, format := range []string{"onnx", "json"} {
		if r, err := c.Tributary(t.Context(), "model", "export", "dated", "--format", format, "--file", file); err != nil || r.Code != 0 {
			t.Fatalf("export %s: %v %s", format, err, r.Err)
		}
	}
	for _, n := range nodes {
		out := filepath.Join(n.Dir, "scores.csv")
		if r, err := n.Command(t.Context(), "score", "--model", file, "--in", filepath.Join(n.Dir, "rows.csv"), "--out", out, "--keep", "fold,stays", "--explain"); err != nil || r.Code != 0 {
			t.Fatalf("score: %v %s", err, r.Err)
		}
		f, err := os.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(f).ReadAll()
		if f.Close(); err != nil || strings.Join(records[0], " ") != "fold stays probability logit logit:(intercept) logit:income logit:age logit:since.month logit:since.weekday logit:since.days" {
			t.Fatal(records[0], err)
		}
		for _, record := range records[1:] {
			p, err := strconv.ParseFloat(record[2], 64)
			if err != nil {
				t.Fatal(err)
			}
			if record[0] == "test" {
				if rows++; (p >= 0.5) == (record[1] == "yes") {
					right++
				}
			}
		}
	}
	return rows, right / float64(rows)
}
