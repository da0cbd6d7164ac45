package trial

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

const starsContract = `version: 1
name: stars
revision: 1
key: user
max_rows: 100000
columns:
  item: {type: category, values: [%s], other: keep}
  stars: {type: number, min: 1, max: 5}
`

const starsSpec = `version: 1
name: stars
contract: stars@1
model: {type: matrix_factorization, factors: 3, recommendation: {item: item, rating: stars}}
evaluate: {holdout: 0.2, metrics: [%s]}
privacy: {unit: user, epsilon: "8", delta: "1e-5"}
run: {mode: sealed, seed: 3}
`

// stars draws users' ratings of a few items.
func stars(users int, items []string) *dataset.Table {
	random := rand.New(rand.NewPCG(5, 9))
	t := &dataset.Table{Columns: []dataset.Column{{Name: "item", Values: items}, {Name: "stars"}}}
	for u := range users {
		for item := range items {
			if item == u%len(items) || random.IntN(2) == 0 { // every user has one
				t.Rows++
				t.User, t.HeldOut = append(t.User, int32(u)), append(t.HeldOut, random.IntN(5) == 0)
				t.Columns[0].Codes = append(t.Columns[0].Codes, int32(item))
				t.Columns[1].Numbers = append(t.Columns[1].Numbers, float64(1+random.IntN(5)))
			}
		}
	}
	return t
}

// The lanes of a private job of ratings are those that its spec is charged for, whatever it measures: no user's part is clipped a second
// time, and what leaves a participant differs from its users' sum by the noise of the job. Six deviations: one run of 10⁸ fails.
func TestPrivateRatingsAreNoisedAsTheyAreCharged(t *testing.T) {
	items := strings.Split("a b c d e f g h", " ")
	contract, problems := jobspec.ParseContract(fmt.Appendf(nil, starsContract, strings.Join(items, ", ")))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	table := stars(3000, items)
	for _, metrics := range []string{"rmse", "ndcg", "recall, rmse", "recall, ndcg, map, rmse"} {
		spec, problems := jobspec.ParseSpec(fmt.Appendf(nil, starsSpec, metrics))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		r, problems := jobspec.Resolve(spec, contract, jobspec.Options{F: 1, Contributors: 4, Seats: 4})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		p, err := optim.ParseProgram(r.Program())
		if err != nil {
			t.Fatal(err)
		}
		chargedRun(t, metrics, r, p, table)
	}
}
