package mf_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/mf"
	"tributary/models/optim"
)

// byGradients are the edits that make a program one of local training.
func byGradients(explicit bool, edits ...string) []string {
	out := []string{`"als"`, `"bpr"`, `,"alpha":5`, ``, `"l2":0.5`, `"l2":0.02`, `"seed":"3"`, `"seed":"3","epochs":4,"learning_rate":0.1`}
	if explicit {
		out = []string{`"als"`, `"sgd"`, `"seed":"3"`, `"seed":"3","epochs":5,"learning_rate":0.1`}
	}
	return append(out, edits...)
}

// Ratings of rank 2 are learnt by SGD as well as by ALS, whose objective it shares, and as well by three participants as by one.
func TestRatingsBySGD(t *testing.T) {
	w := newWorld(40)
	tables := []*dataset.Table{w.table(400), w.table(300), w.table(500)}
	run := func(contributors int, edits []string, tables ...*dataset.Table) (rmse, objective float64) {
		s, reports := train(t, program(t, w.items, contributors, true, edits...), -1, tables...)
		q, _ := s.Metrics()
		return q.RMSE.V, reports[len(reports)-2].Objective
	}
	long := []string{`"max_rounds":8`, `"max_rounds":30`, `"l2":0.5`, `"l2":1`}
	edits := byGradients(true, long...)
	federated, objective := run(3, edits, tables...)
	pooled, _ := run(1, edits, join(tables...))
	als, least := run(3, long, tables...)
	t.Logf("RMSE of ratings with noise 0.3: SGD %.4f, pooled %.4f, ALS %.4f; objectives SGD %.1f, ALS %.1f", federated, pooled, als, objective, least)
	if !(federated <= 1.03*pooled) || !(federated <= als) {
		t.Errorf("RMSE %.4f, pooled %.4f, ALS %.4f", federated, pooled, als)
	}
	if !(objective <= 1.03*least) {
		t.Errorf("objective %.1f, ALS reaches %.1f", objective, least)
	}
}

// BPR finds tastes, and its loss falls.
func TestTasteByBPR(t *testing.T) {
	w := newWorld(40)
	tables := []*dataset.Table{w.table(150), w.table(100), w.table(200)}
	s, reports := train(t, program(t, w.items, 3, false, byGradients(false)...), -1, tables...)
	pooled, _ := train(t, program(t, w.items, 1, false, byGradients(false)...), -1, join(tables...))
	got, _ := s.Metrics()
	want, _ := pooled.Metrics()
	t.Logf("%s; pooled: %s", got.Ranking(), want.Ranking())
	if !(got.Recall.V >= 0.4) || !(got.Recall.V >= 0.95*want.Recall.V) {
		t.Errorf("recall@10 %.4f, pooled %.4f", got.Recall.V, want.Recall.V)
	}
	first, last := reports[1].LossPerRow, reports[len(reports)-2].LossPerRow
	if !(last < 0.7*first) {
		t.Errorf("the loss went from %.4f to %.4f a pair", first, last)
	}
}

// A participant that is killed computes a round again: what it sends depends on the state and its rows alone, not on what it did before.
func TestRoundsOfLocalTrainingArePure(t *testing.T) {
	for _, explicit := range []bool{false, true} {
		w := newWorld(30)
		table := w.table(150)
		p := program(t, w.items, 1, explicit, byGradients(explicit)...)
		before, err := local.New(p, table)
		if err != nil {
			t.Fatal(err)
		}
		for rounds := 1; rounds <= 3; rounds++ {
			s, _ := train(t, p, rounds, table)
			kept, err := before.Sums(s)
			if err != nil {
				t.Fatal(err)
			}
			restarted, err := local.New(p, table)
			if err != nil {
				t.Fatal(err)
			}
			again, err := restarted.Sums(s)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(kept, again) {
				t.Errorf("explicit %t: after a restart round %d gives another sum", explicit, rounds)
			}
		}
	}
}

// Whatever a state makes of local training, no value leaves its lane, and nothing leaves that isn't a number.
func TestChangesStayInTheirLanes(t *testing.T) {
	for _, explicit := range []bool{false, true} {
		w := newWorld(30)
		table := w.table(150)
		p := program(t, w.items, 1, explicit, byGradients(explicit, `"learning_rate":0.`, `"learning_rate":50.`)...)
		s, _ := train(t, p, 1, table)
		r, err := local.New(p, table)
		if err != nil {
			t.Fatal(err)
		}
		out, err := r.Sums(s)
		if err != nil {
			continue // diverged: nothing leaves
		}
		for i, segment := range p.Layout(optim.Train) {
			for j, v := range out[i] {
				if segment.ScaleNum != 1 && !(math.Abs(v) <= 1) {
					t.Fatalf("explicit %t: %s[%d] is %g", explicit, segment.Name, j, v)
				}
			}
		}
	}
}

// As many values leave whichever items a participant has.
func TestChangeIsAsLongForFewItemsAsForAll(t *testing.T) {
	w := newWorld(30)
	all, few := w.table(150), w.table(150)
	for i := range few.Columns[0].Codes {
		few.Columns[0].Codes[i] %= 12
	}
	p := program(t, w.items, 2, false, byGradients(false)...)
	s, _ := train(t, p, 1, all, few)
	var lengths [2][]int
	for n, table := range []*dataset.Table{all, few} {
		r, err := local.New(p, table)
		if err != nil {
			t.Fatal(err)
		}
		out, err := r.Sums(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, segment := range out {
			lengths[n] = append(lengths[n], len(segment))
		}
	}
	if !reflect.DeepEqual(lengths[0], lengths[1]) {
		t.Errorf("segments of %v and of %v values", lengths[0], lengths[1])
	}
}

// Items of one participant alone are learnt as fast as others: its change isn't thinned by participants without them.
func TestItemOfOneParticipantIsLearnt(t *testing.T) {
	w := newWorld(30)
	w.random = rand.New(rand.NewPCG(1, 2))
	with, without := w.table(200), w.table(400)
	for i, code := range without.Columns[0].Codes {
		if code == 0 {
			without.Columns[0].Codes[i] = 1
		}
	}
	edits := byGradients(true, `"max_rounds":8`, `"max_rounds":1`)
	alone, _ := train(t, program(t, w.items, 1, true, edits...), 2, with)
	both, _ := train(t, program(t, w.items, 2, true, edits...), 2, with, without)
	d := 5
	first, _ := train(t, program(t, w.items, 2, true, edits...), 1, with, without)
	moved := func(s *optim.State) (square float64) {
		for i := range d {
			c := s.Coefficients()[i] - first.Coefficients()[i]
			square += c * c
		}
		return math.Sqrt(square)
	}
	if a, b := moved(alone), moved(both); !(b > 0.7*a) {
		t.Errorf("the item moves by %.4f, and by %.4f where it is all there is", b, a)
	}
}

// A list for a user of BPR is that of the evaluation: without its own items, by the score with the items' biases; and an item that isn't
// learnt is placed by its features, bias included.
func TestRecommendationsOfBPR(t *testing.T) {
	w := newWorld(40)
	table := w.table(300)
	p := program(t, w.items, 1, false, byGradients(false)...)
	s, _ := train(t, p, -1, table)
	r, err := mf.NewRecommender(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	q, _ := s.Metrics()
	hits, users := 0.0, 0.0
	for u := range 300 {
		relevant, own := map[int32]bool{}, map[int32]bool{}
		for i, user := range table.User {
			if user == int32(u) && table.HeldOut[i] {
				relevant[table.Columns[0].Codes[i]] = true
			} else if user == int32(u) {
				own[table.Columns[0].Codes[i]] = true
			}
		}
		list, err := r.For(u, mf.Choice{Top: 10})
		if err != nil {
			t.Fatal(err)
		}
		found := 0.0
		for n, item := range list {
			if own[item.Item] || item.Popular || n > 0 && item.Score > list[n-1].Score {
				t.Fatalf("user %d: %+v", u, list)
			}
			if relevant[item.Item] {
				found++
			}
		}
		if len(relevant) > 0 && len(own) > 0 {
			hits, users = hits+found/float64(len(relevant)), users+1
		}
	}
	if math.Abs(hits/users-q.Recall.V) > 1e-9 {
		t.Errorf("the lists have recall %.6f, the evaluation says %.6f", hits/users, q.Recall.V)
	}
	var features []mf.ItemFeatures
	for i, name := range append(slices.Clone(w.items), "new") {
		taste := w.taste[i%40]
		features = append(features, mf.ItemFeatures{Name: name, Features: taste[:]})
	}
	if err := r.UseFeatures(features); err != nil {
		t.Fatal(err)
	}
	list, err := r.For(0, mf.Choice{Top: 41})
	if err != nil || !slices.ContainsFunc(list, func(i mf.Recommended) bool { return r.Name(i.Item) == "new" }) {
		t.Errorf("%v %v", list, err)
	}
}
