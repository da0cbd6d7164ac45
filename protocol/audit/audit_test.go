package audit

import (
	"strings"
	"testing"

	"tributary/crypto/identity"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

func TestEveryKindOfEntryIsReadableAndItsSignatureChecked(t *testing.T) {
	key, _ := identity.Generate()
	member, _ := identity.Generate()
	card := wire.NewCard(member, "alpen", "Alpen AG")
	manifest := wire.Manifest{Kind: wire.Exact, Mode: wire.Sealed, T: 3, Cohort: []wire.Member{member.Public()}}
	job := manifest.Digest()
	type entry struct {
		kind ledger.Kind
		key  *identity.Key
		o    wire.Object
		want string
	}
	entries := []entry{
		{ledger.Enrolment, key, &wire.Enrolment{Card: card, Role: wire.RoleBoth}, "alpen of Alpen AG enrolled as both"},
		{ledger.Charter, key, &wire.Charter{Consortium: "shops", Version: 1, Coordinator: key.Public(), Members: []wire.CharterMember{{Card: card, Role: wire.RoleBoth}}}, `version 1 of "shops"`},
		{ledger.Job, key, &manifest, "exact job proposed: cohort of 1"},
		{ledger.Approval, member, &wire.Approval{Job: job, Member: member.Public()}, "alpen approved"},
		{ledger.Release, key, &wire.Release{Job: job, Round: 2, Kind: wire.Train, Suspects: []wire.Seat{{Index: 2, Member: member.Public()}}}, "seat 2 (alpen) was corrected"},
		{ledger.Refusal, member, &wire.Refusal{Job: job, Phase: "plan", Rule: "state"}, "alpen refused in plan (state)"},
		{ledger.Abort, key, &wire.Abort{Job: job, Round: 3, Phase: "check", Code: "complaint", Suspects: []wire.Member{member.Public()}}, "suspect alpen"},
		{ledger.Revocation, key, &wire.Revocation{Member: member.Public(), Reason: "left"}, "alpen revoked: left"},
		{ledger.Finish, key, &wire.Finish{Job: job, Outcome: wire.OutcomeAborted, Reason: "nobody came"}, "job aborted with state 000000000000: nobody came"},
	}
	r := NewReader()
	for i, c := range entries {
		e := wire.Sign(c.key, c.o)
		line, err := r.Read(ledger.Entry{Kind: c.kind, AtMs: 1000, Object: e.Bytes()})
		if err != nil {
			t.Fatal(err)
		}
		if line.Index != int64(i) || !strings.Contains(line.String(), c.want) {
			t.Errorf("%s: %q lacks %q", c.kind, line, c.want)
		}
		e.Sig[3] ^= 1
		if _, err := NewReader().Read(ledger.Entry{Kind: c.kind, Object: e.Bytes()}); err == nil {
			t.Errorf("%s: a wrong signature passed", c.kind)
		}
	}
	e := wire.Sign(key, &wire.Revocation{})
	if _, err := NewReader().Read(ledger.Entry{Kind: ledger.Release, Object: e.Bytes()}); err == nil {
		t.Error("a revocation passed as a release")
	}
}
