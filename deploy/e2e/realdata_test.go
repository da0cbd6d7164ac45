package e2e

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tributary/deploy/consortium"
	"tributary/deploy/trial"
)

// realData is a public data set that four participants hold.
type realData struct {
	*trial.Data
	deal func(row map[string]string, i int) int // to which of four participants a training row goes
}

// dataFolder is where the reference data are: $TRIBUTARY_DATA, or ../shared/data beside the repository.
func dataFolder() string {
	if folder := os.Getenv("TRIBUTARY_DATA"); folder != "" {
		return folder
	}
	return filepath.Join(root(), "..", "shared", "data")
}

// present ends the test if the reference data can't be read. If they are missing, it fails in CI and says elsewhere that it is left out.
func present(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true" {
		t.Skipf("set TRIBUTARY_DATA: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func dataFile(t *testing.T, name string) io.Reader {
	t.Helper()
	f, err := trial.Open(dataFolder(), name)
	present(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func adult(t *testing.T) *realData {
	d, err := trial.Adult(dataFolder())
	present(t, err)
	// By education: graduates, some college, school leavers, the rest; very uneven.
	return &realData{d, func(row map[string]string, i int) int {
		years, _ := strconv.Atoi(row["education_num"])
		switch {
		case years >= 13:
			return 0
		case years >= 10:
			return 1
		case years == 9:
			return 2
		}
		return 3
	}}
}

func onlineShoppers(t *testing.T) *realData {
	records, err := csv.NewReader(dataFile(t, "online_shoppers/online_shoppers_intention.csv.gz")).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	d := &realData{&trial.Data{Name: "online-shoppers", Label: "Revenue", Yes: "TRUE", No: "FALSE", Columns: records[0], Rows: records[1:],
		Test: make([]bool, len(records)-1), Numbers: records[0][:10]},
		// By visitor and season: new visitors, the two busy months, the others.
		func(row map[string]string, i int) int {
			switch {
			case row["VisitorType"] != "Returning_Visitor":
				return 0
			case row["Month"] == "May":
				return 1
			case row["Month"] == "Nov":
				return 2
			}
			return 3
		}}
	for lines := bufio.NewScanner(dataFile(t, "splits/online_shoppers.test_idx.txt.gz")); lines.Scan(); {
		i, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			t.Fatal(err)
		}
		d.Test[i] = true
	}
	return d
}

func (d *realData) spec() string {
	return fmt.Sprintf(`version: 1
name: %s
contract: %s@1
features:
  - {columns: [%s], transform: standardize}
  - {columns: [%s], transform: one_hot, min_count: 1}
model: {type: logistic_regression, l2: 1.0, solver: newton, max_rounds: 10, tolerance: 1.0e-8}
evaluate:
  holdout: {column: fold, equals: test}
  metrics: [auc, log_loss, accuracy]
privacy: exact
run: {mode: sealed, participants: all, committee: {threshold: 3, of: 4}}
`, d.Name, d.Name, strings.Join(d.Numbers, ", "), strings.Join(d.Categories(), ", "))
}

func (d *realData) config() string {
	return fmt.Sprintf(`policy: {contracts: ["%s@1"], privacy: [exact], modes: [sealed], min_cohort: 3, approve: automatic}
data:
  - contract: %s@1
    contract_file: contract.yaml
    id: rows
    source: {csv: rows.csv}
`, d.Name, d.Name)
}

// write deals the rows: training rows by d.deal, test rows in turn.
func (d *realData) write(t *testing.T, nodes []*consortium.Node) {
	t.Helper()
	files := make([]*csv.Writer, len(nodes))
	for i, n := range nodes {
		f, err := os.Create(filepath.Join(n.Dir, "rows.csv"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = csv.NewWriter(f)
		defer files[i].Flush()
		files[i].Write(append([]string{"row", "fold"}, d.Columns...))
		write(t, filepath.Join(n.Dir, "contract.yaml"), d.Contract())
	}
	counts := make([]int, len(nodes))
	for i, row := range d.Rows {
		to, fold := i%len(nodes), "test"
		if !d.Test[i] {
			values := map[string]string{}
			for c, column := range d.Columns {
				values[column] = row[c]
			}
			to, fold = d.deal(values, i), "train"
			counts[to]++
		}
		files[to].Write(append([]string{fmt.Sprint(i), fold}, row...))
	}
	t.Logf("training rows per participant: %v", counts)
}

// TestPooledQualityOnRealData: Newton over four participants' sealed sums, with the real processes, reaches the objective and
// the AUC that a solver reaches on the pooled rows (scikit-learn, C = 1).
func TestPooledQualityOnRealData(t *testing.T) {
	for _, c := range []struct {
		read           func(*testing.T) *realData
		objective, auc float64
	}{
		{adult, 10312.740, 0.90543},
		{onlineShoppers, 2802.285, 0.88301},
	} {
		d := c.read(t)
		t.Run(d.Name, func(t *testing.T) {
			var members []consortium.Member
			for i := range 4 {
				members = append(members, consortium.Member{Name: fmt.Sprintf("holder-%d", i+1), Organisation: fmt.Sprintf("Holder %d", i+1), Role: "both", Config: d.config()})
			}
			var nodes []*consortium.Node
			w := started(t, release, members, func(n *consortium.Node) {
				if nodes = append(nodes, n); len(nodes) == 4 {
					d.write(t, nodes)
				}
			})
			end := completed(t, w, d.spec(), d.Contract())
			if !end.Converged || end.Rounds("train") > 10 {
				t.Errorf("%d training rounds, converged: %t", end.Rounds("train"), end.Converged)
			}
			t.Logf("%d training rounds, objective %.6f, AUC %.5f", end.Rounds("train"), end.Objective, end.Metrics.AUC)
			if math.Abs(end.Objective-c.objective) > 1e-6*c.objective {
				t.Errorf("objective %.6f, want %.3f within 1e-6 relative", end.Objective, c.objective)
			}
			if math.Abs(end.Metrics.AUC-c.auc) > 1e-4 {
				t.Errorf("AUC %.5f, want %.5f within 1e-4", end.Metrics.AUC, c.auc)
			}
		})
	}
}
