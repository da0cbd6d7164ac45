package mf_test

import (
	"compress/gzip"
	"encoding/csv"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tributary/models/dataset"
)

// dataPath finds a file of the reference data, which aren't part of the repository: TRIBUTARY_DATA, or shared/data beside the
// repository's root. In CI they must be there.
func dataPath(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("TRIBUTARY_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(root, name)
	_, err := os.Stat(path)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("no %s: set TRIBUTARY_DATA to the reference data", path)
	default:
		t.Skipf("no %s: set TRIBUTARY_DATA to the reference data", path)
	}
	return path
}

// onlineRetail deals the clean lines of the data set to n participants by customer; a fifth of the pairs of a customer and an item
// is held out, by a hash of the pair. It gives the catalogue too.
func onlineRetail(t testing.TB, n int) ([]*dataset.Table, []string) {
	t.Helper()
	f, err := os.Open(dataPath(t, "online_retail/online_retail.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := func(name string) int { return slices.Index(rows[0], name) }
	invoice, stock, quantity, price, customer := column("InvoiceNo"), column("StockCode"), column("Quantity"), column("UnitPrice"), column("CustomerID")
	codes := map[string]int32{}
	var catalogue []string
	kept := rows[1:1]
	for _, row := range rows[1:] {
		if row[customer] == "" || strings.HasPrefix(row[invoice], "C") || strings.HasPrefix(row[quantity], "-") || row[quantity] == "0" || strings.Trim(row[price], "0.") == "" {
			continue
		}
		if _, ok := codes[row[stock]]; !ok {
			codes[row[stock]] = int32(len(catalogue))
			catalogue = append(catalogue, row[stock])
		}
		kept = append(kept, row)
	}
	if len(kept) != 397_884 {
		t.Fatalf("%d clean lines, want 397,884", len(kept))
	}
	tables, users := make([]*dataset.Table, n), make([]map[string]int32, n)
	for i := range n {
		tables[i], users[i] = &dataset.Table{Columns: []dataset.Column{{Name: "item", Values: catalogue}}}, map[string]int32{}
	}
	hash := func(parts ...string) uint64 {
		h := fnv.New64a()
		h.Write([]byte(strings.Join(parts, "\x00")))
		return h.Sum64() >> 7
	}
	for _, row := range kept {
		at := int(hash(row[customer]) % uint64(n))
		to := tables[at]
		user, ok := users[at][row[customer]]
		if !ok {
			user = int32(len(users[at]))
			users[at][row[customer]] = user
		}
		to.Rows++
		to.User, to.HeldOut = append(to.User, user), append(to.HeldOut, hash(row[customer], row[stock])%10 < 2)
		to.Columns[0].Codes = append(to.Columns[0].Codes, codes[row[stock]])
	}
	return tables, catalogue
}

// Four participants reach the recall of the same model on all customers together.
func TestOnlineRetailRecall(t *testing.T) {
	edits := []string{`"l2":0.5`, `"l2":10`, `"max_rounds":8`, `"max_rounds":10`, `"factors":4`, `"factors":24`, `"alpha":5`, `"alpha":4`, `"top_k":10`, `"top_k":20`}
	tables, catalogue := onlineRetail(t, 4)
	everybody, _ := onlineRetail(t, 1)
	s, _ := train(t, program(t, catalogue, 4, false, edits...), -1, tables...)
	pooled, _ := train(t, program(t, catalogue, 1, false, edits...), -1, everybody...)
	got, _ := s.Metrics()
	want, _ := pooled.Metrics()
	popular := popularity(everybody[0], len(catalogue), 20)
	t.Logf("%d items, %d pairs of %d users, %d held out, %d users judged\nfederated: %s\npooled:    %s\nthe most popular items: recall@20 %.4f",
		len(catalogue), got.Rows, s.Users(), got.HeldOut, got.Users, got.Ranking(), want.Ranking(), popular)
	if got.Users != want.Users || got.Rows != want.Rows {
		t.Errorf("%d users and %d pairs, pooled %d and %d", got.Users, got.Rows, want.Users, want.Rows)
	}
	if !(got.Recall.V >= 0.97*want.Recall.V) {
		t.Errorf("recall@20 %.4f is below 0.97 of the pooled %.4f", got.Recall.V, want.Recall.V)
	}
	if !(got.Recall.V > 1.2*popular) {
		t.Errorf("recall@20 %.4f, the most popular items alone have %.4f", got.Recall.V, popular)
	}
}

// The same of BPR, which has no closed form: each participant's own steps are averaged.
func TestOnlineRetailRecallOfBPR(t *testing.T) {
	edits := byGradients(false, `"max_rounds":8`, `"max_rounds":4`, `"epochs":4`, `"epochs":6`, `"factors":4`, `"factors":16`, `"top_k":10`, `"top_k":20`)
	tables, catalogue := onlineRetail(t, 4)
	everybody, _ := onlineRetail(t, 1)
	s, _ := train(t, program(t, catalogue, 4, false, edits...), -1, tables...)
	pooled, _ := train(t, program(t, catalogue, 1, false, edits...), -1, everybody...)
	got, _ := s.Metrics()
	want, _ := pooled.Metrics()
	popular := popularity(everybody[0], len(catalogue), 20)
	t.Logf("federated: %s\npooled:    %s\nthe most popular items: recall@20 %.4f", got.Ranking(), want.Ranking(), popular)
	if !(got.Recall.V >= 0.97*want.Recall.V) {
		t.Errorf("recall@20 %.4f is below 0.97 of the pooled %.4f", got.Recall.V, want.Recall.V)
	}
	if !(got.Recall.V > 2*popular) {
		t.Errorf("recall@20 %.4f, the most popular items alone have %.4f", got.Recall.V, popular)
	}
}

// With ε = 4 for each customer (δ = 1e-5), lists are better than the most popular items, though there are nearly as many items as customers.
func TestOnlineRetailPrivately(t *testing.T) {
	tables, catalogue := onlineRetail(t, 4)
	everybody, _ := onlineRetail(t, 1)
	p := defaultOptions(catalogue, 4, 4).program(t)
	s, reports := trainPrivately(t, p, 1, tables...)
	recall, popular := recallAt10(t, p, s, everybody[0]), popularity(everybody[0], len(catalogue), 10)
	t.Logf("%s\nrecall@10 %.4f, the most popular items alone %.4f", reports[0].Note, recall, popular)
	if !(recall > 1.4*popular) {
		t.Errorf("recall@10 %.4f, the most popular items alone have %.4f", recall, popular)
	}
}

// popularity is the recall of recommending everybody the items with the most buyers, but for their own.
func popularity(t *dataset.Table, items, top int) float64 {
	type key struct{ user, item int32 }
	seen, held := map[key]bool{}, map[key]bool{}
	for i, u := range t.User {
		if k := (key{u, t.Columns[0].Codes[i]}); t.HeldOut[i] {
			held[k] = true
		} else {
			seen[k] = true
		}
	}
	buyers, relevant, order, users := make([]int, items), map[int32]float64{}, make([]int32, items), map[int32]bool{}
	for k := range seen {
		buyers[k.item]++
		users[k.user] = true
	}
	for k := range held {
		relevant[k.user]++
	}
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return buyers[b] - buyers[a] })
	total, judged := 0.0, 0.0
	for u, n := range relevant {
		if !users[u] {
			continue
		}
		judged++
		hits, listed := 0.0, 0
		for _, item := range order {
			if listed == top {
				break
			}
			if seen[key{u, item}] {
				continue
			}
			listed++
			if held[key{u, item}] {
				hits++
			}
		}
		total += hits / n
	}
	return total / math.Max(judged, 1)
}
