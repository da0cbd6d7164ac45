package e2e

import (
	"fmt"
	"math/rand/v2"
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
privacy: {unit: record, epsilon: "3.0", delta: "1e-5"}
run: {mode: sealed, participants: all, min_participants: 3, committee: {threshold: 3, of: 4}, round_timeout: 5s}
`, d.Contract())
	// The commonest of three grades is that of two fifths of the rows.
	if private.Metrics.Accuracy < 0.55 {
		t.Errorf("accuracy %.4f", private.Metrics.Accuracy)
	}
	t.Logf("private: accuracy %.4f, log loss %.4f", private.Metrics.Accuracy, private.Metrics.LogLoss)
	verified(t, c)
}
