package e2e

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tributary/deploy/consortium"
	"tributary/deploy/trial"
)

// grades are customers of three grades, which hang on two numbers and a shop; times says how often each was seen.
func grades(rows int) *realData {
	d := &trial.Data{Name: "grades", Columns: []string{"visits", "spent", "shop", "times", "grade"}, Label: "grade", Classes: []string{"gold", "silver", "none"},
		Numbers: []string{"visits", "spent", "times"}}
	r := rand.New(rand.NewPCG(5, 6))
	for i := range rows {
		visits, spent, shop, grade := r.IntN(60), 500*r.Float64(), r.IntN(3), "none"
		switch v := float64(visits)/20 + spent/150 + float64(shop) + r.NormFloat64()/2; {
		case v > 5:
			grade = "gold"
		case v > 3:
			grade = "silver"
		}
		d.Rows = append(d.Rows, []string{strconv.Itoa(visits), strconv.FormatFloat(spent, 'f', 2, 64), "s" + strconv.Itoa(shop), strconv.Itoa(1 + i%3), grade})
		d.Test = append(d.Test, i%5 == 0)
	}
	return &realData{d, func(row map[string]string, i int) int { return i % 4 }}
}

// TestMultinomialJobOverRealProcesses: a weighted model of three classes, and one that starts from it, which each operator has to
// approve whatever the policy says; then, on the same data with accounts, a private one.
func TestMultinomialJobOverRealProcesses(t *testing.T) {
	d := grades(4_000)
	var members []consortium.Member
	for i := range 4 {
		members = append(members, consortium.Member{Name: fmt.Sprintf("holder-%d", i+1), Organisation: fmt.Sprintf("Holder %d", i+1), Role: "both", Config: strings.Replace(d.config(), "privacy: [exact]", "privacy: [exact, private]", 1)})
	}
	var nodes []*consortium.Node
	c := started(t, release, members, func(n *consortium.Node) {
		if nodes = append(nodes, n); len(nodes) == 4 {
			d.write(t, nodes)
		}
	})
	spec := `version: 1
name: grades
contract: grades@1
features:
  - {columns: [visits, spent], transform: standardize}
  - {columns: [shop], transform: one_hot}
model: {type: multinomial_logistic_regression, l2: 1.0, weight: times, class_weights: {gold: 2.0}, tolerance: 1e-7}
evaluate: {holdout: {column: fold, equals: test}}
privacy: exact
run: {mode: sealed, participants: all, committee: {threshold: 3, of: 4}}
`
	first := completed(t, c, spec, d.Contract())
	shown, err := c.Tributary(t.Context(), "model", "show", "grades")
	if err != nil || shown.Code != 0 {
		t.Fatalf("model show: %d %v %s", shown.Code, err, shown.Err)
	}
	t.Logf("%d training rounds\n%s", first.Rounds("train"), shown.Out)
	for _, want := range []string{"multinomial_logistic_regression", "PREDICTED  gold", "(intercept)", "shop=s1"} {
		if !strings.Contains(shown.Out, want) {
			t.Errorf("model show lacks %q", want)
		}
	}
	scoredAsEvaluated(t, c, nodes, "grades")
	model, err := c.JSON(t.Context(), "model", "show", "grades")
	if err != nil {
		t.Fatal(err)
	}
	again := strings.NewReplacer("name: grades", "name: grades-again", "model: {", fmt.Sprintf("model: {warm_start: %v, ", model["state"])).Replace(spec)
	job, err := c.Submit(t.Context(), again, d.Contract(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		approved := false
		for range 100 {
			if r, err := n.Command(t.Context(), "approve", job); err == nil && r.Code == 0 {
				approved = true
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if !approved {
			t.Fatalf("%s can't approve the job", n.Name)
		}
	}
	second, err := c.Watch(t.Context(), job)
	if err != nil || second.Status != "completed" || !second.Converged || second.Rounds("train") >= first.Rounds("train") {
		t.Errorf("%v: %+v", err, second)
	} else {
		t.Logf("%d training rounds from the first model", second.Rounds("train"))
	}
	for _, n := range nodes {
		if _, err := n.JSON(t.Context(), "budget", "open", "rows", "--epsilon", "4", "--delta", "1e-5"); err != nil {
			t.Fatal(err)
		}
	}
	private := completed(t, c, `version: 1
name: grades-private
contract: grades@1
features:
  - {columns: [visits, spent], transform: scale}
  - {columns: [shop], transform: one_hot}
model: {type: multinomial_logistic_regression, l2: 1.0, max_rounds: 40, sampling: {rate: "0.2"}}
evaluate: {holdout: {column: fold, equals: test}, metrics: [log_loss, accuracy]}
privacy: {unit: record, epsilon: "3.9", delta: "1e-5"}
run: {mode: sealed, participants: all, min_participants: 3, committee: {threshold: 3, of: 4}, round_timeout: 5s}
`, d.Contract())
	// The commonest of three grades is that of two fifths of the rows. The noise of the count has a deviation near 0.05, about 0.8.
	if private.Metrics.Accuracy < 0.55 {
		t.Errorf("accuracy %.4f", private.Metrics.Accuracy)
	}
	t.Logf("private: accuracy %.4f, log loss %.4f", private.Metrics.Accuracy, private.Metrics.LogLoss)
	verified(t, c)
}

// scoredAsEvaluated: each participant scores its held-out rows with the exported model, and what it predicts adds up to the
// confusion matrix that the job opened.
func scoredAsEvaluated(t *testing.T, c *consortium.Consortium, nodes []*consortium.Node, job string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "model.json")
	for _, format := range []string{"onnx", "json"} {
		if r, err := c.Tributary(t.Context(), "model", "export", job, "--format", format, "--file", file); err != nil || r.Code != 0 {
			t.Fatalf("export %s: %v %s", format, err, r.Err)
		}
	}
	document, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var model struct {
		Classes []string
		Metrics struct{ Confusion [][]int64 }
	}
	if err := json.Unmarshal(document, &model); err != nil {
		t.Fatal(err)
	}
	got := make([][]int64, len(model.Classes))
	for k := range got {
		got[k] = make([]int64, len(model.Classes))
	}
	for _, n := range nodes {
		out := filepath.Join(n.Dir, "scores.csv")
		if r, err := n.Command(t.Context(), "score", "--model", file, "--in", filepath.Join(n.Dir, "rows.csv"), "--out", out, "--keep", "fold,grade"); err != nil || r.Code != 0 {
			t.Fatalf("score: %v %s", err, r.Err)
		}
		f, err := os.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(f).ReadAll()
		if f.Close(); err != nil || strings.Join(rows[0][:3], " ") != "fold grade predicted" {
			t.Fatal(rows[0], err)
		}
		for _, row := range rows[1:] {
			if row[0] == "test" {
				got[slices.Index(model.Classes, row[1])][slices.Index(model.Classes, row[2])]++
			}
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(model.Metrics.Confusion) {
		t.Errorf("scored %v, evaluated %v", got, model.Metrics.Confusion)
	}
}
