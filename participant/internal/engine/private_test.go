package engine

import (
	"errors"
	"iter"
	"testing"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/crypto/secagg"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

func TestRowsOfAPrivateJobMayChange(t *testing.T) {
	w := privateWorld(t, "10")
	m := w.members[0]
	w.observe = func(who *member, e round.Effect) error {
		if train, ok := e.(round.Train); ok && who == m && train.Plan.Kind == wire.Train && train.Plan.Step == 1 {
			w.writeRows(m, 150, 9)
		}
		return nil
	}
	w.startAll()
	w.ends(w.submit(privateText), round.Completed)
}

func TestNoSumWithoutNoiseCanLeaveInAPrivateJob(t *testing.T) {
	w := privateWorld(t, "10")
	m := w.members[0]
	var node *Node
	crashed := w.crashOnce(m, func(e round.Effect) bool { _, ok := e.(round.Train); return ok })
	w.startAll()
	job := w.submit(privateText)
	w.until("the crash", crashed.Load)
	<-m.done
	m.cancel = nil
	node = w.node(m)
	l := node.find(job[:])
	if err := node.join(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	var refused *round.Refused
	sum := make([]float64, l.terms.proposal.Params(wire.Fit).Length())
	if _, err := l.member.Step(round.Trained{Segments: [][]float64{sum}}); !errors.As(err, &refused) || refused.Rule != round.RuleBudget {
		t.Errorf("the machine took a sum without noise: %v", err)
	}
	state, err := l.terms.program.DecodeState(l.member.Record().State)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.unchanged(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if _, err := l.work.rounds.Sums(state); err == nil {
		t.Error("a private program gave sums without noise")
	}
	// Whatever a machine asked for, an upload isn't stored without its charge, nor a charge made without an upload.
	sealed := &secagg.Upload{Payload: []byte{1}}
	for _, e := range []round.Persist{{Sealed: sealed}, {Charge: &accountant.Sum{}}} {
		if err := node.persist(l, e); err == nil {
			t.Errorf("stored %+v", e)
		}
	}
	if _, charges := w.account(m); len(charges) != 0 {
		t.Errorf("%d charges", len(charges))
	}
	// The noise is drawn with the parameters that the manifest, and so every charge, names.
	for i := range l.terms.proposal.Manifest.Rounds {
		r := &l.terms.proposal.Manifest.Rounds[i]
		if p := l.terms.noise[r.Kind]; p.Sensitivity2() != r.DP.Sensitivity || p.Local() != dp.Integer(r.DP.Sigma2Local) || p.Length() != l.terms.proposal.Params(r.Kind).Length() {
			t.Errorf("%s: other noise than the manifest's", r.Kind)
		}
	}
	w.start(m)
	w.ends(job, round.Completed)
}

func TestManifestWithLessNoiseThanTheSpecIsRefused(t *testing.T) {
	for name, change := range map[string]func(*wire.Manifest){
		"variance":    func(m *wire.Manifest) { m.Rounds[1].DP.Sigma2Local-- },
		"sensitivity": func(m *wire.Manifest) { m.Rounds[0].DP.Sensitivity-- },
		"h":           func(m *wire.Manifest) { m.Rounds[0].DP.H++ },
		"sampling":    func(m *wire.Manifest) { m.Rounds[1].DP.QDen = 2 },
		"exact":       func(m *wire.Manifest) { m.Kind = wire.Exact; m.NMin = uint16(len(m.Cohort)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := privateWorld(t, "10")
			w.start(w.members[0])
			job := w.fake.propose(w.resolve(privateText, []string{"alpen", "baltic", "coast", "delta"}), w.contract, w.cohort(), w.cohort(), change)
			w.refuses(w.members[0], job, round.RuleManifest)
		})
	}
	t.Run("n_min", func(t *testing.T) {
		w := privateWorld(t, "10")
		w.start(w.members[0])
		job := w.fake.propose(w.resolve(privateText, []string{"alpen", "baltic", "coast", "delta"}), w.contract, w.cohort(), w.cohort(), func(m *wire.Manifest) { m.NMin = 4 })
		w.refuses(w.members[0], job, round.RuleCohort)
	})
}

// broken is training with a fault.
type broken struct{ local.Rounds }

func (broken) Units(*optim.State) (int, error) { panic("a fault") }

func (broken) Contributions(*optim.State, []int) (iter.Seq2[[]int, []float64], error) {
	panic("a fault")
}

// A fault in training leaves its node out of the rounds, which lives on; nothing of its rows leaves, and nothing is charged for it.
func TestAFaultInTrainingStopsNoNode(t *testing.T) {
	w := privateWorld(t, "10")
	m := w.members[0]
	w.observe = func(who *member, e round.Effect) error {
		if train, ok := e.(round.Train); ok && who == m && train.Plan.Kind == wire.Train {
			l := m.node.find(train.Plan.Job[:])
			if err := m.node.unchanged(t.Context(), l); err != nil {
				return err
			}
			l.work.rounds = broken{}
		}
		return nil
	}
	w.startAll()
	job := w.submit(privateText)
	w.ends(job, round.Completed) // by the other three
	// FIT's and EVALUATE's, in which it takes part again: what was half done is made anew.
	if _, charges := w.account(m); len(charges) != 2 {
		t.Errorf("%d charges", len(charges))
	}
}
