package store

import (
	"testing"

	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// Pruning takes the working records of old jobs and leaves their models, documents and the whole ledger.
func TestPruningLeavesModelsAndTheLedger(t *testing.T) {
	s, key := fresh(t), newKey(t)
	c := &wire.Charter{Consortium: "c", Version: 1, Organisation: "o", Coordinator: key.Public(), LogOrigin: "l"}
	charter := wire.Sign(key, c)
	ends := map[wire.Digest]int64{{1}: 1000, {2}: 5000, {3}: 0} // old, new, running
	first, model := wire.Digest{7}, wire.Digest{8}
	update(t, s, func(tx *Tx) error {
		if err := tx.PutCharter(c, &charter); err != nil {
			return err
		}
		for id, ended := range ends {
			j := &Job{ID: id, Name: "j", SubmitToken: string(rune('a' + id[0])), Charter: c.Digest(), Status: "x", State: first, Manifest: []byte{1}, Resolved: []byte{1}, Contract: []byte{1}, Spec: []byte{1}}
			if err := tx.PutJob(j, []byte("first")); err != nil {
				return err
			}
			if err := tx.PutState(id, model, []byte("model")); err != nil {
				return err
			}
			j.State, j.EndedMs = model, ended
			if err := tx.AdvanceJob(j); err != nil {
				return err
			}
			e := wire.Sign(key, &wire.Plan{Job: id, Round: 1, Kind: wire.Fit})
			if err := tx.PutEnvelope(id, 1, &e, wire.Digest{}); err != nil {
				return err
			}
			if err := tx.PutEvent(id, &Event{Phase: "plan"}); err != nil {
				return err
			}
			if _, err := ledger.Append(tx, ledger.Entry{Kind: ledger.Plan, Object: e.Bytes()}); err != nil {
				return err
			}
		}
		removed, err := tx.Prune(5000)
		if removed != 3 { // an event, an envelope, a state
			t.Errorf("removed %d records", removed)
		}
		return err
	})
	view(t, s, func(tx *Tx) error {
		for id, ended := range ends {
			old := ended == 1000
			events, err := tx.Events(id, 0, 10)
			if err != nil || (len(events) == 0) != old {
				t.Errorf("job %d: %d events, %v", id[0], len(events), err)
			}
			if envelopes, err := tx.Envelopes(id, 1); err != nil || (len(envelopes) == 0) != old {
				t.Errorf("job %d: %d envelopes, %v", id[0], len(envelopes), err)
			}
			if _, err := tx.State(id, first); (err != nil) != old {
				t.Errorf("job %d: its first state: %v", id[0], err)
			}
			if data, err := tx.State(id, model); err != nil || string(data) != "model" {
				t.Errorf("job %d: its model is gone: %v", id[0], err)
			}
			if _, err := tx.Job(id); err != nil {
				t.Errorf("job %d: %v", id[0], err)
			}
		}
		if n, err := tx.Size(); err != nil || n != 3 {
			t.Errorf("%d ledger entries, %v", n, err)
		}
		return nil
	})
}

func TestPoliciesAreTheirNewestVersion(t *testing.T) {
	s, key := fresh(t), newKey(t)
	m := key.Public()
	one := &wire.Policy{Member: m, Version: 1, Text: "one"}
	two := &wire.Policy{Member: m, Version: 2, Prev: one.Digest(), Text: "two"}
	put := func(tx *Tx, p *wire.Policy) error { e := wire.Sign(key, p); return tx.PutPolicy(p, &e) }
	update(t, s, func(tx *Tx) error {
		if p, _, err := tx.Policy(m); p != nil || err != nil {
			t.Errorf("%+v, %v", p, err)
		}
		if err := put(tx, one); err != nil {
			return err
		}
		return put(tx, two)
	})
	view(t, s, func(tx *Tx) error {
		p, e, err := tx.Policy(m)
		if err != nil || p.Digest() != two.Digest() || e.Signer != m {
			t.Errorf("%+v, %v", p, err)
		}
		return nil
	})
	if err := s.Update(t.Context(), "test", func(tx *Tx) error { return put(tx, two) }); err == nil {
		t.Error("a version was stored twice")
	}
}
