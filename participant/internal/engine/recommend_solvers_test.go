package engine

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"tributary/models/mf"
	"tributary/participant/internal/config"
	"tributary/participant/internal/source"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// kinds counts the customers of a member that are recommended what they like, by the model that the member verified.
func (w *world) kinds(m *member, job wire.Digest) int {
	w.t.Helper()
	model, err := ReadFinished(w.job(m, job))
	if err != nil {
		w.t.Fatal(err)
	}
	rows, err := source.Read(w.t.Context(), m.config.Data[0].Binding, model.Contract, source.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	table, err := rows.PairTable(jobspec.Holdout{}, "article")
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := mf.NewRecommender(model.Program, model.State, table)
	if err != nil {
		w.t.Fatal(err)
	}
	right := 0
	for u := range 120 {
		list, err := r.For(u, mf.Choice{Top: 1, IncludeSeen: true})
		if err != nil || len(list) != 1 {
			w.t.Fatalf("%v (%v)", list, err)
		}
		if r.Name(list[0].Item)[:1] == "ab"[u%2:u%2+1] {
			right++
		}
	}
	return right
}

// Jobs whose participants train their items' factors locally go through the same rounds as others.
func TestRecommendersByGradientsComplete(t *testing.T) {
	for solver, edits := range map[string][]string{
		"bpr": {"l2: 2", "solver: bpr"},
		"sgd": {"l2: 2, max_rounds: 3", "solver: sgd, max_rounds: 8", "item: article,", "item: article, rating: stars, patience: 3,"},
	} {
		t.Run(solver, func(t *testing.T) {
			w := newWorld(t, "alpen", "baltic", "coast", "delta")
			w.purchasing(map[string]int{"bpr": 10, "sgd": 2}[solver])
			w.startAll()
			job := w.submit(strings.NewReplacer(edits...).Replace(recommendText))
			w.ends(job, round.Completed)
			for _, m := range w.members {
				w.closed(m, job)
			}
			if right := w.kinds(w.members[0], job); right < 110 {
				t.Errorf("%d of 120 customers are recommended their kind", right)
			}
		})
	}
}

// A private recommender's sums are noised and charged one by one; its model recommends as well as others, whether it learns from what
// was taken or from ratings.
func TestPrivateRecommenderIsCharged(t *testing.T) {
	for name, c := range map[string]struct{ disliked, sums int }{"taken": {10, 5}, "rated": {2, 6}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "alpen", "baltic", "coast", "delta")
			w.purchasing(c.disliked)
			for _, m := range w.members {
				w.write(m, "participant.yaml", fmt.Sprintf("version: 1\nname: %s\ndata_dir: state\npolicy: {contracts: [purchases@1], privacy: [private], approve: automatic}\ndata:\n  - {contract: purchases@1, id: customers, source: {csv: purchases.csv}}\n", m.name))
				config, err := config.Load(filepath.Join(m.dir, "participant.yaml"))
				if err != nil {
					t.Fatal(err)
				}
				m.config = config
				w.openUnit(m, wire.UnitUser, "10")
			}
			w.startAll()
			spec := strings.NewReplacer("factors: 2, l2: 2, max_rounds: 3", "factors: 2", "privacy: exact", `privacy: {unit: user, epsilon: "8", delta: "1e-5"}`).Replace(recommendText)
			if name == "rated" {
				spec = strings.Replace(spec, "item: article,", "item: article, rating: stars,", 1)
			}
			job := w.submit(spec)
			w.ends(job, round.Completed)
			for _, m := range w.members {
				w.closed(m, job)
				if a, charges := w.account(m); len(charges) != c.sums || a.Spent == 0 || a.Spent > a.Budget() {
					t.Errorf("%s: %d charges, %d of %d spent", m.name, len(charges), a.Spent, a.Budget())
				}
			}
			if right := w.kinds(w.members[0], job); right < 100 {
				t.Errorf("%d of 120 customers are recommended their kind", right)
			}
			model, err := ReadFinished(w.job(w.members[0], job))
			if err != nil {
				t.Fatal(err)
			}
			q, ok := model.State.Metrics()
			own := w.own(w.members[0], job)
			if !ok || own == nil || own.Summary.RMSE.Known != (name == "rated") || q.RMSE.Known != own.Summary.RMSE.Known || own.Summary.RMSE.V > 1.5 {
				t.Errorf("%s of about %d users; its own: %+v", q.Ranking(), q.Users, own)
			}
			t.Logf("%s", q.Ranking())
		})
	}
}
