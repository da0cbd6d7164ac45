package server

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"tributary/coordinator/internal/store"
	"tributary/crypto/identity"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

// ended puts jobs into the store as if they had run: their statuses by digest's first byte, from 1.
func ended(t *testing.T, w *world, statuses ...string) (names []string) {
	t.Helper()
	key, err := identity.Generate()
	if err != nil {
		t.Fatal(err)
	}
	c := &wire.Charter{Consortium: "c", Version: 1, Organisation: "o", Coordinator: key.Public(), LogOrigin: "l"}
	envelope := wire.Sign(key, c)
	err = w.engine.Store.Update(t.Context(), "test", func(tx *store.Tx) error {
		if err := tx.PutCharter(c, &envelope); err != nil {
			return err
		}
		for i, s := range statuses {
			name := fmt.Sprintf("job-%d", i+1)
			names = append(names, name)
			j := &store.Job{ID: wire.Digest{byte(i + 1)}, Name: name, SubmitToken: name, Charter: c.Digest(), Status: s, SubmittedMs: int64(i + 1), EndedMs: 9, Manifest: []byte{1}, Resolved: []byte{1}, Contract: []byte{1}, Spec: []byte{1}}
			if err := tx.PutJob(j, []byte("state")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// history is an alias's jobs, newest first: > counts, - was rolled back.
func history(a *pb.ModelAlias) string {
	var out []string
	for _, p := range a.GetHistory() {
		mark := ""
		switch {
		case p.GetPromotion() == a.GetPromotion():
			mark = ">"
		case p.GetWithdrawnMs() != 0:
			mark = "-"
		}
		out = append(out, mark+p.GetName())
	}
	return strings.Join(out, " ")
}

// A rollback returns to what counted before the promotion that it takes back; the history keeps both, with who and why.
func TestAliasIsPromotedAndRolledBack(t *testing.T) {
	w := newWorld(t)
	names := ended(t, w, "completed", "completed", "aborted", "completed")
	anna, bob := w.operator("anna"), w.operator("bob")
	promote := func(o pb.OperatorClient, job, alias, reason string) (*pb.ModelAlias, error) {
		return o.PromoteModel(t.Context(), &pb.PromoteRequest{Job: job, Alias: alias, Reason: reason})
	}
	rollback := func(o pb.OperatorClient, promotion uint64) (*pb.ModelAlias, error) {
		return o.RollbackModel(t.Context(), &pb.RollbackRequest{Alias: "live", Promotion: promotion, Reason: "worse"})
	}
	want := func(a *pb.ModelAlias, err error, job, past string) {
		t.Helper()
		if err != nil || a.GetName() != job || history(a) != past {
			t.Errorf("%s, %s, %v; want %s, %s", a.GetName(), history(a), err, job, past)
		}
	}
	first, err := promote(anna, names[0], "live", "")
	want(first, err, "job-1", ">job-1")
	_, err = rollback(anna, first.GetPromotion())
	refused(t, err, codes.FailedPrecondition, "no-previous")
	second, err := promote(bob, names[1], "live", "better AUC")
	want(second, err, "job-2", ">job-2 job-1")
	_, err = promote(bob, names[1], "live", "")
	refused(t, err, codes.FailedPrecondition, "promoted")
	third, err := promote(anna, names[3], "live", "")
	want(third, err, "job-4", ">job-4 job-2 job-1")
	_, err = promote(anna, names[0], "trial", "")
	if err != nil {
		t.Error(err)
	}
	_, err = rollback(bob, second.GetPromotion())
	refused(t, err, codes.FailedPrecondition, "changed")
	a, err := rollback(bob, third.GetPromotion())
	want(a, err, "job-2", "-job-4 >job-2 job-1")
	_, err = rollback(bob, third.GetPromotion())
	refused(t, err, codes.FailedPrecondition, "changed")
	a, err = rollback(anna, a.GetPromotion())
	want(a, err, "job-1", "-job-4 -job-2 >job-1")
	a, err = promote(anna, names[3], "live", "")
	want(a, err, "job-4", ">job-4 -job-4 -job-2 job-1")
	a, err = rollback(anna, a.GetPromotion())
	want(a, err, "job-1", "-job-4 -job-4 -job-2 >job-1")
	again, err := anna.GetAlias(t.Context(), &pb.GetAliasRequest{Alias: "live"})
	want(again, err, "job-1", "-job-4 -job-4 -job-2 >job-1")
	if p := again.GetHistory()[2]; p.GetBy() != "bob" || p.GetReason() != "better AUC" || p.GetWithdrawnBy() != "anna" || p.GetWithdrawnReason() != "worse" || p.GetAtMs() == 0 {
		t.Errorf("%+v", p)
	}
	list, err := anna.ListModels(t.Context(), &pb.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, m := range list.GetModels() {
		told[m.GetName()] = strings.Join(m.GetAliases(), " ")
	}
	if len(told) != 3 || told["job-1"] != "live trial" || told["job-2"]+told["job-4"] != "" {
		t.Errorf("%v", told)
	}
	id, err := w.engine.FindModel(t.Context(), "live")
	if err != nil || id != (wire.Digest{1}) {
		t.Errorf("%x, %v", id, err)
	}

	_, err = promote(anna, names[2], "live", "")
	refused(t, err, codes.FailedPrecondition, "not-completed")
	_, err = promote(anna, "nothing", "live", "")
	refused(t, err, codes.NotFound, "not-found")
	_, err = promote(anna, names[0], "live", "a\nb")
	refused(t, err, codes.InvalidArgument, "reason")
	for _, alias := range []string{"", "Live", "1st", "deadbeef", "a b", "é", strings.Repeat("x", 65)} {
		_, err = promote(anna, names[0], alias, "")
		refused(t, err, codes.InvalidArgument, "alias")
	}
	_, err = anna.GetAlias(t.Context(), &pb.GetAliasRequest{Alias: "nothing"})
	refused(t, err, codes.NotFound, "no-alias")
	_, err = anna.RollbackModel(t.Context(), &pb.RollbackRequest{Alias: "nothing"})
	refused(t, err, codes.NotFound, "no-alias")
}
