package e2e

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tributary/deploy/consortium"
	"tributary/models/dataset"
	"tributary/models/metrics"
)

// wideJob is a job of a very wide model over the visits of three sites.
type wideJob struct {
	cities, pages int // buckets
	spec          string
	visits        func(site int) string
	auc           float64 // the least
}

// The averaged machine has (52 + 1) for each of 393,218 columns and the intercept: 20,840,555 coefficients. Another factor is too much.
// The regression has 262,146.
var (
	averagedMachine = wideJob{262144, 131072, wideSpec("city, page", "{type: factorization_machine, factors: 52, l2: 0.1, solver: fedavg, max_rounds: 3, averaging: {optimizer: adagrad, learning_rate: 0.1}}"), visits, 0.6}
	adamsMachine    = wideJob{262144, 131072, wideSpec("city, page", "{type: factorization_machine, factors: 52, l2: 0.1, solver: fedadam, max_rounds: 3, averaging: {optimizer: adagrad, learning_rate: 0.1}}"), visits, 0.6}
	wideRegression  = wideJob{262144, 2, wideSpec("city", "{type: logistic_regression, l2: 1.0, solver: lbfgs, max_rounds: 4}"), manyCities, 0.7}
)

func (w wideJob) contract() string {
	return fmt.Sprintf(`version: 1
name: visits
revision: 1
key: visit_id
max_rows: 100000
label: {column: bought, positive: "yes", negative: "no"}
columns:
  city: {type: category, buckets: %d}
  page: {type: category, buckets: %d}
  fold: {type: split, values: [train, test]}
`, w.cities, w.pages)
}

func wideSpec(columns, model string) string {
	return fmt.Sprintf(`version: 1
name: visits
contract: visits@1
features:
  - {columns: [%s], transform: one_hot, min_count: 1}
model: %s
evaluate: {holdout: {column: fold, equals: test}}
privacy: exact
run: {mode: sealed, participants: all, committee: {threshold: 3, of: 3}, round_timeout: 15m}
`, columns, model)
}

// TestAMachineOfTwentyMillionCoefficients trains by the real binaries what `make bench-wide` measures in one process. It and the other
// wide jobs need some GB of memory and of disk, so they only run with TRIBUTARY_WIDE set.
func TestAMachineOfTwentyMillionCoefficients(t *testing.T) {
	c := startWide(t, averagedMachine)
	if _, err := c.Submit(t.Context(), strings.Replace(averagedMachine.spec, "factors: 52", "factors: 53", 1), averagedMachine.contract(), ""); err == nil || !strings.Contains(err.Error(), `"path": "model"`) || !strings.Contains(err.Error(), "has at most 20971520") {
		t.Errorf("another factor: %v", err)
	}
	trainWide(t, c, averagedMachine)
}

// FedAdam's state has two moments beside each coefficient: three times as long.
func TestAMachineOfTwentyMillionCoefficientsByFedAdam(t *testing.T) {
	trainWide(t, startWide(t, adamsMachine), adamsMachine)
}

func TestLBFGSOfAQuarterMillionColumns(t *testing.T) {
	trainWide(t, startWide(t, wideRegression), wideRegression)
}

func startWide(t *testing.T, w wideJob) *consortium.Consortium {
	t.Helper()
	if os.Getenv("TRIBUTARY_WIDE") == "" {
		t.Skip("TRIBUTARY_WIDE isn't set")
	}
	config := "policy: {contracts: [visits@1], approve: automatic}\ndata:\n  - {contract: visits@1, id: visits, source: {csv: visits.csv}}\n"
	var members []consortium.Member
	for i := range 3 {
		members = append(members, consortium.Member{Name: fmt.Sprintf("site-%d", i+1), Organisation: fmt.Sprintf("Site %d", i+1), Role: "both", Config: config})
	}
	site := 0
	return started(t, release, members, func(n *consortium.Node) {
		write(t, filepath.Join(n.Dir, "visits.csv"), w.visits(site))
		write(t, filepath.Join(n.Dir, "visits.yaml"), w.contract())
		site++
	})
}

// trainWide runs a job to its end, logs what it took, and wants the model that one process computes from the same rows without seals,
// the same bytes, and scores that have the AUC that was evaluated.
func trainWide(t *testing.T, c *consortium.Consortium, w wideJob) {
	t.Helper()
	job, err := c.Submit(t.Context(), w.spec, w.contract(), "")
	if err != nil {
		t.Fatal(err)
	}
	end, err := c.Watch(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if end.Status != "completed" {
		t.Fatalf("job %s: %s", end.Status, end.Reason)
	}
	tell(t, end)
	for _, n := range c.Nodes {
		t.Logf("%s: peak %d MB", n.Name, peak(t, n.Process)/1e6)
	}
	t.Logf("coordinator: peak %d MB, its folder %d MB", peak(t, c.Coordinator)/1e6, size(t, filepath.Join(c.Dir, "coordinator"))/1e6)
	file := filepath.Join(c.Dir, "visits.json")
	if r, err := c.Tributary(t.Context(), "model", "export", "visits", "--file", file); err != nil || r.Code != 0 {
		t.Fatalf("%v: %s", err, r.Err)
	}
	t.Logf("the model: %.1f MB; coordinator then: peak %d MB", float64(size(t, file))/1e6, peak(t, c.Coordinator)/1e6)
	h := metrics.Histogram{Positive: make([]float64, metrics.Bins), Negative: make([]float64, metrics.Bins)}
	for _, n := range c.Nodes {
		scored(t, n, file, &h)
		evaluated(t, n, job)
	}
	if auc, _ := h.AUC(0); !auc.Known || math.Abs(auc.V-end.Metrics.AUC) > 1e-9 || auc.V < w.auc {
		t.Errorf("scored AUC %v, evaluated %g", auc, end.Metrics.AUC)
	} else {
		t.Logf("AUC %.4f, objective %.4f", auc.V, end.Objective)
	}
	secrecy(t, filepath.Join(c.Dir, "coordinator"), "Weiler", "/seite/")
	program := resolvedProgram(t, c, job)
	var sites []*dataset.Table
	for _, n := range c.Nodes {
		sites = append(sites, visitTable(t, filepath.Join(n.Dir, "visits.csv"), w.cities, w.pages))
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err != nil { // what they hold isn't there twice
		t.Error(err)
	}
	if want := trainHere(t, program, sites); !bytes.Equal(got, want) {
		t.Errorf("the model of %d bytes isn't the one of %d bytes that is trained here", len(got), len(want))
	}
}

// evaluated wants a node to have measured the model on its own rows, for which it fetches the last state.
func evaluated(t *testing.T, n *consortium.Node, job string) {
	t.Helper()
	for range 300 {
		r, err := n.Command(t.Context(), "evaluation", job, "--output", "json")
		if err != nil {
			t.Fatal(err)
		}
		if r.Code == 0 {
			return
		}
		if !strings.Contains(r.Out+r.Err, "approved") { // it is over without one
			t.Errorf("%s: %s%s", n.Name, r.Out, r.Err)
			return
		}
		time.Sleep(time.Second)
	}
	t.Errorf("%s never finished", n.Name)
}

// visits makes a site's rows: some cities buy, and some pages sell there.
func visits(site int) string {
	r := rand.New(rand.NewPCG(21, uint64(site)))
	var b strings.Builder
	b.WriteString("visit_id,city,page,fold,bought\n")
	for i := range 4000 {
		city, page := int(25*r.ExpFloat64()), int(2000*r.ExpFloat64())
		m := []float64{-1.5, 1.5}[city%2]
		if city%5 == page%5 {
			m = -m
		}
		label := "no"
		if r.Float64() < 1/(1+math.Exp(-m)) {
			label = "yes"
		}
		fmt.Fprintf(&b, "%d-%d,Weiler %d,/seite/%d,%s,%s\n", site, i, city, page, []string{"train", "train", "train", "test"}[i%4], label)
	}
	return b.String()
}

// manyCities makes rows of a quarter million cities, most of them rare: every second one buys.
func manyCities(site int) string {
	r := rand.New(rand.NewPCG(22, uint64(site)))
	var b strings.Builder
	b.WriteString("visit_id,city,page,fold,bought\n")
	for i := range 60_000 {
		city := int(262144 * r.Float64() * r.Float64() * r.Float64())
		label := "no"
		if r.Float64() < 1/(1+math.Exp(-[]float64{-2, 2}[city%2])) {
			label = "yes"
		}
		fmt.Fprintf(&b, "%d-%d,Weiler %d,/seite/%d,%s,%s\n", site, i, city, i%3, []string{"train", "train", "train", "test"}[i%4], label)
	}
	return b.String()
}

// tell logs how long each round took and what was sent in it.
func tell(t *testing.T, end *consortium.Ended) {
	var planned time.Time
	first, sent := true, uint64(0)
	for _, e := range end.Events {
		switch e.Phase {
		case "plan":
			planned, first, sent = e.At, false, 0
		case "upload":
			sent = max(sent, e.Bytes)
		case "apply":
			t.Logf("round %d, %s: %.1f s, an upload of %.1f MB", e.Round, e.Kind, e.At.Sub(planned).Seconds(), float64(sent)/1e6)
		}
	}
	if first {
		t.Error("no round was planned")
	}
}

// scored adds a node's held-out rows, as its model file scores them.
func scored(t *testing.T, n *consortium.Node, model string, h *metrics.Histogram) {
	t.Helper()
	out := filepath.Join(n.Dir, "scores.csv")
	if r, err := n.Command(t.Context(), "score", "--model", model, "--data", "visits", "--out", out, "--keep", "fold,bought"); err != nil || r.Code != 0 {
		t.Fatalf("%v: %s", err, r.Err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		if row[0] != "test" {
			continue
		}
		p, err := strconv.ParseFloat(row[len(row)-1], 64)
		if err != nil {
			t.Fatal(rows[0], err)
		}
		if row[1] == "yes" {
			h.Positive[metrics.Bin(p)]++
		} else {
			h.Negative[metrics.Bin(p)]++
		}
	}
}

// peak is the most memory that a process has held so far, in bytes.
func peak(t *testing.T, p *consortium.Process) (kb int64) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	if _, err := fmt.Sscan(string(rest), &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// size is what a file takes, or all files below a folder, in bytes.
func size(t *testing.T, path string) (total int64) {
	t.Helper()
	err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}
