package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"tributary/protocol/pb"
)

// bar is for terminals: opened rounds of all that there may be, with the phase, who contributed, and the loss.
type bar struct {
	sketched bool // a private job whose quantiles are fitted has a round more
	w        io.Writer
	bar      *progressbar.ProgressBar
	members  []string // who contributed to the round in progress
	loss     string
}

func newBar(w io.Writer) *bar {
	return &bar{w: w, bar: progressbar.NewOptions(1, progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(20), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())}
}

func (b *bar) event(e *pb.Event) {
	total := int(e.GetMaxRounds()) + 2 // and FIT and EVALUATE
	if b.sketched = b.sketched || e.GetKind() == "sketch"; b.sketched {
		total++
	}
	if b.bar.GetMax() != total {
		b.bar.ChangeMax(total)
	}
	switch e.GetPhase() {
	case "plan":
		b.members = nil
	case "upload":
		b.members = append(b.members, e.GetMember())
	case "apply":
		b.members = nil
		if e.GetLoss() != 0 {
			b.loss = fmt.Sprintf(" loss %.4f", e.GetLoss())
		}
		if e.GetKind() == "evaluate" && e.GetMessage() != "" {
			b.aside(e)
		}
		b.bar.Set(min(int(e.GetStep()), total-1))
	case "abort", "dropout", "paused", "resumed":
		b.aside(e)
	case "end":
		b.bar.Finish()
		b.aside(e)
		return
	}
	if e.GetRound() == 0 {
		b.bar.Describe(with(e.GetMember(), e.GetMessage()))
		return
	}
	text := fmt.Sprintf("round %d %s %s", e.GetRound(), e.GetKind(), e.GetPhase())
	if len(b.members) > 0 {
		text += " [" + strings.Join(b.members, " ") + "]"
	}
	b.bar.Describe(text + b.loss)
}

// aside prints a line that stays above the bar.
func (b *bar) aside(e *pb.Event) {
	b.bar.Clear()
	fmt.Fprintf(b.w, "%s  %s%s\n", clock(e.GetAtMs()), sentence(e), b.loss)
}

func (b *bar) away(d time.Duration) {
	b.bar.Describe(fmt.Sprintf("the coordinator is away (%s)", d.Round(time.Second)))
}

func (b *bar) close() { b.bar.Clear() }
