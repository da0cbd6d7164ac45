package audit

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/crypto/identity"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// row is one entry before it is signed.
type row struct {
	label string
	kind  ledger.Kind
	key   *identity.Key
	o     wire.Object
}

// world makes a ledger as an honest coordinator and honest members would, with real signatures and fixed keys. Tests change objects
// as they are made (what follows is then consistent with the change) or rows afterwards.
type world struct {
	t      testing.TB
	hub    *identity.Key
	keys   []*identity.Key // alpen, baltic, coast, delta, edel: in the order of their public keys
	rows   []row
	change map[string]func(wire.Object)
	spent  []uint64
	// witnesses are the members who cosign the export.
	witnesses []int
	order     accountant.Order // the best for the accounts' cap; that verify accepts the story tests it
	head      ledger.Head      // over the first entries, as every plan names it
	begun     map[begin]*wire.Plan
	ended     map[*wire.Manifest][]*wire.Release
}

// begin names a round.
type begin struct {
	m     *wire.Manifest
	round uint64
}

var people = []string{"alpen", "baltic", "coast", "delta", "edel"}

const cost = 268435456 // Δ² of the private jobs: (2^14)²

func testKey(b byte) *identity.Key { k, _ := identity.FromSeed(bytes.Repeat([]byte{b}, 32)); return k }

// newWorld starts empty. changes are by label.
func newWorld(t testing.TB, changes map[string]func(wire.Object)) *world {
	w := &world{t: t, hub: testKey(100), change: changes, spent: make([]uint64, len(people)), order: 18, begun: map[begin]*wire.Plan{}, ended: map[*wire.Manifest][]*wire.Release{}}
	w.keys = memberKeys()
	return w
}

func memberKeys() (keys []*identity.Key) {
	for i := range people {
		keys = append(keys, testKey(byte(i+1)))
	}
	slices.SortFunc(keys, func(a, b *identity.Key) int { return a.Public().Compare(b.Public()) })
	return keys
}

// testKeyOf is the i-th member's key.
func testKeyOf(i int) wire.Member { return memberKeys()[i].Public() }

func testCap() accountant.Cap {
	delta, _ := dp.NewRational(1, 100_000)
	return accountant.Cap{Epsilon: dp.Integer(1), Delta: delta}
}

func (w *world) add(label string, kind ledger.Kind, key *identity.Key, o wire.Object) {
	if change := w.change[label]; change != nil {
		change(o)
	}
	w.rows = append(w.rows, row{label, kind, key, o})
}

func (w *world) member(i int) wire.Member { return w.keys[i].Public() }

func (w *world) enrol(i int) {
	w.add("enrol/"+people[i], ledger.Enrolment, w.hub, &wire.Enrolment{Card: wire.NewCard(w.keys[i], people[i], people[i]+" AG"), Role: wire.RoleBoth})
}

func (w *world) charter(label string, version uint32, prev wire.Digest, n int) *wire.Charter {
	c := &wire.Charter{Consortium: "shops", Version: version, Prev: prev, F: 1, Organisation: "Hub", Coordinator: w.hub.Public(), LogOrigin: "shops/log"}
	for i := range n {
		c.Members = append(c.Members, wire.CharterMember{Card: wire.NewCard(w.keys[i], people[i], people[i]+" AG"), Role: wire.RoleBoth})
	}
	w.add(label, ledger.Charter, w.hub, c)
	return c
}

func (w *world) account(label string, i int, refills uint32, before uint64) *wire.Account {
	units, err := testCap().BudgetAt(w.order)
	if err != nil {
		w.t.Fatal(err)
	}
	a := &wire.Account{Member: w.member(i), Account: wire.AccountID(w.member(i), "crm"), Unit: wire.UnitRecord, EpsNum: 1, EpsDen: 1, DeltaNum: 1, DeltaDen: 100_000,
		Order: uint32(w.order), Budget: before + uint64(units), PrevBudgets: before, Refills: refills}
	w.add(label, ledger.Account, w.keys[i], a)
	return a
}

// job proposes a job of the first n members; the first three hold the seats, 3 of 3.
func (w *world) job(label string, c *wire.Charter, kind wire.JobKind, n int) *wire.Manifest {
	m := &wire.Manifest{CharterDigest: c.Digest(), Nonce: [16]byte{byte(len(w.rows))}, SpecDigest: wire.Digest{1}, ContractDigest: wire.Digest{2}, Kind: kind, Mode: wire.Sealed, State0: wire.Digest{7},
		T: 3, F: 1, NMin: uint16(n), ExpiresMs: 1 << 41, RoundMs: 60_000}
	noise := wire.DP{}
	if kind == wire.Private {
		m.NMin = 3
		noise = wire.DP{Mechanism: wire.MechanismDiscreteGaussian, Unit: wire.UnitRecord, Sensitivity: cost, Sigma2Local: 300 * cost, H: 2, QNum: 1, QDen: 1}
	}
	for i := range n {
		m.Cohort = append(m.Cohort, w.member(i))
	}
	for i := range 3 {
		m.Committee = append(m.Committee, wire.Seat{Index: uint16(i + 1), Member: w.member(i)})
	}
	for kind, name := range []string{"", "gram", "gradient", "histogram"} {
		if kind > 0 {
			m.Rounds = append(m.Rounds, wire.RoundSpec{Kind: wire.RoundKind(kind), MaxRounds: uint16([]int{0, 1, 2, 1}[kind]),
				Codec: wire.Codec{Ring: 1, NMax: uint16(n), Bits: 30, Segments: []wire.Segment{{Name: name, Length: uint32(10 * kind), ScaleNum: 1, ScaleDen: 1}}}, DP: noise})
		}
	}
	w.add(label, ledger.Job, w.hub, m)
	return m
}

func (w *world) approve(label string, m *wire.Manifest, i int) {
	a := &wire.Approval{Job: m.Digest(), Member: w.member(i)}
	if i < len(m.Committee) {
		a.SeatKey = []byte{1, 2, 3}
	}
	w.add(label+"/approve/"+people[i], ledger.Approval, w.keys[i], a)
}

// plan begins a round where it isn't begun yet, and gives its context.
func (w *world) plan(label string, m *wire.Manifest, round uint64) wire.Digest {
	at := begin{m, round}
	p := w.begun[at]
	if p == nil {
		if w.head.Size == 0 {
			w.head = headOf(w.t, w.log(4))
		}
		p = &wire.Plan{Job: m.Digest(), Round: round, Step: uint32(len(w.ended[m])), Kind: []wire.RoundKind{wire.Fit, wire.Train, wire.Train, wire.Evaluate}[min(len(w.ended[m]), 3)],
			StateDigest: m.State0, DeadlineMs: 1 << 41, LedgerSize: uint64(w.head.Size), LedgerRoot: w.head.Root}
		if m.Kind == wire.Exact && p.Step > 1 {
			p.Kind = wire.Evaluate
		}
		if n := len(w.ended[m]); n > 0 {
			last := w.ended[m][n-1]
			p.StateDigest, p.PrevRelease = last.NextState, last.Digest()
		}
		w.begun[at] = p
		w.add(label+"/plan", ledger.Plan, w.hub, p)
	}
	job := m.Digest()
	parts := [][]byte{job[:]}
	var approvals []*wire.Approval
	for _, r := range w.rows {
		if a, ok := r.o.(*wire.Approval); ok && a.Job == job {
			approvals = append(approvals, a)
		}
	}
	slices.SortFunc(approvals, func(a, b *wire.Approval) int { return a.Member.Compare(b.Member) })
	for _, a := range approvals {
		parts = append(parts, wire.Encode(a))
	}
	return p.Context(wire.Hash("closed-job", parts...))
}

func (w *world) charge(label string, m *wire.Manifest, round uint64, i int) {
	units, err := accountant.ChargeFor(accountant.Sum{Sensitivity2: cost, Sigma2: dp.Integer(600 * cost), Rate: dp.Integer(1)}, w.order)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx := w.plan(label, m, round)
	w.spent[i] += uint64(units.Units())
	w.add(label+"/charge/"+people[i], ledger.Charge, w.keys[i], &wire.Charge{Job: m.Digest(), Ctx: ctx, Member: w.member(i), Account: wire.AccountID(w.member(i), "crm"),
		Order: uint32(w.order), Units: uint64(units.Units()), Spent: w.spent[i]})
}

func (w *world) roster(label string, m *wire.Manifest, round uint64, members ...int) *wire.Roster {
	r := &wire.Roster{Ctx: w.plan(label, m, round)}
	for _, i := range members {
		r.Entries = append(r.Entries, wire.RosterEntry{Member: w.member(i), Upload: wire.Digest{byte(i + 1)}})
	}
	w.add(label+"/roster", ledger.Roster, w.hub, r)
	return r
}

func (w *world) release(label string, m *wire.Manifest, round uint64, step uint32, kind wire.RoundKind, root wire.Digest) {
	r := &wire.Release{Job: m.Digest(), Round: round, Step: step, Kind: kind, Ctx: w.plan(label, m, round), Root: root, SumDigest: wire.Digest{byte(round)}, NextState: wire.Digest{9, byte(step)}}
	w.add(label+"/release", ledger.Release, w.hub, r)
	w.ended[m] = append(w.ended[m], r)
}

func (w *world) abort(label string, m *wire.Manifest, round uint64, suspects ...wire.Member) {
	ctx := w.plan(label, m, round)
	w.add(label+"/abort", ledger.Abort, w.hub, &wire.Abort{Job: m.Digest(), Round: round, Ctx: ctx, Phase: "upload", Code: "too-few", Reason: "2 of at least 3 have uploaded by the deadline", Suspects: suspects})
}

func (w *world) finish(label string, m *wire.Manifest, outcome uint8, state wire.Digest, reason string) {
	w.add(label+"/finish", ledger.Finish, w.hub, &wire.Finish{Job: m.Digest(), Outcome: outcome, State: state, Reason: reason})
}

// private runs one round of a private job: charges, roster, release.
func (w *world) private(label string, m *wire.Manifest, round uint64, step uint32, kind wire.RoundKind, members ...int) {
	for _, i := range members {
		w.charge(label, m, round, i)
	}
	root := w.roster(label, m, round, members...).Root()
	w.release(label, m, round, step, kind, root)
}

func (w *world) index(label string) int {
	i := slices.IndexFunc(w.rows, func(r row) bool { return r.label == label })
	if i < 0 {
		w.t.Fatalf("no entry %q", label)
	}
	return i
}

func (w *world) drop(label string) { i := w.index(label); w.rows = slices.Delete(w.rows, i, i+1) }

// move puts an entry before another.
func (w *world) move(label, before string) {
	r := w.rows[w.index(label)]
	w.drop(label)
	w.rows = slices.Insert(w.rows, w.index(before), r)
}

// again adds a copy of an entry under another label, at the end.
func (w *world) again(label, as string) {
	r := w.rows[w.index(label)]
	r.label = as
	w.rows = append(w.rows, r)
}

// export signs everything, as the coordinator's own export command does.
func (w *world) export() []byte {
	return exportOf(w.t, w.log(len(w.rows)), w.hub, w.witnesses...)
}

// log signs the first n rows.
func (w *world) log(n int) *ledger.Memory {
	log := &ledger.Memory{}
	for i, r := range w.rows[:n] {
		e := wire.Sign(r.key, r.o)
		if _, err := ledger.Append(log, ledger.Entry{Kind: r.kind, AtMs: 1_795_000_000_000 + uint64(i)*3_600_000*24, Object: e.Bytes()}); err != nil {
			w.t.Fatal(err)
		}
	}
	return log
}

func headOf(t testing.TB, log *ledger.Memory) ledger.Head {
	head, err := ledger.CurrentHead(log)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func exportOf(t testing.TB, log *ledger.Memory, key *identity.Key, witnesses ...int) []byte {
	head := headOf(t, log)
	checkpoint, err := ledger.SignCheckpoint("shops/log", head, key.Ed25519())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range witnesses {
		if checkpoint, err = ledger.Cosign(checkpoint, ledger.WitnessName("shops/log", people[i]), memberKeys()[i].Ed25519(), time.Unix(1_795_000_000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := ledger.WriteExport(&b, log, checkpoint); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (w *world) read() *ledger.Export {
	x, err := ReadFile(w.export())
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

func (w *world) verify() *Book { return Verify(w.read(), Options{}) }
