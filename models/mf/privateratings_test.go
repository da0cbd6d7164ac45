package mf_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
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

// raters draws users with 8 to 32 ratings each, of 1 to 5 stars: a user's and an item's bias, a taste of rank 4, and noise of half a star.
func raters(users, items int, random *rand.Rand) (*dataset.Table, []string) {
	var names []string
	traits, liked := make([][4]float64, items), make([]float64, items)
	for i := range items {
		names = append(names, fmt.Sprintf("i%d", i))
		liked[i] = 0.5 * random.NormFloat64()
		for f := range 4 {
			traits[i][f] = 0.35 * random.NormFloat64()
		}
	}
	t := &dataset.Table{HeldOut: []bool{}, User: []int32{}}
	item, stars := dataset.Column{Name: "item", Values: names, Codes: []int32{}}, dataset.Column{Name: "stars", Numbers: []float64{}}
	for u := range users {
		var taste [4]float64
		for f := range taste {
			taste[f] = random.NormFloat64()
		}
		kind := 0.4 * random.NormFloat64()
		order, rating, score := make([]int32, items), make([]float64, items), make([]float64, items)
		for i := range items {
			order[i], rating[i] = int32(i), 3.3+kind+liked[i]
			for f := range taste {
				rating[i] += taste[f] * traits[i][f]
			}
			score[i] = 0.3*rating[i] - 0.7*math.Log(float64(i+1)) - math.Log(random.ExpFloat64())
		}
		slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(score[b], score[a]) })
		for _, i := range order[:min(8+random.IntN(25), items)] {
			item.Codes = append(item.Codes, i)
			stars.Numbers = append(stars.Numbers, min(max(math.RoundToEven(rating[i]+0.5*random.NormFloat64()), 1), 5))
			t.User, t.HeldOut = append(t.User, int32(u)), append(t.HeldOut, random.IntN(5) == 0)
			t.Rows++
		}
	}
	t.Columns = []dataset.Column{item, stars}
	return t, names
}

// baselines give the error on held-out ratings of the mean, and of mean, items' and users' biases, each shrunk by one rating: of exact sums.
func baselines(t *dataset.Table, items int) (mean, biases float64) {
	users := int(slices.Max(t.User)) + 1
	sum, count := 0.0, 0.0
	each := func(held bool, f func(user, item int32, stars float64)) {
		for i, u := range t.User {
			if t.HeldOut[i] == held {
				f(u, t.Columns[0].Codes[i], t.Columns[1].Numbers[i])
			}
		}
	}
	each(false, func(_, _ int32, stars float64) { sum, count = sum+stars, count+1 })
	average := sum / count
	item, ofItem, user, ofUser := make([]float64, items), make([]float64, items), make([]float64, users), make([]float64, users)
	each(false, func(_, i int32, stars float64) { item[i], ofItem[i] = item[i]+stars-average, ofItem[i]+1 })
	for i := range item {
		item[i] /= ofItem[i] + 1
	}
	each(false, func(u, i int32, stars float64) { user[u], ofUser[u] = user[u]+stars-average-item[i], ofUser[u]+1 })
	n := 0.0
	each(true, func(u, i int32, stars float64) {
		all := average + item[i] + user[u]/(ofUser[u]+1)
		mean, biases, n = mean+(stars-average)*(stars-average), biases+(stars-all)*(stars-all), n+1
	})
	return math.Sqrt(mean / n), math.Sqrt(biases / n)
}

// errorOf is the error of the ratings that are predicted for held-out items, those that aren't learnt included.
func errorOf(t testing.TB, p *optim.Program, s *optim.State, table *dataset.Table) float64 {
	t.Helper()
	q, err := mf.Measure(p, s, table)
	if err != nil || !q.RMSE.Known {
		t.Fatal(err)
	}
	return q.RMSE.V
}

func ratedOptions(items []string, contributors int, epsilon float64) privateOptions {
	return privateOptions{items: items, contributors: contributors, factors: 8, rounds: 4, clip: 1, epsilon: epsilon, fit: 0.25, evaluate: 0.05, metrics: []string{"recall", "ndcg", "map", "rmse"}, rated: true}
}

// Of 4,000 users' ratings of 100 items at δ = 1e-5, the predicted ones are nearer to what is held out than mean and biases of exact sums
// are, and the noised error is near the true one. With 1,000 items, whose biases 4,000 users hardly tell, they are nearer than the mean.
func TestPrivateRatingsBeatBiases(t *testing.T) {
	for _, c := range []struct{ users, items int }{{4000, 100}, {4000, 1000}} {
		table, items := raters(c.users, c.items, rand.New(rand.NewPCG(5, 6)))
		parts := deal(table, 4)
		mean, biases := baselines(table, len(items))
		bound := biases - 0.02 // four deviations of what the noise does at ε = 1
		if c.items == 1000 {
			bound = mean - 0.05
		}
		clear := ratedOptions(items, 4, 0).program(t)
		best, _ := trainPrivately(t, clear, 0, parts...)
		t.Logf("%d users, %d items: RMSE of the mean %.3f, with biases %.3f, without noise %.3f", c.users, c.items, mean, biases, errorOf(t, clear, best, table))
		for _, epsilon := range []float64{1, 2, 4} {
			p, total := ratedOptions(items, 4, epsilon).program(t), 0.0
			for seed := range uint64(3) {
				s, _ := trainPrivately(t, p, seed, parts...)
				got := errorOf(t, p, s, table)
				q, _ := s.Metrics()
				total += got / 3
				if !(got < bound) {
					t.Errorf("ε = %g: RMSE %.4f is not below %.4f", epsilon, got, bound)
				}
				if math.Abs(q.RMSE.V-got) > 0.4/epsilon { // ten times what its noise has
					t.Errorf("ε = %g: the noised RMSE is %.4f, the true one %.4f", epsilon, q.RMSE.V, got)
				}
			}
			t.Logf("ε = %g: RMSE %.3f, the mean of three runs", epsilon, total)
		}
	}
}

// rating is a row of a table of ratings.
type rating struct {
	item  int32
	stars float64
	held  bool
}

// withUser adds a user to a table.
func withUser(t *dataset.Table, rows []rating) *dataset.Table {
	out := &dataset.Table{Rows: t.Rows + len(rows), User: slices.Clone(t.User), HeldOut: slices.Clone(t.HeldOut)}
	for _, c := range t.Columns {
		out.Columns = append(out.Columns, dataset.Column{Name: c.Name, Values: c.Values, Codes: slices.Clone(c.Codes), Numbers: slices.Clone(c.Numbers)})
	}
	user := slices.Max(t.User) + 1
	for _, r := range rows {
		out.User, out.HeldOut = append(out.User, user), append(out.HeldOut, r.held)
		out.Columns[0].Codes, out.Columns[1].Numbers = append(out.Columns[0].Codes, r.item), append(out.Columns[1].Numbers, r.stars)
	}
	return out
}

// Whatever one user rated, how extremely and how often, it moves no sum by more than clip, over all lanes of a round: in FIT, TRAIN and
// EVALUATE, at states that are learnt and at one that is made to blow up its factor.
func TestOneRaterMovesNoSumByMoreThanClip(t *testing.T) {
	honest, items := raters(300, 200, rand.New(rand.NewPCG(7, 8)))
	random := rand.New(rand.NewPCG(3, 4))
	hostile := map[string][]rating{"nothing": nil, "one": {{5, 1, false}}, "one, held out": {{5, 1, true}}}
	for item := range int32(200) {
		stars := float64(1 + 4*(item%2))
		hostile["all, at the ends"] = append(hostile["all, at the ends"], rating{item, stars, item < 50})
		hostile["all alike"] = append(hostile["all alike"], rating{item, 5, item > 150})
		hostile["other than it was"] = append(hostile["other than it was"], rating{item, float64(1 + 4*(item/100)), item < 100})
		for range 1000 {
			hostile["a thousand times each"] = append(hostile["a thousand times each"], rating{item, 1 + 4*random.Float64(), false})
		}
	}
	for range 1000 {
		hostile["one item"] = append(hostile["one item"], rating{9, 5, false})
	}
	for _, clip := range []uint64{1, 2, 3, 50} {
		o := ratedOptions(items, 1, 0)
		o.clip = clip
		p := o.program(t)
		without, err := local.New(p, honest)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range ratedStates(t, p, without) {
			before := contributions(t, without, s, nil)
			for name, rows := range hostile {
				with, err := local.New(p, withUser(honest, rows))
				if err != nil {
					t.Fatal(err)
				}
				after, square := contributions(t, with, s, nil), 0.0
				if !reflect.DeepEqual(before, after[:len(before)]) || len(after) > len(before)+1 {
					t.Fatalf("%s, %s: other users contribute otherwise beside a hostile one", name, s.Kind())
				}
				if len(after) > len(before) {
					for _, v := range after[len(before)].values {
						square += v * v
					}
				}
				limit := float64(clip * privateUnit)
				if s.Kind() == optim.Evaluate {
					limit = float64(min(clip, 3) * privateUnit) // of six values
				}
				norm := math.Sqrt(square)
				if !(norm <= limit*(1+1e-12)) {
					t.Errorf("%s, %s: its norm is %g, the clip %g", name, s.Kind(), norm, limit)
				}
				if reached := clip == 1 && s.Kind() != optim.Evaluate && name == "all, at the ends"; reached && !(norm > 0.999*limit) {
					t.Errorf("%s, %s: its norm is %g, far below the clip %g", name, s.Kind(), norm, limit)
				}
			}
		}
	}
}

// ratedStates are those of a run, and one whose first item's factor is as large as a state may have it.
func ratedStates(t *testing.T, p *optim.Program, r local.Rounds) []*optim.State {
	t.Helper()
	s := p.Initial()
	out := []*optim.State{s}
	for s.Kind() != optim.Evaluate {
		next, _, err := p.Apply(s, noised(t, p, s, []local.Rounds{r}, rand.New(rand.NewPCG(1, 1))))
		if err != nil {
			t.Fatal(err)
		}
		s = next
		out = append(out, s)
	}
	data := out[2].Encode()
	w := out[2].Coefficients()
	at := bytes.Index(data, binary.BigEndian.AppendUint64(nil, math.Float64bits(w[0])))
	copy(data[at:], binary.BigEndian.AppendUint64(nil, math.Float64bits(1e30)))
	blown, err := p.DecodeState(data)
	if err != nil || blown.Coefficients()[0] != 1e30 {
		t.Fatal(err)
	}
	return append(out, blown)
}

// A user adds to the sums the same as one who rated each of its items once with the mean of its ratings.
func TestRepeatedRatingsAreOne(t *testing.T) {
	honest, items := raters(100, 20, rand.New(rand.NewPCG(7, 8)))
	p := ratedOptions(items, 1, 0).program(t)
	var last [2]contributed
	for i, rows := range [][]rating{{{3, 1, false}, {3, 3, false}, {3, 5, false}, {4, 2, false}}, {{3, 3, false}, {4, 2, false}}} {
		r, err := local.New(p, withUser(honest, rows))
		if err != nil {
			t.Fatal(err)
		}
		all := contributions(t, r, p.Initial(), nil)
		last[i] = all[len(all)-1]
	}
	w := privateUnit / math.Sqrt(3+0.25)
	want := contributed{[]int{3, 4, 20, 21 + 3, 21 + 4}, []float64{w, w, w, 0, -0.5 * w}}
	if !reflect.DeepEqual(last[0], last[1]) || !reflect.DeepEqual(last[0], want) {
		t.Errorf("%v and %v, want %v", last[0], last[1], want)
	}
}
