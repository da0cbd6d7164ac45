package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"

	"tributary/coordinator/internal/evaluation"
	"tributary/protocol/pb"
)

// Table is a table with a header.
type Table struct {
	Header []string
	Rows   [][]string
}

// Round is an opened sum.
type Round struct {
	Round uint64
	Step  uint32
	Kind  string
	At    string   // by the coordinator's clock
	Loss  *float64 // per training row, at the coefficients that the round began with, in the report's LossUnit; nil: unknown
	Note  string
}

// Report is a run for people. Its texts are the caller's.
type Report struct {
	Name, Job  string
	Facts      [][]string // names and values
	Quality    [][]string
	Members    Table
	Rounds     []Round
	LossUnit   string                 // "nats", or of a label that is a number "half its squared deviations"
	Bins       []evaluation.Bin       // of a label that is a number
	Evaluation *evaluation.Evaluation // nil: nothing was measured
	Charts     []Named
	Spec       string // the resolved job, as indented JSON
}

// Input is what a report is made of.
type Input struct {
	Job       *pb.JobInfo
	Events    []*pb.Event
	Threshold float64
	At        func(ms int64) string // shows a time
}

// New derives the rounds, the evaluation and the charts. The caller fills in facts, quality and members.
func New(in Input) *Report {
	r := &Report{Name: in.Job.GetName(), Job: fmt.Sprintf("%x", in.Job.GetJob()), Rounds: rounds(in)}
	r.LossUnit, r.Bins = lossUnit(in.Job.GetMetricsJson()), evaluation.Bins(in.Job.GetMetricsJson())
	if loss := lossChart(r.Rounds, r.LossUnit); loss != nil {
		r.Charts = append(r.Charts, Named{"loss", loss})
	}
	_, scores := evaluation.Split(in.Job.GetMetricsJson())
	r.Evaluation = evaluation.Of(scores, in.Threshold)
	r.Charts = append(r.Charts, curves(scores, r.Evaluation)...)
	if bins := binsChart(r.Bins); bins != nil {
		r.Charts = append(r.Charts, Named{"calibration", bins})
	}
	var spec bytes.Buffer
	if json.Indent(&spec, in.Job.GetResolvedJson(), "", "  ") == nil {
		r.Spec = spec.String()
	}
	return r
}

// rounds are those whose sum was opened and applied.
func rounds(in Input) (out []Round) {
	for _, e := range in.Events {
		if e.GetPhase() != "apply" {
			continue
		}
		r := Round{Round: e.GetRound(), Step: e.GetStep(), Kind: e.GetKind(), At: in.At(e.GetAtMs()), Note: e.GetMessage()}
		var told struct {
			Loss *float64 `json:"train_log_loss"`
			Half *float64 `json:"train_loss"` // of a label that is a number
		}
		if json.Unmarshal([]byte(e.GetMetricsJson()), &told) == nil {
			if r.Loss = told.Loss; r.Loss == nil {
				r.Loss = told.Half
			}
		}
		out = append(out, r)
	}
	return out
}

//go:embed report.html
var page string

// WriteHTML writes the report as one page that needs nothing else: no script, and no address outside it.
func (r *Report) WriteHTML(out io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"number":      evaluation.Number,
		"binHeader":   evaluation.BinHeader,
		"groupHeader": evaluation.GroupHeader,
		// A chart escapes its own texts.
		"svg":     func(c Named) template.HTML { return template.HTML(c.Chart.SVG()) },
		"percent": func(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) },
		"whole":   func(rows float64) string { return fmt.Sprintf("%.0f", rows) },
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(out, r)
}
