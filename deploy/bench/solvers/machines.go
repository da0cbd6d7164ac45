package main

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/local"
	"tributary/models/optim"
)

const (
	machineColumns = 20  // categories
	machineValues  = 300 // of each; with "other" 6,020 columns
	machineRate    = 0.01
	machineFew     = 2 // epochs: an epoch's time is what more of them take longer, by each
	machineMany    = 8
)

// machine is a factorization machine of k factors on one-hot categories of a quarter of the rows, by Adagrad: the time of an epoch,
// and the log loss of held-out rows after the same number of epochs.
func machine(k int) func(dir string, rows int) (*task, error) {
	return func(dir string, rows int) (*task, error) {
		table, features := machineRows(rows / 4)
		program := func(epochs int) (*optim.Program, error) {
			return machineProgram(table.Rows, k, epochs, features)
		}
		few, err := program(machineFew)
		if err != nil {
			return nil, err
		}
		many, err := program(machineMany)
		if err != nil {
			return nil, err
		}
		if err := writeLibSVM(dir, few, table); err != nil {
			return nil, err
		}
		return &task{
			title: fmt.Sprintf("Factorization machine, %d factors, %d rows × %d categories of %d values, one-hot, log loss of %d more rows after %d epochs:",
				k, table.Rows*4/5, machineColumns, machineValues, table.Rows/5, machineMany),
			seconds: "an epoch, s", objective: "%.5f",
			ask: map[string]any{"task": "machine", "dir": dir, "rows": table.Rows, "columns": len(few.Pipeline().Columns()), "active": machineColumns,
				"factors": k, "rate": machineRate, "few": machineFew, "many": machineMany},
			ours: func() ([]fit, error) {
				short, err := average(few, table)
				if err != nil {
					return nil, err
				}
				long, err := average(many, table)
				if err != nil {
					return nil, err
				}
				long.Seconds = (long.Seconds - short.Seconds) / (machineMany - machineFew)
				return []fit{long}, nil
			},
		}, nil
	}
}

// machineRows draws labels by each category's value, and by rank-2 products of the values of neighbouring categories. Every fifth row
// is held out.
func machineRows(rows int) (*dataset.Table, []map[string]any) {
	r := rand.New(rand.NewPCG(7, 8))
	var listed []string
	for v := range machineValues {
		listed = append(listed, fmt.Sprint(v))
	}
	var features []map[string]any
	table, margin, last := &dataset.Table{Rows: rows}, make([]float64, rows), make([][2]float64, rows)
	for c := range machineColumns {
		name, weights, factors := fmt.Sprintf("c%d", c), make([]float64, machineValues), make([][2]float64, machineValues)
		for v := range weights {
			weights[v], factors[v] = 0.3*r.NormFloat64(), [2]float64{0.6 * r.NormFloat64(), 0.6 * r.NormFloat64()}
		}
		column := dataset.Column{Name: name, Values: listed, Codes: make([]int32, rows)}
		for i := range column.Codes {
			u := r.Float64()
			code := int(u * u * machineValues) // some are common, most are rare
			column.Codes[i], margin[i] = int32(code), margin[i]+weights[code]
			if f := factors[code]; c%2 == 0 {
				last[i] = f
			} else {
				margin[i] += f[0]*last[i][0] + f[1]*last[i][1]
			}
		}
		table.Columns = append(table.Columns, column)
		features = append(features, map[string]any{"name": name, "kind": "category", "values": listed, "nullable": false, "missing_indicator": false, "min_count": 0})
	}
	for i := range rows {
		table.HeldOut = append(table.HeldOut, i%5 == 0)
	}
	return label(table, margin, r), features
}

func machineProgram(rows, k, epochs int, features []map[string]any) (*optim.Program, error) {
	return program(rows, features, map[string]any{"type": optim.FactorizationMachine, "l2": 0, "solver": optim.FedAvg, "max_rounds": 1, "tolerance": 0, "factors": k,
		"averaging": map[string]any{"epochs": epochs, "batch": 1, "optimizer": optim.Adagrad, "learning_rate": machineRate, "server_rate": 1, "patience": 0, "seed": "3"}})
}

// average is one round of one participant: its seconds are those of the whole round, which scores all rows once, too.
func average(p *optim.Program, table *dataset.Table) (fit, error) {
	start := processor()
	rounds, err := local.New(p, table)
	if err != nil {
		return fit{}, err
	}
	sums, err := rounds.Sums(p.Initial())
	if err != nil {
		return fit{}, err
	}
	s, _, err := p.Apply(p.Initial(), sums)
	if err != nil {
		return fit{}, err
	}
	out := fit{Tool: "tributary adagrad", Prepare: processor() - start, preparable: true, Passes: p.Model.Averaging.Epochs}
	start = processor()
	if sums, err = rounds.Sums(s); err != nil {
		return fit{}, err
	}
	out.Seconds = processor() - start
	if s, _, err = p.Apply(s, sums); err != nil {
		return fit{}, err
	}
	scores, err := local.Score(p, s, table)
	if err != nil {
		return fit{}, err
	}
	held := 0
	for i, q := range scores {
		if table.Held(i) {
			if !table.Label[i] {
				q = 1 - q
			}
			out.Objective -= math.Log(q)
			held++
		}
	}
	out.Objective /= float64(held)
	return out, nil
}

// writeLibSVM writes the encoded rows as xLearn reads them, training and held-out ones apart, and writeRows' files of all of them.
func writeLibSVM(dir string, p *optim.Program, table *dataset.Table) error {
	j, err := prepare(p, table)
	if err != nil {
		return err
	}
	for name, held := range map[string]bool{"train": false, "held": true} {
		if err := libSVM(filepath.Join(dir, name+".svm"), j.design, held); err != nil {
			return err
		}
	}
	return nil
}

func libSVM(path string, d *linear.Design, held bool) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	d.Each(held, func(y linear.Label, columns []int32, values []float64) {
		label := 0
		if y.Positive {
			label = 1
		}
		fmt.Fprint(w, label)
		for i, c := range columns {
			fmt.Fprintf(w, " %d:%g", c, values[i])
		}
		fmt.Fprintln(w)
	})
	return w.Flush()
}
