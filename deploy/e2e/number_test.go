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

	"tributary/deploy/consortium"
	"tributary/deploy/trial"
)

// spending are customers who spend by their visits and, more than that, by how their shop and their kind go together.
func spending(rows int) *realData {
	d := &trial.Data{Name: "spending", Columns: []string{"visits", "shop", "kind", "spend"}, Label: "spend", Numbers: []string{"visits"}}
	r := rand.New(rand.NewPCG(7, 8))
	for i := range rows {
		visits, shop, kind := r.IntN(60), r.IntN(4), r.IntN(4)
		spend := 300 + 2*float64(visits) + 10*r.NormFloat64()
		if (shop+kind)%2 == 0 {
			spend += 150
		}
		d.Rows = append(d.Rows, []string{strconv.Itoa(visits), "s" + strconv.Itoa(shop), "k" + strconv.Itoa(kind), strconv.FormatFloat(spend, 'f', 2, 64)})
		d.Test = append(d.Test, i%5 == 0)
	}
	return &realData{d, func(row map[string]string, i int) int { return i % 4 }}
}

// TestNumbersArePredictedOverRealProcesses: a linear regression and a factorization machine of a label that is a number, through
// contract, approval, sealed sums, report and comparison; what the participants score by the exported model errs by what the job told.
// Then, on the same data with accounts, private ones, of a number that noised counts standardise: the machine finds there, too, what no
// linear model can.
func TestNumbersArePredictedOverRealProcesses(t *testing.T) {
	d := spending(4_000)
	contract := strings.Replace(d.Contract(), `positive: "", negative: ""`, "type: number, min: 0, max: 1000, outside: reject", 1)
	var members []consortium.Member
	for i := range 4 {
		members = append(members, consortium.Member{Name: fmt.Sprintf("holder-%d", i+1), Organisation: fmt.Sprintf("Holder %d", i+1), Role: "both", Config: strings.Replace(d.config(), "privacy: [exact]", "privacy: [exact, private]", 1)})
	}
	var nodes []*consortium.Node
	c := started(t, release, members, func(n *consortium.Node) {
		if nodes = append(nodes, n); len(nodes) == 4 {
			d.write(t, nodes)
			for _, n := range nodes {
				write(t, filepath.Join(n.Dir, "contract.yaml"), contract)
			}
		}
	})
	spec := `version: 1
name: linear
contract: spending@1
features:
  - {columns: [visits], transform: standardize}
  - {columns: [shop, kind], transform: one_hot}
model: {type: linear_regression, l2: 1.0}
evaluate: {holdout: {column: fold, equals: test}, metrics: [rmse, mae, r2, calibration]}
privacy: exact
run: {mode: sealed, participants: all, committee: {threshold: 3, of: 4}}
`
	linear := completed(t, c, spec, contract)
	if !linear.Converged || linear.Rounds("train") != 2 {
		t.Errorf("%d training rounds, converged %t", linear.Rounds("train"), linear.Converged)
	}
	machine := strings.NewReplacer("name: linear", "name: machine", "type: linear_regression, l2: 1.0", "type: factorization_machine, factors: 4, l2: 0.1, max_rounds: 12, averaging: {learning_rate: 0.3}").Replace(spec)
	completed(t, c, machine, contract)
	told := map[string]float64{}
	for _, job := range []string{"linear", "machine"} {
		shown, err := c.JSON(t.Context(), "job", "show", job)
		if err != nil {
			t.Fatal(err)
		}
		metrics, _ := shown["metrics"].(map[string]any)
		told[job], _ = metrics["rmse"].(float64)
		t.Logf("%s: RMSE %.3f, MAE %.3f, R² %.4f", job, metrics["rmse"], metrics["mae"], metrics["r2"])
		if scored := scoredError(t, c, nodes, job); math.Abs(scored-told[job]) > 1e-6*told[job] {
			t.Errorf("%s: the scores err by %.9f, the job told %.9f", job, scored, told[job])
		}
	}
	// The noise is 10; that shop and kind go together explains 75.
	if !(told["linear"] > 60 && told["machine"] > 9 && told["machine"] < 0.5*told["linear"]) {
		t.Errorf("RMSE %v", told)
	}
	ranked, err := c.Tributary(t.Context(), "job", "compare", "linear", "machine", "--by", "rmse")
	if err != nil || ranked.Code != 0 || strings.Index(ranked.Out, "machine") > strings.Index(ranked.Out, "linear") {
		t.Errorf("%v: %s%s", err, ranked.Out, ranked.Err)
	}
	shown, err := c.Tributary(t.Context(), "model", "show", "linear")
	if err != nil || !strings.Contains(shown.Out, "MEAN LABEL") || !strings.Contains(shown.Out, "STD ERROR") {
		t.Errorf("%v: %s%s", err, shown.Out, shown.Err)
	}
	page := filepath.Join(c.Dir, "report.html")
	if r, err := c.Tributary(t.Context(), "job", "report", "machine", "--out", page); err != nil || r.Code != 0 {
		t.Fatalf("%v: %s", err, r.Err)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "Predicted and actual") {
		t.Errorf("%v: the report has no comparison", err)
	}
	for _, n := range nodes {
		if _, err := n.JSON(t.Context(), "budget", "open", "rows", "--epsilon", "12", "--delta", "1e-5"); err != nil {
			t.Fatal(err)
		}
	}
	private := strings.NewReplacer("name: linear", "name: private-linear", "{type: linear_regression, l2: 1.0}", `{type: linear_regression, max_rounds: 40, sampling: {rate: "0.2"}}`,
		", calibration]", "]", "privacy: exact", `privacy: {unit: record, epsilon: "5", delta: "1e-5"}`, "run: {", "run: {min_participants: 3, round_timeout: 5s, ").Replace(spec)
	completed(t, c, private, contract)
	completed(t, c, strings.NewReplacer("private-linear", "private-machine", "type: linear_regression", "type: factorization_machine, factors: 4").Replace(private), contract)
	linearError, machineError := scoredError(t, c, nodes, "private-linear"), scoredError(t, c, nodes, "private-machine")
	t.Logf("private: RMSE of linear regression %.3f, of the machine %.3f", linearError, machineError)
	if !(linearError < 1.15*told["linear"] && machineError < 0.7*linearError) {
		t.Errorf("private: RMSE of linear regression %.3f, exactly %.3f; of the machine %.3f", linearError, told["linear"], machineError)
	}
	shown, err = c.Tributary(t.Context(), "model", "show", "private-linear")
	if err != nil || !strings.Contains(shown.Out, "the noise alone moves rmse") || strings.Contains(shown.Out, "training RMSE") {
		t.Errorf("%v: %s%s", err, shown.Out, shown.Err)
	}
	verified(t, c)
}

// scoredError is the root mean square by which the held-out rows' scores err, by an exported model.
func scoredError(t *testing.T, c *consortium.Consortium, nodes []*consortium.Node, job string) float64 {
	t.Helper()
	file := filepath.Join(t.TempDir(), "model.json")
	for _, format := range []string{"onnx", "json"} {
		if r, err := c.Tributary(t.Context(), "model", "export", job, "--format", format, "--file", file); err != nil || r.Code != 0 {
			t.Fatalf("export %s: %v %s", format, err, r.Err)
		}
	}
	square, count := 0.0, 0.0
	for _, n := range nodes {
		out := filepath.Join(n.Dir, job+"-scores.csv")
		if r, err := n.Command(t.Context(), "score", "--model", file, "--in", filepath.Join(n.Dir, "rows.csv"), "--out", out, "--keep", "fold,spend"); err != nil || r.Code != 0 {
			t.Fatalf("score: %v %s", err, r.Err)
		}
		f, err := os.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(f).ReadAll()
		if f.Close(); err != nil || strings.Join(rows[0], " ") != "fold spend prediction" {
			t.Fatal(rows[0], err)
		}
		for _, row := range rows[1:] {
			spend, errSpend := strconv.ParseFloat(row[1], 64)
			predicted, errPredicted := strconv.ParseFloat(row[2], 64)
			if errSpend != nil || errPredicted != nil {
				t.Fatal(row)
			}
			if row[0] == "test" {
				square, count = square+(predicted-spend)*(predicted-spend), count+1
			}
		}
	}
	return math.Sqrt(square / count)
}
