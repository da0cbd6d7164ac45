// Command bench measures what a round costs beyond training: it runs the real binaries on loopback with 4, 16 and 64 participants
// and a model of 100 coefficients over few rows, and prints each round's time by phase, beside the same training on the pooled
// rows in one process.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tributary/deploy/consortium"
)

const (
	columns = 99 // and the intercept
	rows    = 300
)

func main() {
	sizes := flag.String("participants", "4,16,64", "numbers of participants, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *sizes); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

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

func median(v []int64) int64 {
	slices.Sort(v)
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}

// table is one participant's rows: standard normal columns clipped to the contract's range, and a label that follows some of them.
func table(seed uint64) []byte {
	random := rand.New(rand.NewPCG(11, seed))
	var b bytes.Buffer
	b.WriteString("id,y")
	for j := range columns {
		fmt.Fprintf(&b, ",x%02d", j)
	}
	b.WriteByte('\n')
	for i := range rows {
		z, cells := 0.0, make([]string, columns)
		for j := range cells {
			v := min(max(random.NormFloat64(), -8), 8)
			cells[j] = strconv.FormatFloat(v, 'f', 3, 64)
			if j%7 == 0 {
				z += v / 3
			}
		}
		y := "no"
		if random.NormFloat64() < z {
			y = "yes"
		}
		fmt.Fprintf(&b, "r%d,%s,%s\n", i, y, strings.Join(cells, ","))
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
