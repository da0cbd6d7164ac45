package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tributary/protocol/pb"
)

const retryEvery = 500 * time.Millisecond

func (a *app) watchCommand() *cobra.Command {
	patience := defaultPatience
	cmd := &cobra.Command{Use: "watch JOB", Short: "Follow a job until it is over", Args: takes("JOB"),
		Long: "Follow a job until it is over: a progress bar on a terminal, a line an event in a pipe, with --output json a JSON document an event.\n" +
			"Exits with 0 when the job completed, 4 when it was aborted or expired, 3 when it was cancelled."}
	cmd.Flags().DurationVar(&patience, "patience", patience, "how long the coordinator may be away")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.watch(cmd.Context(), args[0], patience) }
	return cmd
}

// viewer shows events as they come.
type viewer interface {
	event(*pb.Event)
	away(time.Duration)
	close()
}

// watch follows a job, over restarts of the coordinator.
func (a *app) watch(ctx context.Context, job string, patience time.Duration) error {
	a.lines = true
	return a.connected(ctx, func(_ *login, o pb.OperatorClient) error {
		var view viewer = &lines{w: a.Out}
		switch {
		case a.json:
			view = &jsonLines{a}
		case terminal(a.Out):
			view = newBar(a.Out)
		}
		defer view.close()
		var last *pb.Event
		seen := time.Now()
		for {
			err := follow(ctx, o, job, &last, func(e *pb.Event) {
				seen = time.Now()
				view.event(e)
			})
			switch {
			case err == nil:
				view.close()
				return outcome(last)
			case ctx.Err() != nil:
				return ctx.Err()
			case status.Code(err) != codes.Unavailable || explain(err).exit != exitUnreachable || time.Since(seen) > patience:
				return err
			}
			view.away(time.Since(seen))
			select {
			case <-time.After(retryEvery):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
}

// follow reads one stream to its end: nil when the job is over.
func follow(ctx context.Context, o pb.OperatorClient, job string, last **pb.Event, show func(*pb.Event)) error {
	stream, err := o.WatchJob(ctx, &pb.WatchRequest{Job: job, AfterEvent: (*last).GetN()})
	if err != nil {
		return err
	}
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		*last = e
		show(e)
	}
}

// outcome turns a job's last event into an exit code.
func outcome(e *pb.Event) error {
	switch e.GetStatus() {
	case "completed":
		return nil
	case "cancelled":
		return &failure{exit: exitRefused, Code: "cancelled", Message: "the job was cancelled: " + e.GetMessage()}
	}
	return &failure{exit: exitAborted, Code: e.GetStatus(), Message: "the job " + ended(e.GetStatus()) + ": " + e.GetMessage(),
		Hint: "`tributary job show` tells how it stood; the ledger keeps what was refused."}
}

func ended(status string) string {
	if status == "expired" {
		return "expired"
	}
	return "was " + status
}

type eventLine struct {
	N         uint64          `json:"n"`
	At        string          `json:"at"`
	Round     uint64          `json:"round"`
	Step      uint32          `json:"step"`
	Kind      string          `json:"kind,omitempty"`
	Phase     string          `json:"phase"`
	Member    string          `json:"member,omitempty"`
	Loss      float64         `json:"loss,omitempty"`
	Bytes     uint64          `json:"bytes,omitempty"`
	Message   string          `json:"message,omitempty"`
	Status    string          `json:"status"`
	MaxRounds uint32          `json:"max_rounds,omitempty"`
	Metrics   json.RawMessage `json:"metrics,omitempty"`
}

type jsonLines struct{ a *app }

func (j *jsonLines) event(e *pb.Event) {
	j.a.print(eventLine{e.GetN(), stamp(e.GetAtMs()), e.GetRound(), e.GetStep(), e.GetKind(), e.GetPhase(), e.GetMember(), e.GetLoss(), e.GetBytes(), e.GetMessage(),
		e.GetStatus(), e.GetMaxRounds(), raw(e.GetMetricsJson())}, nil)
}
func (*jsonLines) away(time.Duration) {}
func (*jsonLines) close()             {}

// lines is for pipes.
type lines struct {
	w    io.Writer
	gone bool
}

func (l *lines) event(e *pb.Event) {
	l.gone = false
	fmt.Fprintf(l.w, "%s  %s\n", clock(e.GetAtMs()), sentence(e))
}

func (l *lines) away(time.Duration) {
	if !l.gone {
		fmt.Fprintln(l.w, "the coordinator is away; waiting for it")
	}
	l.gone = true
}

func (*lines) close() {}

// sentence says an event in words.
func sentence(e *pb.Event) string {
	text := ""
	if e.GetRound() > 0 && e.GetPhase() != "end" {
		text = fmt.Sprintf("round %d", e.GetRound())
		if e.GetKind() != "" {
			text += " " + e.GetKind()
		}
		text += ": "
	}
	switch e.GetPhase() {
	case "plan":
		text += "planned"
	case "upload":
		text += fmt.Sprintf("%s contributed %s", e.GetMember(), size(e.GetBytes()))
	case "open":
		if e.GetMember() != "" && e.GetMessage() == "" {
			text += e.GetMember() + " opened"
		} else {
			text += with(e.GetMember(), e.GetMessage())
		}
	case "apply":
		text += "sum opened and applied"
		if e.GetLoss() != 0 {
			text += fmt.Sprintf(", loss %.6f", e.GetLoss())
		}
		if e.GetMessage() != "" {
			text += " (" + e.GetMessage() + ")"
		}
	case "dropout":
		text += e.GetMessage() // which names the member
	case "abort":
		text += "given up: " + e.GetMessage()
	case "end":
		text += e.GetStatus()
		if e.GetMessage() != "" {
			text += ": " + e.GetMessage()
		}
	default:
		text += with(e.GetMember(), e.GetMessage())
		if e.GetPhase() == "paused" {
			text += " (paused)"
		}
	}
	return text
}

func with(member, message string) string {
	switch {
	case member == "":
		return message
	case message == "":
		return member
	}
	return member + " " + message
}
