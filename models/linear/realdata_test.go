package linear_test

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// dataPath finds a file of the reference data, which aren't part of the repository: TRIBUTARY_DATA, or shared/data beside the
// repository's root. In CI they must be there.
func dataPath(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("TRIBUTARY_DATA")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for !exists(filepath.Join(dir, "go.mod")) {
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test")
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(dir, "..", "shared", "data")
	}
	path := filepath.Join(root, name)
	if exists(path) {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("no %s: set TRIBUTARY_DATA to the reference data", path)
	}
	t.Skipf("no %s: set TRIBUTARY_DATA to the reference data", path)
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func lines(t testing.TB, name string) io.Reader {
	t.Helper()
	f, err := os.Open(dataPath(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// raw is a table of texts with its hold-out marks.
type raw struct {
	names   []string
	rows    [][]string
	heldOut []bool
	label   int
	yes     string
	numbers []string // names of columns that are numbers
}

// table gives contract-mapped rows and features with ranges and values taken from the data.
func (r *raw) table(t testing.TB) (*dataset.Table, []feature) {
	t.Helper()
	out := &dataset.Table{Rows: len(r.rows), HeldOut: r.heldOut}
	var features []feature
	for _, row := range r.rows {
		out.Label = append(out.Label, row[r.label] == r.yes)
	}
	for c, name := range r.names {
		if c == r.label {
			continue
		}
		if slices.Contains(r.numbers, name) {
			values, lo, hi := make([]float64, len(r.rows)), math.Inf(1), math.Inf(-1)
			for i, row := range r.rows {
				v, err := strconv.ParseFloat(row[c], 64)
				if err != nil {
					t.Fatal(err)
				}
				values[i], lo, hi = v, min(lo, v), max(hi, v)
			}
			out.Columns = append(out.Columns, dataset.Column{Name: name, Numbers: values})
			features = append(features, number(name, lo, hi))
			continue
		}
		seen := map[string]bool{}
		for _, row := range r.rows {
			seen[row[c]] = true
		}
		var values []string
		for v := range seen {
			values = append(values, v)
		}
		sort.Strings(values)
		codes := make([]int32, len(r.rows))
		for i, row := range r.rows {
			at, _ := slices.BinarySearch(values, row[c])
			codes[i] = int32(at)
		}
		out.Columns = append(out.Columns, dataset.Column{Name: name, Codes: codes, Values: values})
		features = append(features, category(name, 1, values...))
	}
	return out, features
}

// readAdult reads UCI Adult with its official split; "?" is a level, and the test labels end in ".".
func readAdult(t testing.TB) *raw {
	t.Helper()
	r := &raw{
		names: strings.Split("age workclass fnlwgt education education-num marital-status occupation relationship race sex capital-gain capital-loss hours-per-week native-country income", " "),
		label: 14, yes: ">50K",
		numbers: []string{"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"},
	}
	for _, file := range []string{"adult/adult.data.gz", "adult/adult.test.gz"} {
		scan := bufio.NewScanner(lines(t, file))
		for scan.Scan() {
			fields := strings.Split(scan.Text(), ", ")
			if len(fields) != len(r.names) {
				continue // the blank line at the end, the comment at the start
			}
			fields[r.label] = strings.TrimSuffix(fields[r.label], ".")
			r.rows = append(r.rows, fields)
			r.heldOut = append(r.heldOut, strings.HasSuffix(file, "test.gz"))
		}
		if err := scan.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// readShoppers reads UCI Online Shoppers with the reference split.
func readShoppers(t testing.TB) *raw {
	t.Helper()
	records, err := csv.NewReader(lines(t, "online_shoppers/online_shoppers_intention.csv.gz")).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	r := &raw{names: records[0], rows: records[1:], heldOut: make([]bool, len(records)-1), label: 17, yes: "TRUE"}
	r.numbers = r.names[:10] // Administrative to SpecialDay
	scan := bufio.NewScanner(lines(t, "splits/online_shoppers.test_idx.txt.gz"))
	for scan.Scan() {
		at, err := strconv.Atoi(strings.TrimSpace(scan.Text()))
		if err != nil {
			t.Fatal(err)
		}
		r.heldOut[at] = true
	}
	return r
}

// Four participants' quantised sums reach the pooled optimum and the published quality on real data.
func TestExactTrainingReachesThePooledOptimum(t *testing.T) {
	for _, c := range []struct {
		name                    string
		read                    func(testing.TB) *raw
		rows, heldOut           int64
		objective, auc, logLoss float64
		accuracy                float64
	}{
		{"adult", readAdult, 32561, 16281, 10312.740, 0.90543, 0.31758, 0.85314},
		{"online_shoppers", readShoppers, 9864, 2466, 2802.285, 0.88301, 0.30607, 0.88118},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, features := c.read(t).table(t)
			p := job{contributors: 4, bits: 40, maxRows: 5_000_000, maxRounds: 10, features: features, l2: 1, tolerance: 1e-8, holdout: true}.program(t)
			optimum := newPooled(table, 1).solve()
			if math.Abs(optimum-c.objective) > 1e-3 {
				t.Fatalf("the pooled solver reaches %.4f, the reference is %.3f", optimum, c.objective)
			}
			s, reports := train(t, p, split(table, 4))
			for _, r := range reports {
				t.Log(describe(r))
			}
			m, _ := s.Metrics()
			t.Logf("objective %.9f (pooled %.9f, relative %.2g), AUC %.6f, log loss %.6f, accuracy %.6f", m.Objective, optimum, relative(m.Objective, optimum), m.AUC.V, m.LogLoss.V, m.Accuracy.V)
			if rounds := count(reports, optim.Train); rounds > 10 || !s.Converged() {
				t.Errorf("%d TRAIN rounds, converged %t", rounds, s.Converged())
			}
			if m.Rows != c.rows || m.HeldOut != c.heldOut {
				t.Errorf("%d training rows, %d held out", m.Rows, m.HeldOut)
			}
			if relative(m.Objective, optimum) > 1e-6 || relative(m.Objective, c.objective) > 1e-6 {
				t.Errorf("objective %.6f, want %.6f", m.Objective, optimum)
			}
			scores, err := linear.Score(p, s, table)
			if err != nil {
				t.Fatal(err)
			}
			heldScores, heldLabels := heldOut(table, scores)
			if exact := auc(heldScores, heldLabels); math.Abs(exact-c.auc) > 2e-5 || math.Abs(m.AUC.V-exact) > 1e-4 {
				t.Errorf("AUC %.6f, exact %.6f, reference %.5f", m.AUC.V, exact, c.auc)
			}
			binsAgree(t, reports[len(reports)-1].Scores, heldScores, heldLabels)
			if math.Abs(m.AUC.V-c.auc) > 1e-4 || math.Abs(m.LogLoss.V-c.logLoss) > 2e-5 || math.Abs(m.Accuracy.V-c.accuracy) > 1e-4 {
				t.Errorf("AUC %.5f, log loss %.5f, accuracy %.5f", m.AUC.V, m.LogLoss.V, m.Accuracy.V)
			}
		})
	}
}

func heldOut(table *dataset.Table, scores []float64) (held []float64, label []bool) {
	for i, p := range scores {
		if table.Held(i) {
			held = append(held, p)
			label = append(label, table.Label[i])
		}
	}
	return held, label
}

// One participant's TRAIN sums over all of Adult stay interactive.
func BenchmarkAdultTrainSums(b *testing.B) {
	table, features := readAdult(b).table(b)
	p := job{contributors: 1, bits: 40, maxRows: 5_000_000, maxRounds: 10, features: features, l2: 1, tolerance: 1e-8, holdout: true}.program(b)
	s, _, err := round(b, p, p.Initial(), []*dataset.Table{table}, make([]*linear.Design, 1))
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	d, err := linear.Prepare(p, s, table)
	if err != nil {
		b.Fatal(err)
	}
	prepare := time.Since(start)
	for b.Loop() {
		if _, err := d.Sums(s); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(prepare.Microseconds())/1e3, "prepare-ms")
}

func sortBy(order []int, key func(int) float64) {
	sort.SliceStable(order, func(a, b int) bool { return key(order[a]) < key(order[b]) })
}
