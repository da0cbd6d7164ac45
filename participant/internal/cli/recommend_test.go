package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/participant/internal/store"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

const purchasesYAML = `version: 1
name: purchases
revision: 1
key: customer
max_rows: 10000
columns:
  article: {type: category, values: [a0, a1, a2, a3, a4, b0, b1, b2, b3, b4, rare], other: keep}
`

// finished makes a node with a finished recommender: customers with even numbers buy articles a, others b; customer z0 has only the
// rare article, which isn't learnt.
func finished(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("customer,article\n")
	for u := range 150 {
		for n := range 4 {
			fmt.Fprintf(&b, "c%d,%c%d\n", u, "ab"[u%2], (u/2+n)%5)
		}
		fmt.Fprintf(&b, "c%d,%c%d\n", u, "ab"[(u+1)%2], u%5)
	}
	b.WriteString("z0,rare\n")
	for file, text := range map[string]string{
		"participant.yaml": "version: 1\nname: alpen\ndata_dir: state\npolicy: {contracts: [purchases@1]}\ndata:\n  - {contract: purchases@1, id: purchases, source: {csv: purchases.csv}}\n",
		"purchases.yaml":   purchasesYAML, "purchases.csv": b.String(),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	contract, problems := jobspec.ParseContract([]byte(purchasesYAML))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	spec, problems := jobspec.ParseSpec([]byte("version: 1\nname: recommend\ncontract: purchases@1\nmodel: {type: matrix_factorization, factors: 2, l2: 1, max_rounds: 4, recommendation: {item: article}}\nprivacy: exact\nrun: {mode: sealed}\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	resolved, problems := jobspec.Resolve(spec, contract, jobspec.Options{F: 1, Members: []string{"alpen", "baltic", "coast"}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s, err := store.Open(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bundle := wire.Bundle{Items: [][]byte{[]byte("manifest"), resolved.Canonical(), contract.Canonical(), []byte("charter")}}
	id := wire.Digest{1, 2, 3, 4}
	if err := s.AddJob(&store.Job{Job: id, Name: "recommend", Status: store.Approved, Bundle: bundle.Bytes(), Expires: time.Now(), Seen: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := s.Persist(id, round.Persist{Record: round.Record{State: trained(t, resolved, b.String())}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.End(id, store.Finished, "completed"); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "participant.yaml")
}

// trained is the last state of a job on these rows.
func trained(t *testing.T, r *jobspec.Resolved, rows string) []byte {
	t.Helper()
	table := &dataset.Table{Columns: []dataset.Column{{Name: "article", Values: r.Features[0].Values}}}
	users := map[string]int32{}
	codes := map[string]int32{}
	for i, v := range r.Features[0].Values {
		codes[v] = int32(i)
	}
	for _, line := range strings.Split(strings.TrimSpace(rows), "\n")[1:] {
		user, item, _ := strings.Cut(line, ",")
		if _, ok := users[user]; !ok {
			users[user] = int32(len(users))
		}
		table.Rows++
		table.User = append(table.User, users[user])
		table.Columns[0].Codes = append(table.Columns[0].Codes, codes[item])
	}
	p, err := optim.ParseProgram(r.Program())
	if err != nil {
		t.Fatal(err)
	}
	rounds, err := local.New(p, table)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Initial()
	for s.Kind() != optim.Done {
		sum, err := rounds.Sums(s)
		if err != nil {
			t.Fatal(err)
		}
		if s, _, err = p.Apply(s, sum); err != nil {
			t.Fatal(err)
		}
	}
	return s.Encode()
}

func lists(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) == 0 || strings.Join(rows[0], ",") != "user,rank,item,score,basis" {
		t.Fatalf("%v (%v)", rows, err)
	}
	return rows[1:]
}

func TestRecommendWritesLists(t *testing.T) {
	config := finished(t)
	a := run(t, config, "recommend", "recommend", "--top", "3")
	a.expect(t, exitOK)
	rows := lists(t, a.out)
	if len(rows) != 151*3 {
		t.Fatalf("%d rows", len(rows))
	}
	basis := map[string]int{}
	for _, row := range rows {
		basis[row[4]]++
	}
	if basis["popularity"] != 3 || rows[len(rows)-1][0] != "z0" {
		t.Errorf("%v", basis)
	}
	// Customer c4 has a2, a3, a4, a0 and b4: a1 is left of its kind.
	a = run(t, config, "recommend", "01020304", "--user", "c4", "--top", "1")
	if rows := lists(t, a.out); len(rows) != 1 || rows[0][2] != "a1" || rows[0][4] != "history" {
		t.Errorf("%v", rows)
	}
	a = run(t, config, "recommend", "recommend", "--user", "c4", "--include-seen", "--top", "5")
	for _, row := range lists(t, a.out) {
		if row[2][0] != 'a' {
			t.Errorf("%v", row)
		}
	}
	a = run(t, config, "--output", "json", "recommend", "recommend", "--user", "nobody", "--top", "2")
	var out struct {
		Recommendations []recommendedView
	}
	if err := json.Unmarshal([]byte(a.out), &out); err != nil || len(out.Recommendations) != 2 || out.Recommendations[0].Basis != "popularity" || out.Recommendations[0].User != "nobody" {
		t.Errorf("%s (%v)", a.out, err)
	}
}

func TestRecommendFilters(t *testing.T) {
	config := finished(t)
	dir := filepath.Dir(config)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a := run(t, config, "recommend", "recommend", "--user", "c4", "--only", file("only", "b0\n\n b1 \nnew\n"))
	if rows := lists(t, a.out); len(rows) != 2 || rows[0][2][0] != 'b' {
		t.Errorf("%v", rows)
	}
	if !strings.Contains(a.err, "note: "+filepath.Join(dir, "only")+": 1 of 3 items are none of the job's") {
		t.Error(a.err)
	}
	run(t, config, "recommend", "recommend", "--user", "c4", "--only", file("typos", "A1\nB1\n")).expect(t, exitUsage, "none of its 2 lines is an item of the job", "hint: ")
	run(t, config, "recommend", "recommend", "--user", "c4", "--without", file("typos", "")).expect(t, exitUsage, "none of its 0 lines")
	a = run(t, config, "recommend", "recommend", "--user", "c4", "--top", "1", "--without", file("without", "a1\n"))
	if rows := lists(t, a.out); len(rows) != 1 || rows[0][2] == "a1" {
		t.Errorf("%v", rows)
	}
	// The rare article and a new one are of kind a by their features.
	features := "article,kind,price\n"
	for i := range 5 {
		features += fmt.Sprintf("a%d,soft,%d\nb%d,hard,\n", i, 10+i, i)
	}
	features = file("features.csv", features+"rare,soft,12\nnew,hard,11\n")
	a = run(t, config, "recommend", "recommend", "--user", "c4", "--top", "2", "--item-features", features)
	if rows := lists(t, a.out); len(rows) != 2 || rows[0][2] != "rare" && rows[1][2] != "rare" {
		t.Errorf("%v", rows)
	}
	a = run(t, config, "recommend", "recommend", "--user", "c5", "--top", "2", "--item-features", features)
	if rows := lists(t, a.out); len(rows) != 2 || rows[0][2] != "new" && rows[1][2] != "new" {
		t.Errorf("%v", rows)
	}
	out := filepath.Join(dir, "out.csv")
	run(t, config, "recommend", "recommend", "--file", out).expect(t, exitOK, "Wrote", "recommendations")
	info, err := os.Stat(out)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v (%v)", info, err)
	}
}

func TestRecommendErrors(t *testing.T) {
	config := finished(t)
	dir := filepath.Dir(config)
	bad := filepath.Join(dir, "bad.csv")
	if err := os.WriteFile(bad, []byte("item,kind\na0,soft\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, config, "recommend", "other").expect(t, exitUsage, "no job")
	run(t, config, "recommend", "recommend", "--top", "0").expect(t, exitUsage, "not within 1")
	run(t, config, "recommend", "recommend", "--only", filepath.Join(dir, "none")).expect(t, exitUsage, "no such file")
	run(t, config, "recommend", "recommend", "--item-features", bad).expect(t, exitUsage, "no column", "as the contract does")
	s, err := store.Open(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddJob(&store.Job{Job: wire.Digest{9}, Name: "open", Status: store.Pending, Bundle: []byte{0}, Expires: time.Now(), Seen: time.Now()}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	run(t, config, "recommend", "open").expect(t, exitRefused, "no finished model")
}
