package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tributary/deploy/consortium"
	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

const (
	columns = 99 // and the intercept
	rows    = 300
)

func run(ctx context.Context, sizes string) error {
	dir, err := os.MkdirTemp("", "tributary-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	bin, err := consortium.Build(ctx, root, filepath.Join(dir, "bin"), "")
	if err != nil {
		return err
	}
	fmt.Printf("%d coefficients, %d rows a participant, all processes on this machine; milliseconds, medians over the training rounds\n", columns+1, rows)
	training, err := alone()
	if err != nil {
		return err
	}
	fmt.Printf("training alone, one participant in one process: %.1f ms a round\n", training)
	fmt.Printf("%12s %10s %24s %14s %12s %8s %16s\n", "participants", "committee", "train, seal, upload", "check, roster", "open, apply", "round", "bytes/participant")
	for _, text := range strings.Split(sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 3 {
			return fmt.Errorf("participants: %q is no number from 3", text)
		}
		if err := measure(ctx, filepath.Join(dir, text), bin, n); err != nil {
			return fmt.Errorf("%d participants: %w", n, err)
		}
	}
	return nil
}

func measure(ctx context.Context, dir string, bin consortium.Binaries, n int) (err error) {
	var members []consortium.Member
	for i := range n {
		members = append(members, consortium.Member{Name: fmt.Sprintf("p%02d", i), Organisation: fmt.Sprintf("Organisation %d", i), Role: "both", Config: config})
	}
	c, err := consortium.Prepare(dir, bin, members)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := c.Stop(); err == nil {
			err = stopErr
		}
	}()
	for i, node := range c.Nodes {
		if err := os.WriteFile(filepath.Join(node.Dir, "rows.csv"), table(uint64(i)), 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(node.Dir, "bench.yaml"), []byte(contract()), 0o600); err != nil {
			return err
		}
	}
	if err := c.Start(ctx, 1); err != nil {
		return err
	}
	job, err := c.Submit(ctx, spec(), contract(), "")
	if err != nil {
		return err
	}
	end, err := c.Watch(ctx, job)
	if err != nil {
		return err
	}
	if end.Status != "completed" {
		return fmt.Errorf("job %s: %s", end.Status, end.Reason)
	}
	report(n, end)
	return nil
}

func report(n int, end *consortium.Ended) {
	var upload, check, open, whole []int64
	var planned, uploaded, closed int64
	var sent, trains uint64
	for _, e := range end.Events {
		if e.Kind != "train" {
			continue
		}
		switch {
		case e.Phase == "plan":
			planned = e.At.UnixMilli()
		case e.Phase == "upload":
			uploaded = e.At.UnixMilli()
			sent += e.Bytes
		case e.Phase == "open" && closed < planned:
			closed = e.At.UnixMilli()
		case e.Phase == "apply":
			trains++
			upload, check, open, whole = append(upload, uploaded-planned), append(check, closed-uploaded), append(open, e.At.UnixMilli()-closed), append(whole, e.At.UnixMilli()-planned)
		}
	}
	fmt.Printf("%12d %10s %24d %14d %12d %8d %16d\n", n, "3 of 4", median(upload), median(check), median(open), median(whole), sent/max(1, trains)/uint64(n))
}

// alone is the median time of one participant's sums over its rows, in milliseconds: the training that a round contains.
func alone() (float64, error) {
	spec, problems := jobspec.ParseSpec([]byte(spec()))
	if len(problems) > 0 {
		return 0, errors.New(problems[0].String())
	}
	terms, problems := jobspec.ParseContract([]byte(contract()))
	if len(problems) > 0 {
		return 0, errors.New(problems[0].String())
	}
	resolved, problems := jobspec.Resolve(spec, terms, jobspec.Options{F: 1, Contributors: 4, Seats: 4})
	if len(problems) > 0 {
		return 0, errors.New(problems[0].String())
	}
	p, err := optim.ParseProgram(resolved.Program())
	if err != nil {
		return 0, err
	}
	t := &dataset.Table{}
	for j := range columns {
		t.Columns = append(t.Columns, dataset.Column{Name: fmt.Sprintf("x%02d", j)})
	}
	for _, r := range generate(0) {
		t.Rows++
		t.Label = append(t.Label, r.y)
		for j, v := range r.x {
			t.Columns[j].Numbers = append(t.Columns[j].Numbers, v)
		}
	}
	s := p.Initial()
	var took []int64
	for s.Kind() != optim.Done {
		start := time.Now()
		sums, err := linear.Sums(p, s, t)
		if err != nil {
			return 0, err
		}
		if s.Kind() == optim.Train {
			took = append(took, time.Since(start).Microseconds())
		}
		if s, _, err = p.Apply(s, sums); err != nil {
			return 0, err
		}
	}
	return float64(median(took)) / 1000, nil
}

func median(v []int64) int64 {
	slices.Sort(v)
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}

// row is one generated customer: standard normal columns clipped to the contract's range, and a label that follows some of them.
type row struct {
	x [columns]float64
	y bool
}

func generate(seed uint64) []row {
	random := rand.New(rand.NewPCG(11, seed))
	out := make([]row, rows)
	for i := range out {
		z := 0.0
		for j := range out[i].x {
			out[i].x[j] = math.Round(1000*min(max(random.NormFloat64(), -8), 8)) / 1000
			if j%7 == 0 {
				z += out[i].x[j] / 3
			}
		}
		out[i].y = random.NormFloat64() < z
	}
	return out
}

// table is one participant's file.
func table(seed uint64) []byte {
	var b bytes.Buffer
	b.WriteString("id,y")
	for j := range columns {
		fmt.Fprintf(&b, ",x%02d", j)
	}
	b.WriteByte('\n')
	for i, r := range generate(seed) {
		fmt.Fprintf(&b, "r%d,%s", i, map[bool]string{true: "yes", false: "no"}[r.y])
		for _, v := range r.x {
			fmt.Fprintf(&b, ",%.3f", v)
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func contract() string {
	var b strings.Builder
	b.WriteString("version: 1\nname: bench\nrevision: 1\nkey: id\nmax_rows: 100000\nlabel: {column: y, positive: \"yes\", negative: \"no\"}\ncolumns:\n")
	for j := range columns {
		fmt.Fprintf(&b, "  x%02d: {type: number, min: -8, max: 8}\n", j)
	}
	return b.String()
}

func spec() string {
	var names []string
	for j := range columns {
		names = append(names, fmt.Sprintf("x%02d", j))
	}
	return fmt.Sprintf(`version: 1
name: bench
contract: bench@1
features:
  - {columns: [%s], transform: standardize}
model: {type: logistic_regression, l2: 1.0, solver: newton, max_rounds: 10, tolerance: 1.0e-8}
privacy: exact
run: {mode: sealed, participants: all, committee: {threshold: 3, of: 4}}
`, strings.Join(names, ", "))
}

const config = `policy: {contracts: [bench@1], privacy: [exact], modes: [sealed], min_cohort: 3, approve: automatic}
data:
  - contract: bench@1
    contract_file: bench.yaml
    id: rows
    source: {csv: rows.csv}
`
