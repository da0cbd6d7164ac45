package cli

import (
	"bytes"
	"strings"
	"testing"

	"tributary/protocol/pb"
)

func TestEventsAreSaidInWords(t *testing.T) {
	for _, c := range []struct {
		event *pb.Event
		want  string
	}{
		{&pb.Event{Phase: "approve", Member: "alpen", Message: "approved"}, "alpen approved"},
		{&pb.Event{Phase: "plan", Round: 1, Kind: "fit"}, "round 1 fit: planned"},
		{&pb.Event{Phase: "upload", Round: 2, Kind: "train", Member: "alpen", Bytes: 41_234}, "round 2 train: alpen contributed 41.2 kB"},
		{&pb.Event{Phase: "open", Round: 2, Kind: "train", Member: "alpen"}, "round 2 train: alpen opened"},
		{&pb.Event{Phase: "apply", Round: 2, Kind: "train", Loss: 12.5, Message: "half the step"}, "round 2 train: sum opened and applied, loss 12.500000 (half the step)"},
		{&pb.Event{Phase: "paused", Round: 2, Kind: "train", Message: "waiting for alpen"}, "round 2 train: waiting for alpen (paused)"},
		{&pb.Event{Phase: "dropout", Round: 2, Kind: "train", Member: "alpen", Message: "alpen dropped out (budget). Refill it."}, "round 2 train: alpen dropped out (budget). Refill it."},
		{&pb.Event{Phase: "open", Round: 2, Kind: "train", Message: "roster closed without 1, 9 of 10 contribute"}, "round 2 train: roster closed without 1, 9 of 10 contribute"},
		{&pb.Event{Phase: "apply", Round: 14, Kind: "evaluate", Message: "metrics are noisy"}, "round 14 evaluate: sum opened and applied (metrics are noisy)"},
		{&pb.Event{Phase: "abort", Round: 2, Kind: "train", Message: "lost: alpen stopped"}, "round 2 train: given up: lost: alpen stopped"},
		{&pb.Event{Phase: "end", Round: 7, Status: "aborted", Message: "alpen was revoked"}, "aborted: alpen was revoked"},
	} {
		if got := sentence(c.event); got != c.want {
			t.Errorf("%s: %q, want %q", c.event.GetPhase(), got, c.want)
		}
	}
}

func TestOutcomesHaveTheirExitCodes(t *testing.T) {
	for status, want := range map[string]int{"completed": 0, "aborted": exitAborted, "expired": exitAborted, "cancelled": exitRefused} {
		err := outcome(&pb.Event{Status: status, Phase: "end"})
		got := 0
		if err != nil {
			got = explain(err).exit
		}
		if got != want {
			t.Errorf("%s: exit %d, want %d", status, got, want)
		}
	}
}

func TestBarShowsRoundPhaseContributorsAndLoss(t *testing.T) {
	var b bytes.Buffer
	view := newBar(&b)
	for _, e := range []*pb.Event{
		{Phase: "plan", Round: 1, Kind: "fit", MaxRounds: 8},
		{Phase: "apply", Round: 1, Kind: "fit", Step: 1, MaxRounds: 8},
		{Phase: "plan", Round: 2, Kind: "train", Step: 1, MaxRounds: 8},
		{Phase: "apply", Round: 2, Kind: "train", Step: 2, Loss: 99.5, MaxRounds: 8},
		{Phase: "upload", Round: 3, Kind: "train", Step: 2, Member: "alpen", MaxRounds: 8},
		{Phase: "upload", Round: 3, Kind: "train", Step: 2, Member: "baltic", MaxRounds: 8},
	} {
		view.event(e)
	}
	if got := b.String(); !strings.Contains(got, "round 3 train upload [alpen baltic] loss 99.5000") || !strings.Contains(got, "2/10") {
		t.Errorf("%q", got)
	}
	view.event(&pb.Event{Phase: "end", Round: 4, Status: "completed", MaxRounds: 8})
	view.close()
	if got := b.String(); !strings.Contains(got, "completed") {
		t.Errorf("%q", got)
	}
}

func TestModelsSayPlainlyWhetherTheyConverged(t *testing.T) {
	if got := readQuality(`{"converged":false,"train_rounds":3,"max_rounds":3}`).verdict(); !strings.HasPrefix(got, "did not converge in 3 rounds; ") {
		t.Error(got)
	}
	if got := readQuality(`{"converged":false,"train_rounds":6,"max_rounds":15,"number":true}`).verdict(); !strings.HasPrefix(got, "stopped after 6 rounds: ") {
		t.Error(got)
	}
	if got := readQuality(`{"noised":true,"train_rounds":12}`).verdict(); !strings.HasPrefix(got, "12 noisy rounds; ") {
		t.Error(got)
	}
	if got := readQuality(`{"converged":true,"train_rounds":5}`).verdict(); got != "converged in 5 rounds" {
		t.Error(got)
	}
}
