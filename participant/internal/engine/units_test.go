package engine

import (
	"strings"
	"testing"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/participant/internal/source"
	"tributary/participant/internal/store"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// unitWorld is privateWorld with accounts of another unit.
func unitWorld(t *testing.T, unit uint8, epsilon string) *world {
	w := privateWorld(t, "")
	for _, m := range w.members {
		w.openUnit(m, unit, epsilon)
	}
	return w
}

func variant(edits ...string) string { return strings.NewReplacer(edits...).Replace(privateText) }

// Jobs that protect users and silos run on accounts that count them, and only there.
func TestJobsRunOnAccountsOfTheirUnitOnly(t *testing.T) {
	for unit, name := range map[uint8]string{wire.UnitUser: "user", wire.UnitSilo: "silo"} {
		t.Run(name, func(t *testing.T) {
			w := unitWorld(t, unit, "10")
			w.startAll()
			job := w.submit(variant(`unit: record, epsilon: "4", delta: "1e-5"`, `unit: `+name+`, epsilon: "4", delta: "1e-5", clip: "2"`))
			w.ends(job, round.Completed)
			for _, m := range w.members {
				w.closed(m, job)
				if a, charges := w.account(m); len(charges) != 4 || a.Spent == 0 || a.Unit != unit {
					t.Errorf("%s: %d charges, unit %d", m.name, len(charges), a.Unit)
				}
			}
			w.submit(variant("name: churn-private", "name: of-records"))
			w.until("a refusal", func() bool { return len(w.fake.refused()) > 0 })
			if r := w.fake.refused()[0]; r.Rule != string(round.RuleBudget) || r.Hint != unitHint {
				t.Errorf("a job that protects records: %s, %s", r.Rule, r.Hint)
			}
		})
	}
}

// An account of records can't count rows of a file and customers made of them at once; one of users can.
func TestRecordsOfOneFileAreOneThing(t *testing.T) {
	for unit, privacy := range map[uint8]string{wire.UnitRecord: `unit: record, epsilon: "4", delta: "1e-5"`, wire.UnitUser: `unit: user, epsilon: "4", delta: "1e-5", clip: "2"`} {
		w := unitWorld(t, unit, "10")
		m := w.members[0]
		second := m.config.Data[0]
		second.ID, second.Contract, second.Customers = "made", "other@1", &source.Customers{Key: "id"}
		m.config.Data = append(m.config.Data, second)
		w.start(m)
		job := w.submit(variant(`unit: record, epsilon: "4", delta: "1e-5"`, privacy))
		if unit == wire.UnitUser {
			w.until("its approval", func() bool { j := w.job(m, job); return j != nil && j.Status == store.Approved })
			continue
		}
		if j := w.refuses(m, job, round.RuleBudget); !strings.Contains(j.Why, "don't mean the same by a record") {
			t.Error(j.Why)
		}
	}
}

// A job whose rounds sample runs to its end; each of its training rounds is charged as a sample.
func TestSampledJobIsChargedAsASample(t *testing.T) {
	w := privateWorld(t, "10")
	w.startAll()
	job := w.submit(variant("solver: dp_gradient_descent, max_rounds: 2", `solver: dp_sgd, max_rounds: 2, sampling: {rate: "0.25"}`))
	w.ends(job, round.Completed)
	for _, m := range w.members {
		w.closed(m, job)
		a, charges := w.account(m)
		if len(charges) != 4 {
			t.Fatalf("%s: %d charges", m.name, len(charges))
		}
		var spec *wire.RoundSpec
		w.with(m, func(s *store.Store) {
			j, err := s.Job(job)
			if err != nil {
				t.Fatal(err)
			}
			b, err := wire.ParseBundle(j.Bundle)
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range b.Items {
				if e, err := wire.ParseEnvelope(item); err == nil && e.Kind == wire.TypeManifest {
					var manifest wire.Manifest
					if err := e.Open(&manifest); err != nil {
						t.Fatal(err)
					}
					spec, _ = manifest.Round(wire.Train)
				}
			}
		})
		if spec == nil || spec.DP.QNum != 1 || spec.DP.QDen != 4 {
			t.Fatalf("the manifest's training rounds: %+v", spec)
		}
		whole, err := accountant.ChargeFor(accountant.Sum{Sensitivity2: spec.DP.Sensitivity, Sigma2: dp.Integer(spec.DP.Sigma2Local * uint64(spec.DP.H)), Rate: dp.Integer(1)}, a.Order)
		if got := charges[1].Spent - charges[0].Spent; err != nil || got == 0 || got >= whole.Units() {
			t.Errorf("%s: a sample costs %d, everything %d: %v", m.name, got, whole.Units(), err)
		}
	}
}

// noisedWorld is privateWorld whose members allow noised jobs too.
func noisedWorld(t *testing.T) *world {
	w := privateWorld(t, "10")
	for _, m := range w.members {
		w.configure(m, "contracts: [shop-customers@1], privacy: [private], modes: [sealed, noised], min_cohort: 1, approve: automatic")
	}
	return w
}

// A policy that doesn't allow noised jobs refuses them.
func TestNoisedJobIsRefusedByPolicy(t *testing.T) {
	w := privateWorld(t, "10")
	w.start(w.members[0])
	w.submit(variant("{mode: sealed, min_participants: 3, committee: {threshold: 3, of: 4},", "{mode: noised, min_participants: 2,"))
	w.until("a refusal", func() bool { return len(w.fake.refused()) > 0 })
	if r := w.fake.refused()[0]; r.Rule != string(round.RulePolicy) {
		t.Errorf("%s: %s", r.Rule, r.Hint)
	}
}

// A noised job needs no committee. What leaves is each participant's own noised values; no upload goes out without its charge.
func TestNoisedJobSendsNoisedValuesInClear(t *testing.T) {
	w := noisedWorld(t)
	w.startAll()
	job := w.submit(variant("{mode: sealed, min_participants: 3, committee: {threshold: 3, of: 4},", "{mode: noised, min_participants: 2,"))
	w.ends(job, round.Completed)
	for _, m := range w.members {
		w.closed(m, job)
		w.checkOrder(m)
		if j := w.job(m, job); j.Status != store.Finished {
			t.Errorf("%s: %s, %s", m.name, j.Status, j.Why)
		}
		if a, charges := w.account(m); len(charges) != 4 || a.Spent == 0 {
			t.Errorf("%s: %d charges", m.name, len(charges))
		}
	}
}

// A noised job of one participant is possible: its noise is its own.
func TestNoisedJobOfOneParticipant(t *testing.T) {
	w := noisedWorld(t)
	w.startAll()
	job := w.submit(variant("{mode: sealed, min_participants: 3, committee: {threshold: 3, of: 4},", "{mode: noised, participants: [alpen],"))
	w.ends(job, round.Completed)
	if _, charges := w.account(w.members[0]); len(charges) != 4 {
		t.Errorf("%d charges", len(charges))
	}
	if _, charges := w.account(w.members[1]); len(charges) != 0 {
		t.Errorf("%d charges of one who has no part", len(charges))
	}
}

// An exact job can't be noised, whatever the coordinator proposes: its sums have no noise.
func TestExactJobInClearIsRefused(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	w.configure(w.members[0], "contracts: [shop-customers@1], privacy: [exact, private], modes: [sealed, noised], approve: automatic")
	w.start(w.members[0])
	job := w.fake.propose(w.resolve(specText, []string{"alpen", "baltic", "coast", "delta"}), w.contract, w.cohort(), w.cohort(), func(m *wire.Manifest) {
		m.Mode, m.Committee, m.T = wire.Noised, nil, 0
	})
	w.refuses(w.members[0], job, round.RuleManifest)
}
