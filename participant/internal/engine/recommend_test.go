package engine

import (
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"tributary/models/mf"
	"tributary/participant/internal/config"
	"tributary/participant/internal/source"
	"tributary/participant/internal/store"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

const purchasesText = `version: 1
name: purchases
revision: 1
key: customer_id
max_rows: 10000
columns:
  article: {type: category, values: [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, b0, b1, b2, b3, b4, b5, b6, b7, b8, b9], other: keep}
  stars:   {type: number, min: 1, max: 5}
`

const recommendText = `version: 1
name: recommend
contract: purchases@1
model: {type: matrix_factorization, factors: 2, l2: 2, max_rounds: 3, recommendation: {item: article, top_k: 5}}
evaluate: {holdout: 0.2}
privacy: exact
run: {mode: sealed, committee: {threshold: 3, of: 4}, round_timeout: 2m, expires: 1h, seed: 5}
`

// purchasing binds every member to purchases: half of the customers like articles a, half articles b; one purchase in so many is of
// what they don't like, and gets few stars.
func (w *world) purchasing(disliked int) {
	w.t.Helper()
	w.contract = parseContract(w.t, purchasesText)
	for _, m := range w.members {
		w.write(m, "purchases.yaml", purchasesText)
		r := mathrand.New(mathrand.NewPCG(9, uint64(len(m.name))))
		var b strings.Builder
		b.WriteString("customer_id,article,stars\n")
		for u := range 120 {
			for range 8 {
				kind, stars := "ab"[u%2:u%2+1], 4+r.IntN(2)
				if r.IntN(disliked) == 0 {
					kind, stars = "ba"[u%2:u%2+1], 1+r.IntN(2)
				}
				fmt.Fprintf(&b, "%s-%d,%s%d,%d\n", m.name, u, kind, r.IntN(10), stars)
			}
		}
		w.write(m, "purchases.csv", b.String())
		w.write(m, "participant.yaml", fmt.Sprintf("version: 1\nname: %s\ndata_dir: state\npolicy: {contracts: [purchases@1], approve: automatic}\ndata:\n  - {contract: purchases@1, id: purchases, source: {csv: purchases.csv}}\n", m.name))
		c, err := config.Load(filepath.Join(m.dir, "participant.yaml"))
		if err != nil {
			w.t.Fatal(err)
		}
		m.config = c
	}
}

// A recommender's job goes through the same rounds, with its items' sums alone; every member can then recommend by the model that it
// verified.
func TestRecommenderJobCompletes(t *testing.T) {
	for name, disliked := range map[string]int{"implicit": 10, "explicit": 2} {
		spec := recommendText
		if name == "explicit" {
			spec = strings.Replace(spec, "item: article,", "item: article, rating: stars, patience: 2,", 1)
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "alpen", "baltic", "coast", "delta")
			w.purchasing(disliked)
			w.startAll()
			job := w.submit(spec)
			w.ends(job, round.Completed)
			for _, m := range w.members {
				w.closed(m, job)
				if j := w.job(m, job); round.StateDigest(j.Record.State) != round.StateDigest(w.fake.view(job).State) {
					t.Errorf("%s verified another state", m.name)
				}
			}
			if n := w.fake.puts[wire.TypeRefusal]; n != 0 {
				t.Errorf("%d refusals: %v", n, w.fake.refusals)
			}
			m := w.members[0]
			model, err := ReadFinished(w.job(m, job))
			if err != nil {
				t.Fatal(err)
			}
			q, ok := model.State.Metrics()
			if !ok || q.Users < 200 || q.Recall.V < 0.5 || q.Coverage.V < 0.9 || q.RMSE.Known != (name == "explicit") {
				t.Errorf("%s of %d users", q.Ranking(), q.Users)
			}
			if own := w.own(m, job); own == nil || own.Summary.Users == 0 || own.Summary.Users >= q.Users || own.Summary.RMSE.Known != q.RMSE.Known {
				t.Errorf("its own: %+v", own)
			}
			rows, err := source.Read(t.Context(), m.config.Data[0].Binding, model.Contract, source.Options{})
			if err != nil {
				t.Fatal(err)
			}
			table, err := rows.PairTable(jobspec.Holdout{}, "article")
			if err != nil {
				t.Fatal(err)
			}
			r, err := mf.NewRecommender(model.Program, model.State, table)
			if err != nil {
				t.Fatal(err)
			}
			right := 0
			for u := range 120 {
				list, err := r.For(u, mf.Choice{Top: 1, IncludeSeen: true})
				if err != nil || len(list) != 1 {
					t.Fatalf("%v (%v)", list, err)
				}
				if r.Name(list[0].Item)[:1] == "ab"[u%2:u%2+1] {
					right++
				}
			}
			if right < 110 {
				t.Errorf("%d of 120 customers are recommended their kind", right)
			}
		})
	}
}

func TestFinishedModelIsOfAFinishedJob(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	w.startAll()
	job := w.submit(specText)
	w.ends(job, round.Completed)
	m := w.members[0]
	w.closed(m, job)
	j := w.job(m, job)
	if _, err := ReadFinished(j); err != nil {
		t.Error(err)
	}
	fit, record := *j, *j.Record
	record.State = mustFinish(t, j).Program.InitialState()
	fit.Record = &record
	if _, err := ReadFinished(&fit); !errors.Is(err, ErrNoModel) {
		t.Errorf("state 0: %v", err)
	}
	open := *j
	open.Status = store.Approved
	if _, err := ReadFinished(&open); !errors.Is(err, ErrNoModel) {
		t.Errorf("an open job: %v", err)
	}
}

func mustFinish(t *testing.T, j *store.Job) *Finished {
	t.Helper()
	f, err := ReadFinished(j)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
