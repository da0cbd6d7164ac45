package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tributary/coordinator/internal/evaluation"
	"tributary/protocol/pb"
)

func (a *app) jobCommand() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List jobs, newest first", Args: takes(), RunE: func(cmd *cobra.Command, _ []string) error { return a.listJobs(cmd.Context()) }}
	show := &cobra.Command{Use: "show JOB", Short: "Show how a job stands", Args: takes("JOB")}
	shown := thresholdFlag(show)
	show.RunE = func(cmd *cobra.Command, args []string) error {
		threshold, err := shown()
		if err != nil {
			return err
		}
		return a.call(cmd.Context(), func(ctx context.Context, o pb.OperatorClient) error {
			j, err := o.GetJob(ctx, &pb.GetJobRequest{Job: args[0]})
			return a.showJob(j, err, threshold)
		})
	}
	var reason string
	cancel := &cobra.Command{Use: "cancel JOB", Short: "End a job; the last verified model stands", Args: takes("JOB")}
	cancel.Flags().StringVar(&reason, "reason", "", "kept in the ledger")
	cancel.RunE = func(cmd *cobra.Command, args []string) error {
		return a.call(cmd.Context(), func(ctx context.Context, o pb.OperatorClient) error {
			j, err := o.CancelJob(ctx, &pb.CancelJobRequest{Job: args[0], Reason: reason})
			return a.showJob(j, err, defaultThreshold)
		})
	}
	return commands("job", "Jobs: validate, forecast, submit, watch, list, show, report, compare, cancel",
		a.validateCommand(), a.forecastCommand(), a.submitCommand(), a.watchCommand(), list, show, a.reportCommand(), a.compareCommand(), cancel)
}

type progress struct {
	Name      string `json:"name"`
	Data      bool   `json:"data"`
	Seat      bool   `json:"seat"`
	Approved  bool   `json:"approved"`
	Uploaded  bool   `json:"uploaded"`
	Opened    bool   `json:"opened"`
	BytesSent uint64 `json:"bytes_sent"`
	Note      string `json:"note,omitempty"`
}

type jobInfo struct {
	Job         string          `json:"job"`
	Name        string          `json:"name"`
	Status      string          `json:"status"`
	Reason      string          `json:"reason,omitempty"`
	Round       uint64          `json:"round"`
	Step        uint32          `json:"step"`
	Kind        string          `json:"kind,omitempty"`
	Phase       string          `json:"phase,omitempty"`
	State       string          `json:"state"`
	Submitted   string          `json:"submitted"`
	SubmittedBy string          `json:"submitted_by"`
	Ended       string          `json:"ended,omitempty"`
	Converged   bool            `json:"converged"`
	Objective   float64         `json:"objective,omitempty"`
	Metrics     json.RawMessage `json:"metrics,omitempty"`

	Evaluation *evaluation.Evaluation `json:"evaluation,omitempty"`

	Private  bool            `json:"private,omitempty"` // then counts and metrics are noisy
	Cohort   uint32          `json:"cohort,omitempty"`
	NMin     uint32          `json:"n_min,omitempty"`
	Roster   uint32          `json:"roster,omitempty"` // contributors to the last opened sum
	Members  []progress      `json:"members,omitempty"`
	Resolved json.RawMessage `json:"resolved,omitempty"`
}

func raw(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// info is a job for people, evaluated at a threshold.
func info(j *pb.JobInfo, threshold float64) jobInfo {
	metrics, scores := evaluation.Split(j.GetMetricsJson())
	out := jobInfo{Job: hex.EncodeToString(j.GetJob()), Name: j.GetName(), Status: j.GetStatus(), Reason: j.GetReason(), Round: j.GetRound(), Step: j.GetStep(),
		Kind: j.GetKind(), Phase: j.GetPhase(), State: hex.EncodeToString(j.GetState()), Submitted: stamp(j.GetSubmittedMs()), SubmittedBy: j.GetSubmittedBy(),
		Ended: stamp(j.GetEndedMs()), Converged: j.GetConverged(), Objective: j.GetObjective(), Metrics: metrics, Evaluation: evaluation.Of(scores, threshold), Resolved: raw(string(j.GetResolvedJson())),
		Private: j.GetPrivate(), Cohort: j.GetCohort(), NMin: j.GetNMin(), Roster: j.GetRoster()}
	for _, m := range j.GetMembers() {
		out.Members = append(out.Members, progress{m.GetName(), m.GetData(), m.GetSeat(), m.GetApproved(), m.GetUploaded(), m.GetOpened(), m.GetBytesSent(), m.GetNote()})
	}
	return out
}

// allJobs reads every page.
func allJobs(ctx context.Context, o pb.OperatorClient) (out []*pb.JobInfo, err error) {
	for page := ""; ; {
		reply, err := o.ListJobs(ctx, &pb.ListRequest{PageToken: page})
		if err != nil {
			return nil, err
		}
		out = append(out, reply.GetJobs()...)
		if page = reply.GetNextPageToken(); page == "" {
			return out, nil
		}
	}
}

func (a *app) listJobs(ctx context.Context) error {
	return a.call(ctx, func(ctx context.Context, o pb.OperatorClient) error {
		jobs, err := allJobs(ctx, o)
		if err != nil {
			return err
		}
		list, rows := []jobInfo{}, [][]string{}
		for _, j := range jobs {
			list = append(list, info(j, defaultThreshold))
			rows = append(rows, []string{short(j.GetJob()), j.GetName(), j.GetStatus(), fmt.Sprint(j.GetRound()), when(j.GetSubmittedMs()), j.GetSubmittedBy()})
		}
		return a.print(map[string]any{"jobs": list}, func(w io.Writer) { table(w, "JOB | NAME | STATUS | ROUND | SUBMITTED | BY", rows) })
	})
}

func (a *app) showJob(j *pb.JobInfo, err error, threshold float64) error {
	if err != nil {
		return err
	}
	document := info(j, threshold)
	return a.print(document, func(w io.Writer) {
		rows := jobRows(j)
		if e := document.Evaluation; e != nil {
			rows = append(rows, e.Rows()...)
		}
		switch q := readQuality(j.GetMetricsJson()); {
		case q.TopK > 0:
			rows = append(rows, q.ranking()...)
		case q.Number && q.HeldOut > 0:
			rows = append(rows, q.errors()...)
		case q.HeldOut > 0:
			rows = append(rows, []string{"log loss", evaluation.Number(q.LogLoss)}, []string{"accuracy", evaluation.Number(q.Accuracy)})
		}
		table(w, "", rows)
		header, members := memberRows(j)
		fmt.Fprintln(w)
		table(w, strings.Join(header, " | "), members)
	})
}

// jobRows are names and values of how a job stands.
func jobRows(j *pb.JobInfo) [][]string {
	rows := [][]string{{"job", hex.EncodeToString(j.GetJob())}, {"name", j.GetName()}, {"status", j.GetStatus()}}
	add := func(name, value string) {
		if value != "" && value != "-" {
			rows = append(rows, []string{name, value})
		}
	}
	add("reason", j.GetReason())
	at := fmt.Sprintf("%d, after %d opened", j.GetRound(), j.GetStep())
	if j.GetKind() != "" {
		at += fmt.Sprintf("; %s, %s", j.GetKind(), j.GetPhase())
	}
	add("round", at)
	if j.GetRoster() > 0 && j.GetPrivate() {
		add("roster", fmt.Sprintf("%d of %d contributed to the last sum, at least %d do", j.GetRoster(), j.GetCohort(), j.GetNMin()))
	}
	if j.GetPrivate() {
		add("privacy", privacy(j.GetResolvedJson())+"; counts and metrics are noisy")
	}
	add("state", hex.EncodeToString(j.GetState()))
	add("submitted", when(j.GetSubmittedMs())+" by "+j.GetSubmittedBy())
	add("ended", when(j.GetEndedMs()))
	if j.GetObjective() != 0 {
		add("objective", objective(j))
	}
	return rows
}

// objective shows a job's, with its unit.
func objective(j *pb.JobInfo) string {
	switch q := readQuality(j.GetMetricsJson()); {
	case q.Number:
		return fmt.Sprintf("%.6f, of half the squared error in the label's deviations", j.GetObjective())
	case q.TopK > 0:
		return fmt.Sprintf("%.6f", j.GetObjective())
	}
	return fmt.Sprintf("%.6f nats", j.GetObjective())
}

// memberRows are how the members stand in a job.
func memberRows(j *pb.JobInfo) (header []string, rows [][]string) {
	header = []string{"MEMBER", "PART", "APPROVED", "UPLOADED", "OPENED", "SENT"}
	if j.GetPrivate() {
		header = append(header, "NOTE")
	}
	for _, m := range j.GetMembers() {
		role := []string{}
		if m.GetData() {
			role = append(role, "data")
		}
		if m.GetSeat() {
			role = append(role, "seat")
		}
		row := []string{m.GetName(), strings.Join(role, "+"), yes(m.GetApproved()), yes(m.GetUploaded()), yes(m.GetOpened()), size(m.GetBytesSent())}
		if j.GetPrivate() {
			row = append(row, m.GetNote())
		}
		rows = append(rows, row)
	}
	return header, rows
}

// privacy says what a resolved private job promises.
func privacy(resolved []byte) string {
	var r struct {
		Private struct{ Unit, Epsilon, Delta string }
	}
	if json.Unmarshal(resolved, &r) != nil || r.Private.Epsilon == "" {
		return "private"
	}
	return fmt.Sprintf("private: ε = %s, δ = %s for each %s", r.Private.Epsilon, r.Private.Delta, r.Private.Unit)
}

// clock shows an event's time of day in the local zone.
func clock(ms int64) string { return time.UnixMilli(ms).Format("15:04:05.000") }
