package source

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tributary/models/local"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

const (
	wideNumbers = 24 // written to 16 digits, as programs write doubles
	wideRows    = 50_000_000
)

// wideContract is of a file of numbers and two categories.
func wideContract(t testing.TB) *jobspec.Contract {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nname: wide\nrevision: 1\nkey: id\nmax_rows: %d\nlabel: {column: churned, positive: \"yes\", negative: \"no\"}\ncolumns:\n", wideRows)
	for c := range wideNumbers {
		fmt.Fprintf(&b, "  x%d: {type: number, min: -8, max: 8, nullable: %t}\n", c, c == 0)
	}
	b.WriteString("  country: {type: category, values: [DE, FR, NL], other: keep}\n  device: {type: category, values: [mobile, desktop], nullable: true}\n")
	c, problems := jobspec.ParseContract([]byte(b.String()))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return c
}

// writeWide writes about so many bytes: a few thousand different rows again and again, each time under other keys.
func writeWide(t testing.TB, path string, size int64) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var rows [][]byte
	for range 5000 {
		var row []byte
		margin := -0.5
		for c := range wideNumbers {
			v := max(-7.9, min(r.NormFloat64(), 7.9))
			if row = append(row, ','); c > 0 || r.IntN(20) > 0 {
				row = strconv.AppendFloat(row, v, 'g', 16, 64)
			}
			margin += v * 0.3 / float64(c+1)
		}
		row = append(row, ","+[]string{"DE", "FR", "NL", "AT"}[r.IntN(4)]+","+[]string{"mobile", "desktop", ""}[r.IntN(3)]...)
		rows = append(rows, append(row, map[bool]string{true: ",yes\n", false: ",no\n"}[r.NormFloat64() < margin]...))
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	w.WriteString("id")
	for c := range wideNumbers {
		fmt.Fprintf(w, ",x%d", c)
	}
	w.WriteString(",country,device,churned\n")
	var key []byte
	for n, written := int64(0), int64(0); written < size; n++ {
		key = strconv.AppendInt(append(key[:0], "customer-"...), n, 10)
		row := rows[n%int64(len(rows))]
		w.Write(key)
		w.Write(row)
		written += int64(len(key) + len(row))
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// wideProgram is of one participant.
func wideProgram(t testing.TB, model map[string]any) *optim.Program {
	t.Helper()
	var features []map[string]any
	for c := range wideNumbers {
		features = append(features, map[string]any{"name": fmt.Sprintf("x%d", c), "kind": "number", "min": -8, "max": 8, "nullable": c == 0, "log1p": false, "standardize": true, "clip": 64, "missing_indicator": c == 0})
	}
	features = append(features,
		map[string]any{"name": "country", "kind": "category", "values": []string{"DE", "FR", "NL"}, "nullable": false, "missing_indicator": false, "min_count": 0},
		map[string]any{"name": "device", "kind": "category", "values": []string{"mobile", "desktop"}, "nullable": true, "missing_indicator": true, "min_count": 0})
	model["type"], model["l2"], model["max_rounds"], model["tolerance"] = "logistic_regression", 1, 20, 1e-9
	doc, err := json.Marshal(map[string]any{"version": 1, "contributors": 1, "bits": 40, "max_rows": wideRows, "features": features, "model": model,
		"evaluate": map[string]any{"holdout": true, "metrics": []string{"auc", "log_loss", "accuracy"}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := optim.ParseProgram(doc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// trained runs FIT, a few TRAIN rounds and EVALUATE.
func trained(t *testing.T, rows *Rows, p *optim.Program, rounds int, log func(what string)) *optim.State {
	t.Helper()
	table, err := rows.Table(jobspec.Holdout{Tenths: 2})
	if err != nil {
		t.Fatal(err)
	}
	work, err := local.New(p, table)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Initial()
	for range 1 + rounds {
		sums, err := work.Sums(s)
		if err != nil {
			t.Fatal(err)
		}
		log(p.Model.Solver + " " + s.Kind().String())
		if s, _, err = p.Apply(s, sums); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// peak is the most memory that this process had, in bytes: heap and mapped pages together.
func peak(t testing.TB) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if os.Getenv("DBG") != "" {
		for _, l := range strings.Split(string(status), "\n") {
			if strings.HasPrefix(l, "Rss") || strings.HasPrefix(l, "VmHWM") {
				fmt.Print(l, " ")
			}
		}
	}
	kb, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// processor is the processor time that this process has had.
func processor(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const (
	memoryVariable = "TRIBUTARY_TEST_MEMORY"
	memoryLimit    = 200 << 20
)

// TestMemoryStaysFlat reads, freezes and trains on files of 0.2 and 1 GB, in a process each: neither has more than 200 MB at any
// time, and the larger file doesn't take more than the smaller one, but for a little.
func TestMemoryStaysFlat(t *testing.T) {
	if file := os.Getenv(memoryVariable); file != "" {
		trainInMemory(t, file)
		return
	}
	switch {
	case runtime.GOOS != "linux":
		t.Skip("memory is measured by /proc/self/status")
	case testing.Short():
		t.Skip("takes a minute")
	}
	var peaks []int64
	for _, size := range []int64{200_000_000, 1_000_000_000} {
		dir := t.TempDir()
		file := filepath.Join(dir, "wide.csv")
		writeWide(t, file, size)
		c := exec.Command(os.Args[0], "-test.run", "^TestMemoryStaysFlat$", "-test.v")
		c.Env = append(os.Environ(), memoryVariable+"="+file)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		t.Logf("%d bytes of CSV:\n%s", size, out)
		_, rest, _ := strings.Cut(string(out), "\npeak ")
		var n int64
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatal(err)
		}
		peaks = append(peaks, n)
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("beside the file: %v, %v", entries, err)
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if peaks[0] > memoryLimit || peaks[1] > memoryLimit {
		t.Errorf("peaks of %d and %d bytes, at most %d are allowed", peaks[0], peaks[1], memoryLimit)
	}
	if peaks[1] > peaks[0]*115/100+8<<20 {
		t.Errorf("five times the rows took %d bytes of memory rather than %d", peaks[1], peaks[0])
	}
}

// trainInMemory is the process that is measured.
func trainInMemory(t *testing.T, file string) {
	start := processor(t)
	log := func(what string) {
		fmt.Printf("%-28s %6.2f s of processor time, peak so far %d MB\n", what, (processor(t) - start).Seconds(), peak(t)>>20)
		start = processor(t)
	}
	b := Binding{Contract: "wide@1", ID: "wide", File: file}
	rows, err := Read(context.Background(), b, wideContract(t), Options{Dir: filepath.Dir(file)})
	if err != nil {
		t.Fatal(err)
	}
	log(fmt.Sprintf("read %d rows", rows.Count()))
	trained(t, rows, wideProgram(t, map[string]any{"solver": "newton"}), 3, log)
	trained(t, rows, wideProgram(t, map[string]any{"solver": "fedavg", "averaging": map[string]any{"epochs": 1, "batch": 32, "optimizer": "sgd", "learning_rate": 0.05, "server_rate": 1, "patience": 0, "seed": "1"}}), 1, log)
	fmt.Printf("peak %d\n", peak(t))
}
