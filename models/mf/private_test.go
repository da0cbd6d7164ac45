package mf_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/mf"
	"tributary/models/optim"
)

const privateUnit = 1 << 14 // the scale of private test programs

// renyiMu is the largest √(Σ(Δ/σ)²) whose Rényi curve gives (ε, δ) at the best integer order: what an account's filter allows
// [CKS20, Prop. 12].
func renyiMu(epsilon, delta float64) float64 {
	best := 0.0
	for a := 2.0; a < 5000; a++ {
		best = max(best, 2*(epsilon-math.Log(1/(a*delta))/(a-1)+math.Log(a/(a-1)))/a)
	}
	return math.Sqrt(best)
}

// privateOptions say what a private test program is like.
type privateOptions struct {
	items         []string
	contributors  int
	factors       int
	rounds        int
	clip          uint64
	epsilon       float64 // 0: as good as no noise
	fit, evaluate float64 // shares of the budget
	metrics       []string
	rated         bool // by stars of 1 to 5
}

func (o privateOptions) program(t testing.TB) *optim.Program {
	t.Helper()
	sigma2 := func(share float64, rounds int) string {
		if o.epsilon == 0 {
			return "16"
		}
		mu, clip := renyiMu(o.epsilon, 1e-5), float64(o.clip)
		return strconv.FormatUint(uint64(math.Ceil(privateUnit*privateUnit*clip*clip*float64(rounds)/(share*mu*mu))), 10)
	}
	features := []any{map[string]any{"name": "item", "kind": "category", "values": o.items, "nullable": false, "missing_indicator": false}}
	if o.rated {
		features = append(features, map[string]any{"name": "stars", "kind": "number", "min": 1, "max": 5, "nullable": false, "log1p": false, "scale": true, "missing_indicator": false})
	}
	doc, err := json.Marshal(map[string]any{
		"version": 1, "contributors": o.contributors, "bits": 40, "max_rows": 1_000_000,
		"features": features,
		"model": map[string]any{"type": "matrix_factorization", "l2": 1, "solver": "dp_als", "max_rounds": o.rounds, "factors": o.factors,
			"recommendation": map[string]any{"explicit": o.rated, "top_k": 10, "patience": 0, "seed": "3"}},
		"private": map[string]any{"unit": "user", "clip": o.clip, "scale": privateUnit, "bins": 50, "sigma2_fit": sigma2(o.fit, 1),
			"sigma2_train": sigma2(1-o.fit-o.evaluate, o.rounds), "sigma2_evaluate": sigma2(o.evaluate, 1)},
		"evaluate": map[string]any{"holdout": true, "metrics": o.metrics},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := optim.ParseProgram(doc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// noised sums the users' contributions of all tables, with the noise that the program says.
func noised(t testing.TB, p *optim.Program, s *optim.State, members []local.Rounds, random *rand.Rand) [][]float64 {
	t.Helper()
	q := p.Privacy()
	sigma := math.Sqrt(float64(map[optim.RoundKind]uint64{optim.Fit: q.Sigma2Fit, optim.Train: q.Sigma2Train, optim.Evaluate: q.Sigma2Evaluate}[s.Kind()]))
	var sum [][]float64
	var lanes []*float64
	for _, segment := range p.Layout(s.Kind()) {
		values := make([]float64, segment.Length)
		for i := range values {
			lanes = append(lanes, &values[i])
		}
		sum = append(sum, values)
	}
	for _, m := range members {
		units, err := m.Contributions(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		for at, values := range units {
			square := 0.0
			for i, lane := range at {
				if i > 0 && lane <= at[i-1] {
					t.Fatalf("lanes %v", at)
				}
				*lanes[lane] += values[i]
				square += values[i] * values[i]
			}
			if limit := float64(q.Clip * q.Scale); !(math.Sqrt(square) <= limit*(1+1e-12)) {
				t.Fatalf("%s: a user's norm is %g, the clip %g", s.Kind(), math.Sqrt(square), limit)
			}
		}
	}
	for _, v := range lanes {
		*v = math.RoundToEven(*v + sigma*random.NormFloat64())
	}
	return sum
}

// trainPrivately runs a private job without the seal.
func trainPrivately(t testing.TB, p *optim.Program, seed uint64, tables ...*dataset.Table) (*optim.State, []optim.Report) {
	t.Helper()
	var members []local.Rounds
	for _, table := range tables {
		m, err := local.New(p, table)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, m)
	}
	var reports []optim.Report
	random := rand.New(rand.NewPCG(seed, 99))
	s := p.Initial()
	for s.Kind() != optim.Done {
		decoded, err := p.DecodeState(s.Encode())
		if err != nil {
			t.Fatal(err)
		}
		next, report, err := p.Apply(decoded, noised(t, p, s, members, random))
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, report)
		s = next
	}
	return s, reports
}

// shoppers draws users with about twelve items each: by a taste of rank 4, and by how popular items are.
func shoppers(users, items int, random *rand.Rand) (*dataset.Table, []string) {
	var names []string
	traits := make([][4]float64, items)
	for i := range items {
		names = append(names, fmt.Sprintf("i%d", i))
		for f := range 4 {
			traits[i][f] = random.NormFloat64()
		}
	}
	t := &dataset.Table{HeldOut: []bool{}, User: []int32{}}
	column := dataset.Column{Name: "item", Values: names, Codes: []int32{}}
	for u := range users {
		var taste [4]float64
		for f := range taste {
			taste[f] = random.NormFloat64()
		}
		order, score := make([]int32, items), make([]float64, items)
		for i := range items {
			order[i] = int32(i)
			score[i] = -0.7*math.Log(float64(i+1)) - math.Log(random.ExpFloat64())
			for f := range taste {
				score[i] += 1.2 * taste[f] * traits[i][f]
			}
		}
		slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(score[b], score[a]) })
		for _, item := range order[:6+random.IntN(13)] {
			column.Codes = append(column.Codes, item)
			t.User, t.HeldOut = append(t.User, int32(u)), append(t.HeldOut, random.IntN(5) == 0)
			t.Rows++
		}
	}
	t.Columns = []dataset.Column{column}
	return t, names
}

// deal cuts a table into n by user.
func deal(t *dataset.Table, n int) []*dataset.Table {
	out := make([]*dataset.Table, n)
	numbers := make([]map[int32]int32, n)
	for i := range out {
		out[i] = &dataset.Table{User: []int32{}, HeldOut: []bool{}}
		for _, c := range t.Columns {
			out[i].Columns = append(out[i].Columns, dataset.Column{Name: c.Name, Values: c.Values})
		}
		numbers[i] = map[int32]int32{}
	}
	for i, u := range t.User {
		to, known := out[int(u)%n], numbers[int(u)%n]
		if _, ok := known[u]; !ok {
			known[u] = int32(len(known))
		}
		to.Rows++
		to.User, to.HeldOut = append(to.User, known[u]), append(to.HeldOut, t.HeldOut[i])
		for n, c := range t.Columns {
			if own := &to.Columns[n]; c.Codes != nil {
				own.Codes = append(own.Codes, c.Codes[i])
			} else {
				own.Numbers = append(own.Numbers, c.Numbers[i])
			}
		}
	}
	return out
}

func recallAt10(t testing.TB, p *optim.Program, s *optim.State, table *dataset.Table) float64 {
	t.Helper()
	r, err := mf.NewRecommender(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	relevant, known := map[int32]map[int32]bool{}, map[int32]bool{}
	for i, u := range table.User {
		if !table.HeldOut[i] {
			known[u] = true
			continue
		}
		if relevant[u] == nil {
			relevant[u] = map[int32]bool{}
		}
		relevant[u][table.Columns[0].Codes[i]] = true
	}
	total, users := 0.0, 0.0
	for u, items := range relevant {
		if !known[u] {
			continue
		}
		list, err := r.For(int(u), mf.Choice{Top: 10})
		if err != nil {
			t.Fatal(err)
		}
		hits := 0.0
		for _, item := range list {
			if items[item.Item] {
				hits++
			}
		}
		total, users = total+hits/float64(len(items)), users+1
	}
	return total / users
}

func defaultOptions(items []string, contributors int, epsilon float64) privateOptions {
	return privateOptions{items: items, contributors: contributors, factors: 8, rounds: 3, clip: 1, epsilon: epsilon, fit: 0.1, evaluate: 0.05, metrics: []string{"recall", "ndcg", "map"}}
}

// At ε = 1 and δ = 1e-5, lists for 4,000 users are far better than the most popular items, whatever the noise; and the noised recall is
// near the true one. What is learnt without noise bounds it.
func TestPrivateRecommenderBeatsPopularity(t *testing.T) {
	table, items := shoppers(4000, 100, rand.New(rand.NewPCG(5, 6)))
	parts := deal(table, 4)
	popular := popularity(table, len(items), 10)
	clear := defaultOptions(items, 4, 0).program(t)
	best, _ := trainPrivately(t, clear, 0, parts...)
	t.Logf("recall@10: the most popular %.4f, without noise %.4f", popular, recallAt10(t, clear, best, table))
	p := defaultOptions(items, 4, 1).program(t)
	for seed := range uint64(4) {
		s, reports := trainPrivately(t, p, seed, parts...)
		recall := recallAt10(t, p, s, table)
		q, _ := s.Metrics()
		t.Logf("ε = 1: recall@10 %.4f; %s", recall, reports[len(reports)-1].Note)
		if !(recall > 1.5*popular) {
			t.Errorf("recall@10 %.4f, the most popular items alone have %.4f", recall, popular)
		}
		if math.Abs(q.Recall.V-recall) > 0.1 { // ten times what its noise has
			t.Errorf("the noised recall@10 is %.4f, the true one %.4f", q.Recall.V, recall)
		}
	}
}

// A user who has every item, a thousand times, counts as one: its part of each sum is within the clip, and no other user's changes.
func TestHostileUserIsClipped(t *testing.T) {
	honest, items := shoppers(300, 200, rand.New(rand.NewPCG(7, 8)))
	hostile := &dataset.Table{Rows: honest.Rows, Columns: []dataset.Column{{Name: "item", Values: items, Codes: slices.Clone(honest.Columns[0].Codes)}}, User: slices.Clone(honest.User), HeldOut: slices.Clone(honest.HeldOut)}
	for range 1000 {
		for item := range int32(200) {
			hostile.Rows++
			hostile.Columns[0].Codes = append(hostile.Columns[0].Codes, item)
			hostile.User, hostile.HeldOut = append(hostile.User, 300), append(hostile.HeldOut, item < 30)
		}
	}
	for _, clip := range []uint64{1, 3, 50} {
		o := defaultOptions(items, 1, 0)
		o.clip = clip
		p := o.program(t)
		without, err := local.New(p, honest)
		if err != nil {
			t.Fatal(err)
		}
		with, err := local.New(p, hostile)
		if err != nil {
			t.Fatal(err)
		}
		s := p.Initial()
		for s.Kind() != optim.Done {
			a, b := contributions(t, without, s, nil), contributions(t, with, s, nil)
			if len(b) != len(a)+1 || !reflect.DeepEqual(a, b[:len(a)]) {
				t.Fatalf("%s: other users contribute otherwise beside a hostile one", s.Kind())
			}
			square := 0.0
			for _, v := range b[len(a)].values {
				square += v * v
			}
			limit := float64(clip * privateUnit)
			if s.Kind() == optim.Evaluate {
				limit = float64(min(clip, 2) * privateUnit) // of four values
			}
			if norm := math.Sqrt(square); !(norm <= limit*(1+1e-12)) || clip == 1 && !(norm > 0.7*limit) {
				t.Errorf("%s: its norm is %g, the clip %g", s.Kind(), norm, limit)
			}
			next, _, err := p.Apply(s, noised(t, p, s, []local.Rounds{without}, rand.New(rand.NewPCG(1, 1))))
			if err != nil {
				t.Fatal(err)
			}
			s = next
		}
	}
}

type contributed struct {
	lanes  []int
	values []float64
}

func contributions(t testing.TB, r local.Rounds, s *optim.State, batch []int) (out []contributed) {
	t.Helper()
	units, err := r.Contributions(s, batch)
	if err != nil {
		t.Fatal(err)
	}
	for lanes, values := range units {
		out = append(out, contributed{append([]int{}, lanes...), append([]float64{}, values...)})
	}
	return out
}

// A batch has its users' contributions, each as it is among all.
func TestBatchOfUsers(t *testing.T) {
	table, items := shoppers(200, 50, rand.New(rand.NewPCG(9, 1)))
	p := defaultOptions(items, 1, 0).program(t)
	r, err := local.New(p, table)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Initial()
	for s.Kind() != optim.Done {
		all, some := contributions(t, r, s, nil), contributions(t, r, s, []int{3, 77, 199})
		if n, err := r.Units(s); err != nil || n != 200 || len(all) != 200 || !reflect.DeepEqual(some, []contributed{all[3], all[77], all[199]}) {
			t.Fatalf("%s: %d units (%v), a batch of %d", s.Kind(), n, err, len(some))
		}
		next, _, err := p.Apply(s, noised(t, p, s, []local.Rounds{r}, rand.New(rand.NewPCG(1, 1))))
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
}

// Raw sums of a private program don't exist, nor contributions of an exact one.
func TestPrivateProgramHasNoRawSums(t *testing.T) {
	table, items := shoppers(100, 50, rand.New(rand.NewPCG(9, 1)))
	p := defaultOptions(items, 1, 0).program(t)
	r, err := local.New(p, table)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := r.Sums(p.Initial()); err == nil {
		t.Errorf("%v", out)
	}
	w := newWorld(30)
	exact := program(t, w.items, 1, false)
	if r, err = local.New(exact, w.table(100)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Contributions(exact.Initial(), nil); err == nil {
		t.Error("contributions of an exact program")
	}
	if _, err := r.Units(exact.Initial()); err == nil {
		t.Error("units of an exact program")
	}
}
