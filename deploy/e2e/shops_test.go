package e2e

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"tributary/deploy/consortium"
	"tributary/models/metrics"
)

// shops starts four participants of one config; data writes what each has.
func shops(t *testing.T, config string, seed uint64, data func(n *consortium.Node, shop int, r *rand.Rand)) *consortium.Consortium {
	t.Helper()
	var members []consortium.Member
	for i := range 4 {
		members = append(members, consortium.Member{Name: fmt.Sprintf("shop-%d", i+1), Organisation: fmt.Sprintf("Shop %d", i+1), Role: "both", Config: config})
	}
	shop := 0
	return started(t, release, members, func(n *consortium.Node) {
		data(n, shop, rand.New(rand.NewPCG(seed, uint64(shop))))
		shop++
	})
}

// scoredHeldOut scores each participant's data by an exported model with --explain, keeping columns of which the first two are the fold
// and the label, and gives the held-out rows as a job evaluates them. check sees the head and every row.
func scoredHeldOut(t *testing.T, c *consortium.Consortium, model, data, keep string, check func(head, row []string)) metrics.Histogram {
	t.Helper()
	h := metrics.Histogram{Positive: make([]float64, metrics.Bins), Negative: make([]float64, metrics.Bins)}
	for _, n := range c.Nodes {
		out := filepath.Join(n.Dir, "scores.csv")
		if r, err := n.Command(t.Context(), "score", "--model", model, "--data", data, "--out", out, "--keep", keep, "--explain"); err != nil || r.Code != 0 {
			t.Fatalf("%v: %s", err, r.Err)
		}
		f, err := os.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(f).ReadAll()
		if f.Close(); err != nil {
			t.Fatal(err)
		}
		at := slices.Index(rows[0], "probability")
		for _, row := range rows[1:] {
			if check(rows[0], row); row[0] != "test" {
				continue
			}
			p, err := strconv.ParseFloat(row[at], 64)
			if err != nil {
				t.Fatal(err)
			}
			bins := h.Negative
			if row[1] == "yes" {
				bins = h.Positive
			}
			bins[metrics.Bin(p)]++
		}
	}
	return h
}
