package round

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"tributary/crypto/dp/accountant"
	"tributary/crypto/identity"
	"tributary/crypto/secagg"
	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// toy is a model whose state adds up the means of what is summed: FIT once, TRAIN twice, EVALUATE once.
type toy struct{}

type toyState struct {
	At   uint32
	Kind uint8
	W    float64
}

func (toy) InitialState() []byte { return toyBytes(toyState{Kind: 1}) }
func toyBytes(s toyState) []byte { b, _ := json.Marshal(s); return b }

func (toy) Inspect(state []byte) (uint8, uint32, error) {
	var s toyState
	err := json.Unmarshal(state, &s)
	return s.Kind, s.At, err
}

func (toy) Step(state []byte, sum [][]float64) ([]byte, error) {
	var s toyState
	if err := json.Unmarshal(state, &s); err != nil {
		return nil, err
	}
	if sum[0][0] == 0 {
		return nil, errors.New("the cohort has no rows: check the contract's row filter")
	}
	s.W += sum[1][0] / sum[0][0]
	s.At++
	s.Kind = []uint8{1, 2, 2, 3, Done}[s.At]
	return toyBytes(s), nil
}

func (toy) Segments(uint8) iter.Seq2[string, [3]uint64] {
	return func(yield func(string, [3]uint64) bool) {
		_ = yield("rows", [3]uint64{1, 1, 1}) && yield("values", [3]uint64{2, 1000, 1})
	}
}

func (toy) Limit(kind uint8) int { return map[uint8]int{1: 1, 2: 2, 3: 1}[kind] }

// node is one participant: its machine, what it has stored, and what it sees.
type node struct {
	name    string
	key     *identity.Key
	seatKey *secagg.SeatKey
	member  *Member
	stored  *Record
	sealed  *secagg.Upload
	seen    ledger.Head
	rows    float64
	holds   Holds
	down    bool
	done    bool
	account *accountant.Account // of its source, for private jobs
	charge  *wire.Envelope      // of this round
	// lie, if set, may change an envelope before it is sent.
	lie func(*node, wire.Envelope) wire.Envelope
	// spoil, if set, may change the sealed upload before it is stored.
	spoil func(*secagg.Upload)
}

// world is one consortium in one process: every message passes through its hands, in a fixed order.
type world struct {
	t        *testing.T
	charter  *wire.Charter
	key      *identity.Key
	terms    Terms
	seats    int
	proposal *Proposal
	coord    *Coordinator
	nodes    []*node
	log      *ledger.Memory
	ms       uint64
	trace    strings.Builder
	// the coordinator's store
	job       []wire.Envelope
	rounds    map[uint64][]wire.Envelope
	payloads  map[wire.Digest][]byte
	shares    map[wire.Digest][][]byte // by upload digest
	releaseAt map[wire.Digest]int64
	opens     int
	// before, if set, is called before each task is handed out.
	before func(n *node, phase TaskPhase) bool
	lose   bool // openings that were asked for: the coordinator stopped
}

func newWorld(t *testing.T) *world { return newWorldOn(t, Terms{}, 4) }

// newWorldOn has four members with data, seats of which are on the committee.
func newWorldOn(t *testing.T, terms Terms, seats int) *world {
	t.Helper()
	w := &world{t: t, log: &ledger.Memory{}, ms: 1_000, rounds: map[uint64][]wire.Envelope{}, payloads: map[wire.Digest][]byte{},
		shares: map[wire.Digest][][]byte{}, releaseAt: map[wire.Digest]int64{}, terms: terms, seats: seats}
	w.key = testKey(100)
	w.charter = &wire.Charter{Consortium: "shops", Version: 1, F: 1, Organisation: "Hub", Coordinator: w.key.Public(), LogOrigin: "shops/log"}
	for i, name := range []string{"alpen", "baltic", "coast", "delta"} {
		n := &node{name: name, key: testKey(byte(i + 1)), rows: float64(10 * (i + 1))}
		n.seatKey, _ = secagg.GenerateSeatKey()
		w.nodes = append(w.nodes, n)
	}
	// Charters are sorted by key; naming the nodes in that order keeps transcripts readable.
	slices.SortFunc(w.nodes, func(a, b *node) int { return a.key.Public().Compare(b.key.Public()) })
	for i, n := range w.nodes {
		n.name, n.rows = []string{"alpen", "baltic", "coast", "delta"}[i], float64(10*(i+1))
		w.charter.Members = append(w.charter.Members, wire.CharterMember{Card: wire.NewCard(n.key, n.name, n.name+" AG"), Role: wire.RoleBoth})
	}
	w.entry(ledger.Charter, wire.Encode(w.charter))
	e := wire.Sign(w.key, w.manifest())
	p, err := OpenManifest(w.charter, toy{}, w.terms, &e)
	if err != nil {
		t.Fatal(err)
	}
	w.proposal, w.coord = p, NewCoordinator(w.key, p, w.ms)
	return w
}

func testKey(b byte) *identity.Key { k, _ := identity.FromSeed(bytes.Repeat([]byte{b}, 32)); return k }

func (w *world) manifest() *wire.Manifest {
	var cohort []wire.Member
	for _, n := range w.nodes {
		cohort = append(cohort, n.key.Public())
	}
	m, err := NewManifest(w.charter, toy{}, w.terms, Draft{Cohort: cohort, Seats: cohort[:w.seats], Threshold: min(3, w.seats), Bits: 20, ExpiresMs: 1_000_000_000, RoundMs: 60_000})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) entry(kind ledger.Kind, object []byte) int64 {
	index, err := ledger.Append(w.log, ledger.Entry{Kind: kind, AtMs: w.ms, Object: object})
	if err != nil {
		w.t.Fatal(err)
	}
	return index
}

func (w *world) now() Now {
	head, err := ledger.CurrentHead(w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	return Now{w.ms, head}
}

func (w *world) say(format string, args ...any) { fmt.Fprintf(&w.trace, format+"\n", args...) }

func (w *world) name(m wire.Member) string { return charter.Name(w.charter, m) }

// feed gives the coordinator's machine an input and carries its effects out.
func (w *world) feed(in CoordinatorInput) error {
	effects, err := w.coord.Step(w.now(), in)
	if err != nil {
		return err
	}
	opening := false
	for _, effect := range effects {
		switch e := effect.(type) {
		case Store:
			if e.Round == 0 {
				w.job = append(w.job, e.Envelope)
			} else {
				w.rounds[e.Round] = append(w.rounds[e.Round], e.Envelope)
			}
		case Log:
			index := w.entry(e.Kind, e.Object)
			if e.Kind == ledger.Release {
				env, _ := wire.ParseEnvelope(e.Object)
				var r wire.Release
				if err := env.Open(&r); err != nil {
					w.t.Fatal(err)
				}
				w.releaseAt[r.Digest()] = index
			}
			w.say("ledger: %s", e.Kind)
		case Advance:
			w.say("coordinator: job %s, round %d, step %d%s", e.Status, e.Round, e.Step, reason(e.Reason))
		case Note:
			who := ""
			if !e.Member.IsZero() {
				who = " " + w.name(e.Member)
			}
			w.say("coordinator: %s%s%s", e.Phase, who, reason(e.Message))
		case OpenNow:
			opening = true
		}
	}
	if opening && !w.lose {
		w.opens++
		open := w.coord.Open(func(d wire.Digest) ([]byte, error) { return w.payloads[d], nil })
		o, err := open()
		if err != nil {
			return w.feed(NotOpened{err})
		}
		return w.feed(Opened{o})
	}
	return nil
}

func reason(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// restartCoordinator throws the machine away and restores it from what was stored.
func (w *world) restartCoordinator() {
	v := w.coord.View()
	s := Snapshot{ProposedMs: v.ProposedMs, Status: v.Status, Reason: v.Reason, State: v.State, Step: v.Step, PrevRelease: v.PrevRelease, PrevContext: v.PrevContext, Round: v.Round,
		Failures: v.Failures}
	for _, e := range w.job {
		if e.Kind == wire.TypeApproval {
			s.Approvals = append(s.Approvals, e)
		} else {
			s.Refusals = append(s.Refusals, e)
		}
	}
	for _, e := range w.rounds[v.Round] {
		switch e.Kind {
		case wire.TypePlan:
			s.Plan = &e
		case wire.TypeUpload:
			s.Uploads = append(s.Uploads, e)
		case wire.TypeComplaint:
			s.Complaints = append(s.Complaints, e)
		case wire.TypeCharge:
			s.Charges = append(s.Charges, e)
		case wire.TypeRoster:
			s.Roster = &e
		case wire.TypeShareSum:
			s.ShareSums = append(s.ShareSums, e)
		case wire.TypeRelease, wire.TypeAbort:
			s.Plan, s.Uploads, s.Complaints, s.Charges, s.Roster, s.ShareSums = nil, nil, nil, nil, nil, nil
		}
	}
	c, err := RestoreCoordinator(w.key, w.proposal, s)
	if err != nil {
		w.t.Fatal(err)
	}
	w.coord = c
}

// evidence is what the coordinator shows of a release.
func (w *world) evidence(release wire.Digest) *Evidence {
	for _, envelopes := range w.rounds {
		v := &Evidence{}
		found := false
		for _, e := range envelopes {
			switch e.Kind {
			case wire.TypePlan:
				v.Plan = e
			case wire.TypeRoster:
				v.Roster = e
			case wire.TypeUpload:
				v.Uploads = append(v.Uploads, e)
			case wire.TypeShareSum:
				v.ShareSums = append(v.ShareSums, e)
			case wire.TypeRelease:
				v.Release = e
				var r wire.Release
				found = e.Open(&r) == nil && r.Digest() == release
			}
		}
		if found {
			slices.SortFunc(v.Uploads, func(a, b wire.Envelope) int { return a.Signer.Compare(b.Signer) })
			return v
		}
	}
	return nil
}

func (w *world) payload(d wire.Digest) ([]byte, error) { return w.payloads[d], nil }

// planInput is what a node has when it judges a plan.
func (w *world) planInput(n *node, e wire.Envelope) PlanArrived {
	in := PlanArrived{Plan: e, Payloads: w.payload, Seen: n.seen, State: w.coord.View().State}
	var p wire.Plan
	if wire.Decode(e.Body, &p) != nil {
		return in
	}
	if n.seen.Size < int64(p.LedgerSize) && n.seen.Size > 0 {
		in.Proof, _ = ledger.ProveConsistency(w.log, n.seen.Size, int64(p.LedgerSize))
	}
	if !p.PrevRelease.IsZero() {
		in.Evidence = w.evidence(p.PrevRelease)
		index := w.releaseAt[p.PrevRelease]
		record, _ := w.log.ReadEntry(index)
		proof, _ := ledger.ProveInclusion(w.log, int64(p.LedgerSize), index)
		in.Released = &ReleaseInLedger{index, record, proof}
	}
	return in
}

// step gives a node's machine an input and carries its effects out; it returns the node's refusal.
func (w *world) step(n *node, in Input) error {
	effects, err := n.member.Step(in)
	if err != nil {
		return err
	}
	for _, effect := range effects {
		switch e := effect.(type) {
		case Persist:
			record := e.Record
			n.stored = &record
			if e.Charge != nil {
				if err := w.spend(n, *e.Charge); err != nil {
					return err
				}
			}
			if e.Sealed != nil {
				if n.spoil != nil {
					n.spoil(e.Sealed)
				}
				n.sealed = e.Sealed
			}
			if e.Head != nil {
				n.seen = *e.Head
			}
		case Train:
			w.say("%s: trains", n.name)
			if w.terms.Private {
				if err := w.step(n, NoisedSum{noised(w.t, n.rows)}); err != nil {
					return err
				}
				continue
			}
			if err := w.step(n, Trained{[][]float64{{n.rows}, {n.rows / 10, 1}}}); err != nil {
				return err
			}
		case Seal:
			if err := w.step(n, e.Next); err != nil {
				return err
			}
		case SendUpload:
			w.say("%s -> coordinator: upload", n.name)
			w.upload(n, e.Upload)
		case Send:
			env := e.Envelope
			if n.lie != nil {
				env = n.lie(n, env)
			}
			w.say("%s -> coordinator: %s", n.name, env.Kind)
			if err := w.put(env); err != nil {
				w.say("coordinator refuses: %v", err)
			}
		case EraseSeatKey:
			n.seatKey, n.done = nil, true
			w.say("%s: erases its seat key", n.name)
		}
	}
	return nil
}

func (w *world) upload(n *node, e wire.Envelope) {
	if n.charge != nil {
		if err := w.feed(ChargeCame{*n.charge}); err != nil {
			w.say("coordinator refuses: %v", err)
		}
	}
	u, err := w.coord.AcceptsUpload(&e)
	if err != nil {
		w.say("coordinator refuses: %v", err)
		return
	}
	w.payloads[u.PayloadDigest] = n.sealed.Payload
	w.shares[e.Digest()] = n.sealed.Shares
	if err := w.feed(UploadCame{e}); err != nil {
		w.say("coordinator refuses: %v", err)
	}
}

func (w *world) put(e wire.Envelope) error {
	switch e.Kind {
	case wire.TypeApproval:
		return w.feed(ApprovalCame{e})
	case wire.TypeComplaint:
		return w.feed(ComplaintCame{e})
	case wire.TypeShareSum:
		return w.feed(ShareSumCame{e})
	default:
		return w.feed(RefusalCame{e})
	}
}

// restart throws a node's machine away and restores it from its record.
func (w *world) restart(n *node) {
	job, err := Close(w.proposal, w.coord.View().Approvals)
	if err != nil {
		w.t.Fatal(err)
	}
	if n.member, err = NewMember(n.key, job, n.seatKey, n.stored); err != nil {
		w.t.Fatal(err)
	}
	n.holds.Checked = 0
}

func (w *world) approve(n *node) {
	a := w.proposal.approval(n.key.Public(), nil)
	if w.proposal.Seat(n.key.Public()) != 0 {
		a.SeatKey = n.seatKey.Public()
	}
	w.say("%s -> coordinator: Approval", n.name)
	if err := w.put(wire.Sign(n.key, &a)); err != nil {
		w.t.Fatal(err)
	}
}

// turn lets one node do its next task; it reports whether there was one.
func (w *world) turn(n *node) bool {
	if n.down {
		return false
	}
	if n.holds.Checked > 0 { // as each Next does
		before := w.coord.View().Phase
		if err := w.feed(CheckedCame{n.key.Public(), n.holds.Round, n.holds.Checked}); err != nil {
			w.t.Fatal(err)
		}
		if w.coord.View().Phase != before {
			return true
		}
	}
	phase, object := w.coord.Task(n.key.Public(), n.holds)
	if phase == TaskNone || n.done || w.before != nil && !w.before(n, phase) {
		return false
	}
	var err error
	switch phase {
	case TaskApprove:
		w.approve(n)
		return true
	case TaskPlan:
		if n.member == nil {
			w.restart(n)
		}
		w.say("coordinator -> %s: Plan", n.name)
		n.holds.Checked = 0
		if err = w.step(n, w.planInput(n, *object)); err == nil {
			n.holds.Round = n.member.Record().Round
		}
	case TaskCheck:
		w.check(n)
	case TaskOpen:
		if n.member.Checked() < len(w.coord.View().Uploads) {
			w.check(n)
		}
		w.say("coordinator -> %s: Roster", n.name)
		err = w.step(n, RosterArrived{*object})
	case TaskRelease:
		v := w.coord.View()
		w.say("coordinator -> %s: last release", n.name)
		n.holds.Phase = TaskRelease
		err = w.step(n, LastRelease{Evidence: w.evidence(v.PrevRelease), Payloads: w.payload})
	}
	var refused *Refused
	if errors.As(err, &refused) {
		w.say("%s refuses: %v", n.name, err)
		if err := w.put(n.member.Refusal(refused, map[TaskPhase]string{TaskPlan: "plan", TaskOpen: "open"}[phase])); err != nil {
			w.say("coordinator refuses: %v", err)
		}
	} else if err != nil {
		w.t.Fatal(err)
	}
	return true
}

func (w *world) check(n *node) {
	index := w.proposal.Seat(n.key.Public())
	w.say("%s: checks %d shares", n.name, len(w.coord.View().Uploads))
	for _, e := range w.coord.View().Uploads {
		if err := w.step(n, ShareSeen{e, w.shares[e.Digest()][index-1]}); err != nil {
			w.say("%s refuses: %v", n.name, err)
			continue
		}
		if w.coord.View().Plan == nil {
			return // the round was aborted by the complaint
		}
	}
	n.holds.Checked = n.member.Checked()
}

// run gives everyone turns until nothing moves, letting time pass where only time helps; until, if set, may stop it earlier.
func (w *world) run(until func() bool) {
	w.t.Helper()
	for range 10_000 {
		if until != nil && until() {
			return
		}
		moved := false
		for _, n := range w.nodes {
			moved = w.turn(n) || moved
			if until != nil && until() {
				return
			}
		}
		if moved {
			continue
		}
		at := w.coord.NextClock()
		if w.coord.View().Status.Final() || at >= w.proposal.Manifest.ExpiresMs {
			return
		}
		if at > w.ms {
			w.say("-- %d ms pass", at-w.ms)
			w.ms = at
		}
		if err := w.feed(Clock{}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.t.Fatal("the job never settles:\n" + w.trace.String())
}

// untilPhase stops when the coordinator is in a phase of a round.
func (w *world) untilPhase(round uint64, phase Phase) {
	w.t.Helper()
	w.run(func() bool { v := w.coord.View(); return v.Round == round && v.Phase == phase })
	if v := w.coord.View(); v.Round != round || v.Phase != phase {
		w.t.Fatalf("never came to %s of round %d:\n%s", phase, round, w.trace.String())
	}
}

func wantRule(t *testing.T, err error, rule Rule) {
	t.Helper()
	var r *Refused
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal (%s)", err, rule)
	}
	if r.Rule != rule {
		t.Fatalf("refused as %q (%s), want %q", r.Rule, r.Reason, rule)
	}
}
