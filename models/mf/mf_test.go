package mf_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/mf"
	"tributary/models/optim"
)

// world draws users whose tastes have rank 2, so that a factorisation has something to find.
type world struct {
	items  []string
	taste  [][2]float64 // by item
	random *rand.Rand
}

func newWorld(items int) *world {
	w := &world{random: rand.New(rand.NewPCG(7, 8))}
	for i := range items {
		w.items = append(w.items, fmt.Sprintf("i%d", i))
		angle := 2 * math.Pi * float64(i) / float64(items)
		w.taste = append(w.taste, [2]float64{math.Cos(angle), math.Sin(angle)})
	}
	return w
}

// table draws users with ten rows each, by taste; a fifth of the pairs is held out. A rating is 3 + 2·taste, give or take.
func (w *world) table(users int) *dataset.Table {
	t := &dataset.Table{HeldOut: []bool{}, User: []int32{}}
	item, rating := dataset.Column{Name: "item", Values: w.items, Codes: []int32{}}, dataset.Column{Name: "stars", Numbers: []float64{}}
	for u := range users {
		angle := 2 * math.Pi * w.random.Float64()
		held := map[int]bool{}
		for range 10 {
			i := w.random.IntN(len(w.items))
			like := math.Cos(angle)*w.taste[i][0] + math.Sin(angle)*w.taste[i][1]
			for like < 0.5 && w.random.Float64() < 0.9 {
				i = w.random.IntN(len(w.items))
				like = math.Cos(angle)*w.taste[i][0] + math.Sin(angle)*w.taste[i][1]
			}
			if _, known := held[i]; !known {
				held[i] = w.random.IntN(5) == 0
			}
			item.Codes = append(item.Codes, int32(i))
			rating.Numbers = append(rating.Numbers, min(max(3+2*like+0.3*w.random.NormFloat64(), 1), 5))
			t.User, t.HeldOut = append(t.User, int32(u)), append(t.HeldOut, held[i])
			t.Rows++
		}
	}
	t.Columns = []dataset.Column{item, rating}
	return t
}

// join makes one table of several, whose users are different ones.
func join(tables ...*dataset.Table) *dataset.Table {
	out := &dataset.Table{Columns: []dataset.Column{{Name: "item", Values: tables[0].Columns[0].Values}, {Name: "stars"}}}
	users := int32(0)
	for _, t := range tables {
		next := users
		for i, u := range t.User {
			out.User = append(out.User, users+u)
			out.HeldOut = append(out.HeldOut, t.HeldOut[i])
			next = max(next, users+u+1)
		}
		users = next
		out.Rows += t.Rows
		out.Columns[0].Codes = append(out.Columns[0].Codes, t.Columns[0].Codes...)
		out.Columns[1].Numbers = append(out.Columns[1].Numbers, t.Columns[1].Numbers...)
	}
	return out
}

func quote(values []string) string { return `"` + strings.Join(values, `","`) + `"` }

// program is one of the world's items; edits are pairs of what is replaced by what.
func program(t testing.TB, items []string, contributors int, explicit bool, edits ...string) *optim.Program {
	t.Helper()
	rating, feedback, metrics := "", `"explicit":false,"alpha":5`, `"recall","ndcg","map","coverage"`
	if explicit {
		rating = `,{"name":"stars","kind":"number","min":1,"max":5,"nullable":false,"log1p":false,"standardize":false,"clip":64,"missing_indicator":false}`
		feedback, metrics = `"explicit":true`, metrics+`,"rmse"`
	}
	doc := fmt.Sprintf(`{"version":1,"contributors":%d,"bits":40,"max_rows":1000000,"features":[{"name":"item","kind":"category","values":[%s],"nullable":false,"missing_indicator":false,"min_count":20}%s],`+
		`"model":{"type":"matrix_factorization","l2":0.5,"solver":"als","max_rounds":8,"tolerance":0,"factors":4,"recommendation":{%s,"top_k":10,"patience":0,"seed":"3"}},"evaluate":{"holdout":true,"metrics":[%s]}}`,
		contributors, quote(items), rating, feedback, metrics)
	for i := 0; i+1 < len(edits); i += 2 {
		if !strings.Contains(doc, edits[i]) {
			t.Fatalf("no %s in the document", edits[i])
		}
		doc = strings.Replace(doc, edits[i], edits[i+1], 1)
	}
	p, err := optim.ParseProgram([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// train runs a job without the seal, quantised as a sealed sum is, until the state is done or the rounds given are over.
func train(t testing.TB, p *optim.Program, rounds int, tables ...*dataset.Table) (*optim.State, []optim.Report) {
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
	s := p.Initial()
	for n := 0; s.Kind() != optim.Done && n != rounds; n++ {
		layout := p.Layout(s.Kind())
		sum := make([][]float64, len(layout))
		for _, m := range members {
			part, err := m.Sums(s)
			if err != nil {
				t.Fatal(err)
			}
			for i, segment := range layout {
				if len(part[i]) != segment.Length {
					t.Fatalf("%s: segment %s has %d values, want %d", s.Kind(), segment.Name, len(part[i]), segment.Length)
				}
				if sum[i] == nil {
					sum[i] = make([]float64, segment.Length)
				}
				for j, v := range part[i] {
					if segment.ScaleNum != 1 && !(math.Abs(v) <= 1) {
						t.Fatalf("%s: %s[%d] is %g, outside its lane", s.Kind(), segment.Name, j, v)
					}
					scale := float64(segment.ScaleNum)
					sum[i][j] += math.RoundToEven(v*scale) / scale
				}
			}
		}
		decoded, err := p.DecodeState(s.Encode())
		if err != nil {
			t.Fatalf("%s: %v", s.Kind(), err)
		}
		next, report, err := p.Apply(decoded, sum)
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, report)
		s = next
	}
	if s.Kind() == optim.Done {
		if _, err := p.DecodeState(s.Encode()); err != nil {
			t.Fatal(err)
		}
	}
	return s, reports
}

// A federated training gives the factors and the metrics of one on all rows together, to the quantisation, and finds the tastes:
// far better than chance, and than what is popular.
func TestFederatedEqualsPooled(t *testing.T) {
	for _, explicit := range []bool{false, true} {
		w := newWorld(40)
		tables := []*dataset.Table{w.table(150), w.table(100), w.table(200)}
		p, pooled := program(t, w.items, 3, explicit), program(t, w.items, 1, explicit)
		got, reports := train(t, p, -1, tables...)
		want, _ := train(t, pooled, -1, join(tables...))
		for i, w := range want.Coefficients() {
			if d := math.Abs(got.Coefficients()[i] - w); !(d <= 1e-6) {
				t.Fatalf("explicit %t: coefficient %d is %.9f, pooled %.9f", explicit, i, got.Coefficients()[i], w)
			}
		}
		a, _ := got.Metrics()
		b, _ := want.Metrics()
		t.Logf("explicit %t: %s; %s", explicit, a.Ranking(), b.Ranking())
		for i, pair := range [][2]float64{{a.Recall.V, b.Recall.V}, {a.NDCG.V, b.NDCG.V}, {a.MAP.V, b.MAP.V}, {a.Coverage.V, b.Coverage.V}, {a.RMSE.V, b.RMSE.V}} {
			if math.Abs(pair[0]-pair[1]) > 1e-5 {
				t.Errorf("explicit %t: metric %d is %g, pooled %g", explicit, i, pair[0], pair[1])
			}
		}
		if a.Users != b.Users || a.Users == 0 || a.Recall.V < 0.4 {
			t.Errorf("explicit %t: %d users (pooled %d), recall@10 %g", explicit, a.Users, b.Users, a.Recall.V)
		}
		if explicit && !(a.RMSE.V > 0.2 && a.RMSE.V < 0.7) {
			t.Errorf("RMSE %g of ratings with noise 0.3", a.RMSE.V)
		}
		last := math.Inf(1)
		for _, r := range reports {
			if r.Kind == optim.Train {
				if r.Objective > last*(1+1e-9) {
					t.Errorf("explicit %t: the objective rose from %g to %g", explicit, last, r.Objective)
				}
				last = r.Objective
			}
		}
	}
}

// A sweep of the sums and the server step is the textbook's: each user and then each item by the dense normal equations over the
// whole matrix.
// Reference: [HKV08, §4], equations 4 and 5.
func TestSweepEqualsNaiveTwin(t *testing.T) {
	for _, explicit := range []bool{false, true} {
		w := newWorld(30)
		table := w.table(120)
		p := program(t, w.items, 1, explicit)
		before, _ := train(t, p, 3, table)
		after, _ := train(t, p, 4, table)
		n := newTwin(p, before, table)
		for item, row := range n.sweep() {
			for i, want := range row {
				if got := after.Coefficients()[item*p.FactorLength()+i]; !(math.Abs(got-want) <= 1e-6) {
					t.Fatalf("explicit %t: coefficient %d of item %d is %.9f, want %.9f", explicit, i, item, got, want)
				}
			}
		}
	}
}

func TestPatienceKeepsTheBest(t *testing.T) {
	w := newWorld(40)
	tables := []*dataset.Table{w.table(150), w.table(150)}
	for _, explicit := range []bool{false, true} {
		p := program(t, w.items, 2, explicit, `"patience":0`, `"patience":2`, `"max_rounds":8`, `"max_rounds":200`, `"factors":4`, `"factors":8`, `"l2":0.5`, `"l2":0.3`)
		s, reports := train(t, p, -1, tables...)
		if s.TrainRounds() == 200 || s.Kind() != optim.Done {
			t.Errorf("explicit %t: %d rounds", explicit, s.TrainRounds())
		}
		if note := reports[len(reports)-2].Note; !strings.Contains(note, "the best is kept") {
			t.Errorf("explicit %t: %q", explicit, note)
		}
	}
}

func TestTablesThatCantServe(t *testing.T) {
	w := newWorld(30)
	p := program(t, w.items, 2, true)
	s, _ := train(t, p, 1, w.table(200))
	for name, change := range map[string]func(*dataset.Table){
		"no users":          func(t *dataset.Table) { t.User, t.Label = nil, make([]bool, t.Rows) },
		"users in disorder": func(t *dataset.Table) { t.User[0] = 5 },
		"no rating":         func(t *dataset.Table) { t.Columns = t.Columns[:1] },
		"a rating outside":  func(t *dataset.Table) { t.Columns[1].Numbers[3] = 6 },
		"other items":       func(t *dataset.Table) { t.Columns[0].Values = newWorld(31).items },
	} {
		table := w.table(100)
		change(table)
		r, err := local.New(p, table)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Sums(s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	quiet := program(t, w.items, 2, true, `"holdout":true`, `"holdout":false`, `"recall","ndcg","map","coverage","rmse"`, ``)
	if _, err := mf.Prepare(quiet, w.table(50)); err == nil || !strings.Contains(err.Error(), "without hold-out") {
		t.Errorf("held-out rows: %v", err)
	}
}

// A pair counts once; a pair with a training row is a training pair; rows without an item in the catalogue are left out.
func TestPairsAreJoined(t *testing.T) {
	w := newWorld(2)
	p := program(t, w.items, 1, false)
	table := &dataset.Table{Rows: 7, User: []int32{0, 0, 0, 1, 1, 2, 2}, HeldOut: []bool{false, true, true, true, true, false, false},
		Columns: []dataset.Column{{Name: "item", Values: w.items, Codes: []int32{0, 0, 1, 1, 1, 2, 0}}, {Name: "stars", Numbers: make([]float64, 7)}}}
	pairs, err := mf.Prepare(p, table)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := pairs.Sums(p.Initial())
	if err != nil {
		t.Fatal(err)
	}
	// rows, held-out pairs, users, users by item
	if got, want := fmt.Sprint(sums), "[[2] [2] [2] [2 0]]"; got != want {
		t.Errorf("FIT sums %s, want %s", got, want)
	}
}
