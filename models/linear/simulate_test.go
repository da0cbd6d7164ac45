package linear_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// quantise does what the codec does: each value to an integer lane, rounded half to even. A value out of lane is refused.
func quantise(t testing.TB, p *optim.Program, kind optim.RoundKind, values [][]float64) [][]int64 {
	t.Helper()
	layout := p.Layout(kind)
	if len(values) != len(layout) {
		t.Fatalf("%s: %d segments, layout has %d", kind, len(values), len(layout))
	}
	limit := int64(1)<<(p.Bits-1) - 1
	out := make([][]int64, len(values))
	for i, s := range layout {
		if len(values[i]) != s.Length {
			t.Fatalf("%s: segment %q has %d values, want %d", kind, s.Name, len(values[i]), s.Length)
		}
		out[i] = make([]int64, s.Length)
		for j, v := range values[i] {
			lane := math.RoundToEven(v * float64(s.ScaleNum) / float64(s.ScaleDen))
			if !(math.Abs(lane) <= float64(limit)) {
				t.Fatalf("%s: segment %q, value %d (%g) is out of its lane", kind, s.Name, j, v)
			}
			out[i][j] = int64(lane)
		}
	}
	return out
}

func dequantise(p *optim.Program, kind optim.RoundKind, sum [][]int64) [][]float64 {
	out := make([][]float64, len(sum))
	for i, s := range p.Layout(kind) {
		out[i] = make([]float64, len(sum[i]))
		for j, v := range sum[i] {
			out[i][j] = float64(v) * float64(s.ScaleDen) / float64(s.ScaleNum)
		}
	}
	return out
}

// round opens one sum over the parties and applies it.
func round(t testing.TB, p *optim.Program, s *optim.State, parties []*dataset.Table, designs []*linear.Design) (*optim.State, optim.Report, error) {
	t.Helper()
	var total [][]int64
	for k, table := range parties {
		var values [][]float64
		var err error
		if s.Kind() == optim.Fit {
			values, err = linear.Sums(p, s, table)
		} else {
			if designs[k] == nil {
				if designs[k], err = linear.Prepare(p, s, table); err != nil {
					t.Fatal(err)
				}
			}
			values, err = designs[k].Sums(s)
		}
		if err != nil {
			t.Fatalf("party %d, %s: %v", k, s.Kind(), err)
		}
		lanes := quantise(t, p, s.Kind(), values)
		if total == nil {
			total = lanes
			continue
		}
		for i := range lanes {
			for j := range lanes[i] {
				total[i][j] += lanes[i][j]
			}
		}
	}
	return p.Apply(s, dequantise(p, s.Kind(), total))
}

// train runs a job to its end, decoding every state as participants do.
func train(t testing.TB, p *optim.Program, parties []*dataset.Table) (*optim.State, []optim.Report) {
	t.Helper()
	s := p.Initial()
	designs := make([]*linear.Design, len(parties))
	var reports []optim.Report
	for s.Kind() != optim.Done {
		next, report, err := round(t, p, s, parties, designs)
		if err != nil {
			t.Fatalf("%s at step %d: %v", s.Kind(), s.Step(), err)
		}
		if next.Step() != s.Step()+1 || report.Step != next.Step() || report.Kind != s.Kind() {
			t.Fatalf("step %d led to %d, report %+v", s.Step(), next.Step(), report)
		}
		if report.Objective < 0 || report.LossPerRow < 0 {
			t.Fatalf("negative objective: %+v", report)
		}
		encoded := next.Encode()
		if s, err = p.DecodeState(encoded); err != nil {
			t.Fatalf("a state of Apply is refused: %v", err)
		}
		if string(s.Encode()) != string(encoded) {
			t.Fatal("a decoded state encodes differently")
		}
		reports = append(reports, report)
	}
	return s, reports
}

// feature is a program's feature with the defaults of a resolved job.
type feature map[string]any

func number(name string, lo, hi float64) feature {
	return feature{"name": name, "kind": "number", "min": lo, "max": hi, "nullable": false, "log1p": false, "standardize": true, "clip": 64.0, "missing_indicator": false}
}

func category(name string, minCount int, values ...string) feature {
	return feature{"name": name, "kind": "category", "values": values, "nullable": false, "missing_indicator": false, "min_count": minCount}
}

func (f feature) with(key string, value any) feature {
	f[key] = value
	return f
}

// job is a resolved program before it is parsed.
type job struct {
	contributors, bits, maxRows, maxRounds int
	features                               []feature
	l1, l2, tolerance                      float64
	holdout                                bool
	solver                                 string         // empty: newton
	weighting                              map[string]any // nil: none
	patience                               int
	standardErrors                         bool
	groups                                 []map[string]any
	minGroup                               int
	target                                 []float64 // range of a label that is a number; nil: yes or no
}

func (j job) program(t testing.TB) *optim.Program {
	t.Helper()
	model := map[string]any{"type": "logistic_regression", "l2": j.l2, "solver": "newton", "max_rounds": j.maxRounds, "tolerance": j.tolerance}
	if j.solver != "" {
		model["solver"] = j.solver
	}
	if j.l1 > 0 {
		model["l1"] = j.l1
	}
	if j.patience > 0 {
		model["patience"] = j.patience
	}
	if j.standardErrors {
		model["standard_errors"] = true
	}
	evaluate := map[string]any{"holdout": j.holdout, "metrics": []string{"auc", "log_loss", "accuracy"}}
	if j.groups != nil {
		evaluate["groups"], evaluate["min_count"] = j.groups, j.minGroup
	}
	document := map[string]any{
		"version": 1, "contributors": j.contributors, "bits": j.bits, "max_rows": j.maxRows, "features": j.features,
		"model":    model,
		"evaluate": evaluate,
	}
	if j.target != nil {
		model["type"], evaluate["metrics"] = "linear_regression", []string{"rmse", "mae", "r2", "calibration"}
		document["label"] = map[string]float64{"min": j.target[0], "max": j.target[1]}
	}
	if j.weighting != nil {
		document["weighting"] = j.weighting
	}
	doc, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	p, err := optim.ParseProgram(doc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// split deals a table's rows to n parties in turn.
func split(table *dataset.Table, n int) []*dataset.Table {
	out := make([]*dataset.Table, n)
	for k := range out {
		var rows []int
		for i := k; i < table.Rows; i += n {
			rows = append(rows, i)
		}
		out[k] = pick(table, rows)
	}
	return out
}

func pick(table *dataset.Table, rows []int) *dataset.Table {
	out := &dataset.Table{Rows: len(rows), HeldOut: []bool{}, Classes: table.Classes}
	for _, i := range rows {
		if table.Class != nil {
			out.Class = append(out.Class, table.Class[i])
			out.HeldOut = append(out.HeldOut, table.Held(i))
			continue
		}
		if table.Target != nil {
			out.Target = append(out.Target, table.Target[i])
		} else {
			out.Label = append(out.Label, table.Label[i])
		}
		out.HeldOut = append(out.HeldOut, table.Held(i))
	}
	for _, c := range table.Columns {
		d := dataset.Column{Name: c.Name, Values: c.Values, Buckets: c.Buckets}
		if c.Numbers != nil {
			d.Numbers = []float64{}
		} else {
			d.Codes = []int32{}
		}
		for _, i := range rows {
			if c.Numbers != nil {
				d.Numbers = append(d.Numbers, c.Numbers[i])
			} else {
				d.Codes = append(d.Codes, c.Codes[i])
			}
		}
		out.Columns = append(out.Columns, d)
	}
	return out
}

func count(reports []optim.Report, kind optim.RoundKind) int {
	n := 0
	for _, r := range reports {
		if r.Kind == kind {
			n++
		}
	}
	return n
}

func relative(a, b float64) float64 { return math.Abs(a-b) / math.Abs(b) }

func describe(r optim.Report) string {
	return fmt.Sprintf("%s step %d: objective %.9f, loss %.6f, decrement %.3g, damped %t, converged %t %s", r.Kind, r.Step, r.Objective, r.LossPerRow, r.Decrement, r.Damped, r.Converged, r.Note)
}
