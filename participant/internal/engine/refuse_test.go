package engine

import (
	"slices"
	"strings"
	"testing"

	"tributary/crypto/identity"
	"tributary/participant/internal/config"
	"tributary/participant/internal/store"
	"tributary/protocol/jobspec"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

func (f *fake) refused() []wire.Refusal {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.refusals)
}

// refuses waits for one member's refusal of a rule and returns what that member keeps of the job.
func (w *world) refuses(m *member, job wire.Digest, rule round.Rule) *store.Job {
	w.t.Helper()
	w.until("a refusal", func() bool { return len(w.fake.refused()) > 0 })
	r := w.fake.refused()[0]
	if r.Rule != string(rule) || r.Phase != "approve" {
		w.t.Fatalf("refused in %s by rule %s, want %s: %s", r.Phase, r.Rule, rule, r.Hint)
	}
	w.closed(m, job)
	if n := w.fake.puts[wire.TypeApproval]; n != 0 {
		w.t.Errorf("%d approvals left all the same", n)
	}
	w.with(m, func(s *store.Store) {
		if n, _ := s.SeatKeys().Count(); n != 0 {
			w.t.Error("a seat key was made for a refused job")
		}
	})
	return w.job(m, job)
}

func TestJobUnderAnotherCharterIsRefused(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	invented, _ := identity.Generate()
	next := *w.fake.charter
	next.Version, next.Prev = 2, next.Digest()
	next.Members = append(slices.Clone(next.Members), wire.CharterMember{Card: wire.NewCard(invented, "ghost", "Ghost AG"), Role: wire.RoleBoth})
	slices.SortFunc(next.Members, func(a, b wire.CharterMember) int { return a.Card.Key.Compare(b.Card.Key) })
	w.fake.charter = &next
	w.start(w.members[0])
	job := w.submit(specText)
	j := w.refuses(w.members[0], job, round.RuleCharter)
	if hint := w.fake.refused()[0].Hint; !strings.Contains(hint, "charter show") {
		t.Errorf("hint %q", hint)
	}
	if j.Status != store.Refused {
		t.Error(j.Status)
	}
}

func TestInventedMemberIsRefusedUnderTheAcceptedCharter(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	invented, _ := identity.Generate()
	w.start(w.members[0])
	spec := w.resolve(strings.Replace(specText, "committee", "participants: [alpen, baltic, coast, delta, ghost], committee", 1), []string{"alpen", "baltic", "coast", "delta", "ghost"})
	cohort := append(w.cohort(), invented.Public())
	job := w.fake.propose(spec, w.contract, cohort, w.cohort(), nil)
	if j := w.refuses(w.members[0], job, round.RuleCohort); !strings.Contains(j.Why, "isn't in the charter") {
		t.Error(j.Why)
	}
}

func TestInventedSeatIsRefused(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	invented, _ := identity.Generate()
	w.start(w.members[0])
	seats := append(w.cohort()[:3], invented.Public())
	job := w.fake.propose(w.resolve(specText, []string{"alpen", "baltic", "coast", "delta"}), w.contract, w.cohort(), seats, nil)
	w.refuses(w.members[0], job, round.RuleCommittee)
}

func TestManifestThatIsntTheSpecsIsRefused(t *testing.T) {
	for name, change := range map[string]func(*wire.Manifest){
		"spec digest":     func(m *wire.Manifest) { m.SpecDigest[0]++ },
		"contract digest": func(m *wire.Manifest) { m.ContractDigest[0]++ },
		"round timeout":   func(m *wire.Manifest) { m.RoundMs++ },
		"expiry":          func(m *wire.Manifest) { m.ExpiresMs += 3 * 3600 * 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "alpen", "baltic", "coast", "delta")
			w.start(w.members[0])
			job := w.fake.propose(w.resolve(specText, []string{"alpen", "baltic", "coast", "delta"}), w.contract, w.cohort(), w.cohort(), change)
			w.refuses(w.members[0], job, round.RuleManifest)
		})
	}
}

func TestNodeWithoutAcceptedCharterRefuses(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.join("elbe", 200) // enrolled, but its operator hasn't accepted
	w.with(m, func(s *store.Store) {
		other := w.members[0]
		w.with(other, func(o *store.Store) {
			e, err := o.Enrolment()
			if err != nil {
				t.Fatal(err)
			}
			e.Name = m.name
			if err := s.SaveEnrolment(e); err != nil {
				t.Fatal(err)
			}
		})
	})
	slices.SortFunc(w.fake.charter.Members, func(a, b wire.CharterMember) int { return a.Card.Key.Compare(b.Card.Key) })
	w.start(m)
	job := w.fake.propose(w.resolve(specText, []string{"alpen", "baltic", "coast", "delta", "elbe"}), w.contract, w.cohort(), w.cohort()[:4], nil)
	w.refuses(m, job, round.RuleCharter)
}

func TestContractThatDiffersNamesTheColumn(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	w.write(m, "shop-customers.yaml", strings.Replace(contractText, "max: 110", "max: 100", 1))
	w.start(m)
	job := w.submit(specText)
	j := w.refuses(m, job, round.RuleData)
	if !strings.Contains(j.Why, "column age") || !strings.Contains(j.Why, "110") {
		t.Errorf("%q doesn't name the column", j.Why)
	}
	if hint := w.fake.refused()[0].Hint; strings.Contains(hint, "age") {
		t.Errorf("%q left the machine", hint)
	}
}

func TestPolicyRefusesWhatItDoesntAllow(t *testing.T) {
	for name, c := range map[string]struct {
		policy string
		rule   round.Rule
		why    string
	}{
		"contract":  {"contracts: [other@1], approve: automatic", round.RulePolicy, "policy.contracts"},
		"cohort":    {"contracts: [shop-customers@1], min_cohort: 5, approve: automatic", round.RulePolicy, "policy.min_cohort"},
		"min_count": {"contracts: [shop-customers@1], min_count_floor: 6, approve: automatic", round.RulePolicy, "policy.min_count_floor"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "alpen", "baltic", "coast", "delta")
			w.configure(w.members[0], c.policy)
			w.start(w.members[0])
			job := w.submit(specText)
			if j := w.refuses(w.members[0], job, c.rule); !strings.Contains(j.Why, c.why) {
				t.Error(j.Why)
			}
		})
	}
	// Kinds and modes that this version doesn't run never get as far as a manifest that opens.
	terms := &terms{resolved: &jobspec.Resolved{Contract: jobspec.ContractRef{Name: "c", Revision: 1}, Kind: "private", Mode: "sealed"}}
	policy := config.Policy{Contracts: []string{"c@1"}, Privacy: []string{"exact"}, Modes: []string{"sealed"}, MinCohort: 3}
	if err := checkPolicy(policy, terms); err == nil || !strings.Contains(err.Error(), "policy.privacy") {
		t.Error(err)
	}
	terms.resolved.Kind, terms.resolved.Mode = "exact", "noised"
	if err := checkPolicy(policy, terms); err == nil || !strings.Contains(err.Error(), "policy.modes") {
		t.Error(err)
	}
}

func TestBadDataAreRefusedWithoutAWordOfThem(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	w.write(m, "customers.csv", "customer_id,age,country,churned\nsecret-7,forty,DE,yes\n")
	w.start(m)
	job := w.submit(specText)
	j := w.refuses(m, job, round.RuleData)
	for _, text := range []string{j.Why, w.fake.refused()[0].Hint} {
		if strings.Contains(text, "forty") || strings.Contains(text, "secret-7") {
			t.Errorf("%q tells of the data", text)
		}
	}
}

func TestClosedJobWithoutTheOwnApprovalIsRefused(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	w.startAll()
	w.fake.mu.Lock()
	w.fake.onTask = func(member wire.Member, task *pb.Task) {
		if task.Phase != pb.Phase_PHASE_PLAN || member != w.members[0].key.Public() {
			return
		}
		j := w.fake.job(task.Job)
		j.approvals = slices.DeleteFunc(j.approvals, func(data []byte) bool {
			e, _ := wire.ParseEnvelope(data)
			return e.Signer == member
		})
	}
	w.fake.mu.Unlock()
	job := w.submit(specText)
	w.ends(job, round.Aborted)
	if r := w.fake.refused()[0]; r.Rule != string(round.RuleApprovals) || r.Phase != "plan" {
		t.Errorf("%+v", r)
	}
}
