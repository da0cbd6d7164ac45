package cli

import (
	"encoding/hex"
	"fmt"
	"io"

	"tributary/coordinator/internal/evaluation"
	"tributary/protocol/pb"
)

// exported is what model show needs of an exported model.
type exported struct {
	Type       string    `json:"type"`
	L1         float64   `json:"l1"`
	L2         float64   `json:"l2"`
	Intercept  float64   `json:"intercept"`
	Classes    []string  `json:"classes"`
	Intercepts []float64 `json:"intercepts"` // by class
	Test       *wald     `json:"intercept_test"`
	Tests      []*wald   `json:"intercept_tests"` // by class
	TestNote   string    `json:"tests"`
	Columns    []struct {
		Name        string    `json:"name"`
		Folded      bool      `json:"folded"`
		Coefficient float64   `json:"coefficient"`
		ByClass     []float64 `json:"coefficients"`
		Test        *wald     `json:"test"`
		Tests       []*wald   `json:"tests"` // by class
		Number      *struct {
			Mean float64 `json:"mean"`
			SD   float64 `json:"sd"`
			clamped
		} `json:"number"`
		Feature  string   `json:"feature"`
		Role     string   `json:"role"`
		Value    string   `json:"value"`
		Nullable bool     `json:"nullable"`
		Buckets  *buckets `json:"buckets"`
		Bucket   *bucket  `json:"bucket"`

		Date  *struct{} `json:"date"`  // of a part of a date
		Range *struct{} `json:"range"` // of a number in buckets
	} `json:"columns"`
	Metrics struct {
		Confusion [][]int64 `json:"confusion"`
	} `json:"metrics"`
	recommender
}

// wald is the test of one coefficient, where there is one.
type wald struct {
	StandardError float64 `json:"standard_error"`
	Z             float64 `json:"z"`
	P             float64 `json:"p_value"`
}

func (t *wald) cells() []string {
	if t == nil {
		return []string{"", "", ""}
	}
	return []string{fmt.Sprintf("%.4g", t.StandardError), fmt.Sprintf("%.3f", t.Z), fmt.Sprintf("%.3g", t.P)}
}

func (m *exported) describe() string {
	if m.L1 > 0 {
		return fmt.Sprintf("%s, l1 %g, l2 %g", m.Type, m.L1, m.L2)
	}
	return fmt.Sprintf("%s, l2 %g", m.Type, m.L2)
}

func (m *exported) show(w io.Writer, j *pb.JobInfo, e *evaluation.Evaluation) {
	if m.Type == "matrix_factorization" {
		m.recommender.show(w, m, readQuality(j.GetMetricsJson()), j)
		return
	}
	rows := [][]string{{"model", m.describe()}, {"job", hex.EncodeToString(j.GetJob())}, {"name", j.GetName()}, {"state", hex.EncodeToString(j.GetState())}}
	rows = append(rows, qualityRows(j, e)...)
	if m.TestNote != "" {
		rows = append(rows, []string{"errors and p values", m.TestNote})
	}
	table(w, "", rows)
	fmt.Fprintln(w)
	if e != nil {
		e.WriteTables(w)
		fmt.Fprintln(w)
	}
	evaluation.WriteBins(w, evaluation.Bins(j.GetMetricsJson()))
	if m.Classes != nil {
		m.showClasses(w)
		return
	}
	columns := [][]string{m.row("(intercept)", m.Intercept, m.Test)}
	var rest []string
	for _, c := range m.Columns {
		if c.Buckets != nil {
			shown, more := m.largest(c.Buckets, c.Feature)
			for _, b := range shown {
				columns = append(columns, m.row(b.name, b.values[0], b.test()))
			}
			rest = append(rest, more)
			continue
		}
		row := m.row(c.Name, c.Coefficient, c.Test)
		last := len(row) - 1
		if c.Number != nil {
			row[last-2], row[last-1] = fmt.Sprintf("%.6g", c.Number.Mean), fmt.Sprintf("%.6g", c.Number.SD)
			row[last] = c.Number.note()
		}
		if c.Bucket != nil {
			row[last] = c.Bucket.note()
		}
		if c.Folded {
			row[last] = "too rare: folded into other"
		}
		columns = append(columns, row)
	}
	head := "COLUMN | COEFFICIENT | "
	if m.TestNote != "" {
		head += "STD ERROR | Z | P | "
	}
	if m.Private {
		head += "CENTRE | REACH | "
		rest = append(rest, "A number (its log1p, where the job asks for that) counts as (x-CENTRE)/REACH, from -1 to 1.")
	} else {
		head += "MEAN | SD | "
	}
	table(w, head, columns)
	note(w, rest)
}

// note prints what isn't in a table.
func note(w io.Writer, lines []string) {
	for _, line := range lines {
		if line != "" {
			fmt.Fprintln(w, line)
		}
	}
}

// qualityRows are names and values of a model's quality.
func qualityRows(j *pb.JobInfo, e *evaluation.Evaluation) (rows [][]string) {
	q := readQuality(j.GetMetricsJson())
	if j.GetStatus() == "completed" {
		rows = append(rows, []string{"solver", q.verdict()})
	} else {
		rows = append(rows, []string{"solver", "the job is " + j.GetStatus() + ": this is the model so far, not evaluated"})
	}
	if q.Noised {
		rows = append(rows, []string{"privacy", privacy(j.GetResolvedJson())}, []string{"training rows", fmt.Sprintf("about %d", q.Rows)}, []string{"note", "counts and metrics are noisy; the objective isn't known"})
	} else {
		rows = append(rows, []string{"training rows", fmt.Sprint(q.Rows)}, []string{"objective", objective(j)})
	}
	if q.TrainRMSE != nil {
		rows = append(rows, []string{"training RMSE", evaluation.Number(q.TrainRMSE)})
	}
	switch {
	case q.TopK > 0:
		rows = append(rows, q.ranking()...)
	case q.HeldOut > 0 && q.Number:
		rows = append(append(rows, []string{"held-out rows", fmt.Sprint(q.HeldOut)}), q.errors()...)
		if q.Noised && q.Note != "" {
			rows = append(rows, []string{"noise", q.Note})
		}
	case q.HeldOut > 0:
		rows = append(rows, []string{"held-out rows", fmt.Sprint(q.HeldOut)})
		if e == nil && q.AUC != nil {
			rows = append(rows, []string{"AUC", evaluation.Number(q.AUC)})
		}
		rows = append(rows, []string{"log loss", evaluation.Number(q.LogLoss)}, []string{"accuracy", evaluation.Number(q.Accuracy)})
	}
	if e != nil {
		rows = append(rows, e.Rows()...)
	}
	if q.Frozen > 0 {
		rows = append(rows, []string{"note", fmt.Sprintf("%d columns are collinear or separated and were left at 0; raise l2 to use them", q.Frozen)})
	}
	return rows
}

// errors are a number's, in its unit.
func (q quality) errors() [][]string {
	return [][]string{{"RMSE", evaluation.Number(q.RMSE)}, {"MAE", evaluation.Number(q.MAE)}, {"R²", evaluation.Number(q.R2)}}
}

// row has places for mean, deviation and a remark at its end.
func (m *exported) row(name string, coefficient float64, test *wald) []string {
	out := []string{name, fmt.Sprintf("%.9g", coefficient)}
	if m.TestNote != "" {
		out = append(out, test.cells()...)
	}
	return append(out, "", "", "")
}
