package server

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tributary/protocol/audit"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

const privateYAML = `version: 1
name: churn-private
contract: shop@1
features:
  - {columns: [age], transform: scale}
model: {type: logistic_regression, solver: dp_gradient_descent, max_rounds: ROUNDS}
evaluate: {holdout: 0.2}
privacy: {unit: record, epsilon: "4.0", delta: "1e-5"}
run: {mode: sealed, min_participants: 3, committee: {threshold: 3, of: 3}, round_timeout: TIMEOUT}
`

func privateSpec(timeout string, rounds int) []byte {
	return []byte(strings.NewReplacer("TIMEOUT", timeout, "ROUNDS", fmt.Sprint(rounds)).Replace(privateYAML))
}

// shops is a consortium of four with data and three with seats, whose accounts hold ε = 8, and a private job of ε = 4.
type shops struct {
	*world
	operator pb.OperatorClient
	data     []*node
	seats    []*node
	job      []byte
}

func newShops(t *testing.T, timeout string, rounds int) *shops {
	t.Helper()
	s := &shops{world: newWorld(t)}
	s.operator = s.world.operator("anna")
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 7 {
		role, name := wire.RoleData, fmt.Sprintf("shop-%d", i)
		if i >= 4 {
			role, name = wire.RoleCommittee, fmt.Sprintf("seat-%d", i-3)
		}
		conn, key := s.member(name, role)
		n := &node{t: t, key: key, client: pb.NewParticipantClient(conn)}
		if i >= 4 {
			s.seats = append(s.seats, n)
			continue
		}
		for range 500 {
			x := float64(r.IntN(100))
			n.x, n.y = append(n.x, x), append(n.y, r.Float64() < x/100)
		}
		if err := n.tell(n.opening("8")); err != nil {
			t.Fatal(err)
		}
		s.data = append(s.data, n)
	}
	if _, err := s.operator.ProposeCharter(t.Context(), &pb.ProposeRequest{F: 1}); err != nil {
		t.Fatal(err)
	}
	reply, err := s.operator.SubmitJob(t.Context(), &pb.JobRequest{SpecYaml: privateSpec(timeout, rounds),
		ContractYaml: []byte(contractYAML), SubmitToken: "private-one"})
	if err != nil || len(reply.GetProblems()) > 0 {
		t.Fatalf("%v, %v", reply.GetProblems(), err)
	}
	s.job = reply.GetJob()
	return s
}

func (s *shops) info() *pb.JobInfo { return jobInfo(s.t, s.operator, s.job) }

func (s *shops) over() bool {
	status := s.info().GetStatus()
	return status != "proposed" && status != "running"
}

// all are those that take turns, without the silent.
func (s *shops) all(silent ...*node) (out []*node) {
	for _, n := range append(append([]*node{}, s.data...), s.seats...) {
		if len(silent) == 0 || n != silent[0] {
			out = append(out, n)
		}
	}
	return out
}

// run lets all but the silent take turns until done, and the round timeout of an hour pass whenever only the silent are waited for.
func (s *shops) run(silent *node, done func() bool) {
	s.t.Helper()
	runUntil(s.t, s.all(silent), func() bool {
		if done() {
			return true
		}
		waits := false
		info := s.info()
		for _, m := range info.GetMembers() {
			here := m.GetApproved()
			if info.GetStatus() == "running" {
				here = !m.GetData() || m.GetUploaded() || info.GetPhase() != "upload" || m.GetNote() != ""
			}
			if name := s.name(silent); here == (m.GetName() == name) {
				return false // it isn't the silent one alone
			}
			waits = waits || !here
		}
		if waits {
			s.later.Add(int64(time.Hour + time.Second))
			if _, err := s.operator.ProposeCharter(s.t.Context(), &pb.ProposeRequest{F: 1}); err != nil { // the same again: the clock looks anew
				s.t.Fatal(err)
			}
		}
		return false
	})
}

func (s *shops) name(n *node) string {
	for i := range s.data {
		if s.data[i] == n {
			return fmt.Sprintf("shop-%d", i)
		}
	}
	return ""
}

func (s *shops) progress(name string) *pb.MemberProgress {
	for _, m := range s.info().GetMembers() {
		if m.GetName() == name {
			return m
		}
	}
	s.t.Fatalf("no member %s", name)
	return nil
}

// entries reads the ledger, has it audited, and counts.
func (s *shops) entries() map[ledger.Kind]int {
	s.t.Helper()
	stream, err := s.operator.ExportLedger(s.t.Context(), &pb.ExportLedgerRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	var text strings.Builder
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.t.Fatal(err)
		}
		text.Write(chunk.GetData())
	}
	x, err := ledger.ReadExport(strings.NewReader(text.String()))
	if err != nil {
		s.t.Fatal(err)
	}
	if book := audit.Verify(x, audit.Options{Coordinator: s.key.Public()}); !book.Verified() {
		s.t.Errorf("the ledger doesn't verify: %v", book.Findings)
	}
	count := map[ledger.Kind]int{}
	for _, e := range x.Entries {
		count[e.Kind]++
	}
	return count
}

func (s *shops) events() (out []*pb.Event) {
	s.t.Helper()
	stream, err := s.operator.WatchJob(s.t.Context(), &pb.WatchRequest{Job: fmt.Sprintf("%x", s.job)})
	if err != nil {
		s.t.Fatal(err)
	}
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, e)
	}
}

func said(events []*pb.Event, phase, text string) bool {
	for _, e := range events {
		if e.GetPhase() == phase && strings.Contains(e.GetMessage(), text) {
			return true
		}
	}
	return false
}

func TestPrivateJobRunsToItsEndOverRestarts(t *testing.T) {
	s := newShops(t, "2m", 2)
	turns := 0
	runUntil(t, s.all(), func() bool {
		if turns++; turns%19 == 0 {
			s.restart()
		}
		return s.over()
	})
	info := s.info()
	if info.GetStatus() != "completed" || info.GetStep() != 4 || !info.GetPrivate() || info.GetRoster() != 4 || info.GetNMin() != 3 || info.GetCohort() != 4 {
		t.Fatalf("%v", info)
	}
	if m := info.GetMetricsJson(); info.GetObjective() != 0 || strings.Contains(m, "objective") || strings.Contains(m, "train_log_loss") ||
		!strings.Contains(m, `"noised":true`) || !strings.Contains(m, `"auc"`) || !strings.Contains(m, "metrics are noisy") {
		t.Errorf("objective %g, metrics %s", info.GetObjective(), m)
	}
	s.scoresAreOfTheJobAlone(t, info)
	for _, n := range s.all() {
		for n.turn() {
		}
		if !n.machine.Record().Finished {
			t.Error("a node doesn't know that the job is over")
		}
	}
	count := s.entries()
	for kind, want := range map[ledger.Kind]int{ledger.Account: 4, ledger.Charge: 16, ledger.Roster: 4, ledger.Release: 4, ledger.Approval: 7, ledger.Finish: 1, ledger.Abort: 0} {
		if count[kind] != want {
			t.Errorf("%d %s entries, want %d", count[kind], kind, want)
		}
	}
	for _, e := range s.events() {
		if e.GetLoss() != 0 {
			t.Errorf("event %d tells a loss, which nobody knows", e.GetN())
		}
	}
	if !said(s.events(), "open", "roster closed, 4 of 4 contribute") {
		t.Error("the roster's size isn't told")
	}
	if x, err := s.operator.ExportModel(t.Context(), &pb.ExportRequest{Job: "churn-private"}); err != nil || !strings.Contains(string(x.GetData()), `"private": true`) {
		t.Errorf("%s, %v", x.GetData(), err)
	}
}

func TestSilentMemberIsLeftOutOfClosingAndOfRosters(t *testing.T) {
	s := newShops(t, "1h", 2)
	s.run(s.data[3], s.over)
	if info := s.info(); info.GetStatus() != "completed" || info.GetRoster() != 3 || s.progress("shop-3").GetNote() != "didn't approve in time" {
		t.Fatalf("%s: %s, %v", info.GetStatus(), info.GetReason(), s.progress("shop-3"))
	}
	if !said(s.events(), "approve", "closed without 1") || s.entries()[ledger.Charge] != 12 {
		t.Errorf("%v", s.events())
	}

	s = newShops(t, "1h", 2)
	runUntil(t, s.all(), func() bool { return s.info().GetRound() == 2 })
	s.restart()
	s.run(s.data[2], s.over)
	if info := s.info(); info.GetStatus() != "completed" || info.GetRoster() != 3 || !s.progress("shop-2").GetApproved() {
		t.Fatalf("%s: %s", info.GetStatus(), info.GetReason())
	}
	if !said(s.events(), "open", "roster closed without 1, 3 of 4 contribute") {
		t.Errorf("%v", s.events())
	}
	s.entries()
}

func (n *node) refuse(rule round.Rule, phase string, ctx wire.Digest) {
	n.t.Helper()
	if err := n.tell(&wire.Refusal{Job: n.job, Ctx: ctx, Phase: phase, Rule: string(rule), Hint: "The account is exhausted."}); err != nil {
		n.t.Fatal(err)
	}
}

func TestRefusalBeforeClosingDropsTheMember(t *testing.T) {
	s := newShops(t, "2m", 2)
	poor := s.data[0]
	poor.job = wire.Digest(s.job)
	poor.refuse(round.RuleBudget, "approve", wire.Digest{})
	s.restart()
	runUntil(t, s.all(poor), s.over)
	if info := s.info(); info.GetStatus() != "completed" || s.progress("shop-0").GetNote() != "dropped out (budget)" {
		t.Fatalf("%s: %s", info.GetStatus(), info.GetReason())
	}
	if count := s.entries(); count[ledger.Refusal] != 1 || count[ledger.Charge] != 12 {
		t.Errorf("%v", count)
	}
	if !said(s.events(), "dropout", "dropped out (budget)") {
		t.Errorf("%v", s.events())
	}
}

func TestExhaustedInMidRunGoesOnWithNMinAndAbortsBelow(t *testing.T) {
	s := newShops(t, "2m", 8)
	drained := func(n *node) { // what another job would have spent meanwhile
		for {
			if _, sum, _ := n.resolved.Noise(uint8(wire.Train)); !n.spend(sum) {
				return
			}
		}
	}
	runUntil(t, s.all(), func() bool { return s.info().GetRound() == 2 })
	drained(s.data[0])
	runUntil(t, s.all(), func() bool { return s.progress("shop-0").GetNote() != "" })
	left := s.info().GetStep()
	runUntil(t, s.all(), func() bool { return s.info().GetStep() > left || s.over() })
	if info := s.info(); info.GetStatus() != "running" || info.GetRoster() != 3 || s.progress("shop-0").GetNote() != "dropped out (budget)" {
		t.Fatalf("%s: %s, %v", info.GetStatus(), info.GetReason(), s.progress("shop-0"))
	}
	s.restart()
	drained(s.data[1])
	runUntil(t, s.all(), s.over)
	if info := s.info(); info.GetStatus() != "aborted" || !strings.Contains(info.GetReason(), "shop-1 dropped out (budget)") || !strings.Contains(info.GetReason(), "at least 3") {
		t.Fatalf("%s: %s", info.GetStatus(), info.GetReason())
	}
	s.entries()
}
