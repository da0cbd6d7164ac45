package score_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/hashing"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/models/score"
)

// towns adds an open category to generated rows: its texts, by row; "" is missing.
func towns(table *dataset.Table, buckets int) []string {
	r, function := rand.New(rand.NewPCG(3, 3)), hashing.New("town", buckets)
	texts, codes := make([]string, table.Rows), make([]int32, table.Rows)
	for i := range texts {
		texts[i], codes[i] = fmt.Sprint("Ort ", int(20*r.ExpFloat64())), dataset.Missing
		if r.IntN(8) == 0 {
			texts[i] = ""
		} else {
			codes[i] = function.Text(texts[i])
		}
	}
	table.Columns = append(table.Columns, dataset.Column{Name: "town", Codes: codes, Buckets: buckets})
	return texts
}

// withTowns adds to a program an open category, a cross with all its cells, a hashed one, and one of three features.
func withTowns(t testing.TB, p *optim.Program, buckets int) *optim.Program {
	t.Helper()
	data, err := p.Document()
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	features := doc["features"].([]any)
	add := func(f map[string]any) {
		f["missing_indicator"] = f["nullable"]
		if !p.Private() {
			f["min_count"] = 20
		}
		features = append(features, f)
	}
	add(map[string]any{"name": "town", "kind": "category", "buckets": buckets, "nullable": true})
	// 3 devices, other and missing; so many towns and missing ones.
	add(map[string]any{"name": "device*town", "kind": "cross", "of": []string{"device", "town"}, "buckets": 5 * (buckets + 1), "nullable": false})
	add(map[string]any{"name": "town*device", "kind": "cross", "of": []string{"town", "device"}, "buckets": 32, "nullable": false})
	doc["features"] = features
	if data, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	return program(t, string(data))
}

// An exported model hashes and crosses raw records as the participants that trained it do theirs: its scores are theirs.
func TestBucketsAndCrossesAreTheParticipants(t *testing.T) {
	const buckets = 64
	table := generated(6_000, 8)
	texts := towns(table, buckets)
	for name, p := range map[string]*optim.Program{"newton": exact(t, newton), "machine": exact(t, machine), "private": private(t)} {
		t.Run(name, func(t *testing.T) {
			p := withTowns(t, p, buckets)
			s, m := trained(t, p, table)
			want, err := local.Score(p, s, table)
			if err != nil {
				t.Fatal(err)
			}
			if names := m.Terms()[len(m.Columns()):]; !slices.Equal(names, []string{"device*town", "town*device"}) {
				t.Errorf("crosses %q", names)
			}
			worst := 0.0
			seen := map[string]bool{}
			for i := range table.Rows {
				r := record(table, i)
				r["town"] = score.Text(texts[i])
				if texts[i] != "" && i%2 == 0 {
					r["town"] = score.Text(" " + texts[i] + "\t") // white space around it doesn't count
				}
				row, err := m.Row(r)
				if err != nil {
					t.Fatal(err)
				}
				got, err := m.Score(row)
				if err != nil {
					t.Fatal(err)
				}
				worst = max(worst, math.Abs(got-want[i]))
				e, err := m.Explain(row)
				if err != nil {
					t.Fatal(err)
				}
				sum, size := e.Intercept, 0.0
				for k, c := range e.Columns {
					if c.Column != m.Terms()[k] {
						t.Fatalf("contribution %d is of %s", k, c.Column)
					}
					sum, size = sum+c.Logit, size+math.Abs(c.Logit)
					seen[c.Encoded] = true
				}
				for _, pair := range e.Pairs {
					sum, size = sum+pair.Logit, size+math.Abs(pair.Logit)
				}
				if math.Abs(sum-e.Logit) > 1e-12*(1+size) {
					t.Fatalf("contributions add up to %g, the logit is %g", sum, e.Logit)
				}
			}
			if worst > 1e-12 {
				t.Errorf("differ by %g", worst)
			}
			want5 := fmt.Sprintf("town#%d", hashing.New("town", buckets).Text("Ort 5"))
			if !seen[want5] || !seen["town:missing"] || p.Private() == seen["town*device=other"] {
				t.Errorf("explanations lack some of %s, town:missing, town*device=other", want5)
			}
		})
	}
}

// Of 2^18 buckets, of which a few hundred have rows enough, a document names those alone.
func TestWideModelsStaySmall(t *testing.T) {
	table := generated(6_000, 8)
	towns(table, 1<<18)
	p := exact(t, strings.Replace(machine, `"factors":5`, `"factors":4`, 1))
	data, err := p.Document()
	if err != nil {
		t.Fatal(err)
	}
	wide := strings.Replace(string(data), `"features":[`, `"features":[{"name":"town","kind":"category","buckets":262144,"nullable":true,"missing_indicator":false,"min_count":20},`, 1)
	p = program(t, wide)
	s, m := trained(t, p, table)
	document, err := optim.Export(p, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes of model, %d of state, %d of program, %d buckets kept", len(document), len(s.Encode()), len(wide), len(m.Buckets()))
	if len(document) > 100_000 || len(m.Buckets()) < 20 {
		t.Errorf("%d bytes for %d buckets", len(document), len(m.Buckets()))
	}
}

const hashed = `{"format":"tributary-model","version":1,"type":"logistic_regression","l2":1,"intercept":0.5,"columns":[
{"name":"land=DE","feature":"land","role":"value","value":"DE","folded":true,"coefficient":0},
{"name":"land=other","feature":"land","role":"other","folded":false,"coefficient":0.75,"nullable":true},
{"name":"city#","feature":"city","role":"buckets","folded":false,"buckets":{"count":4096,"kept":[1061,1648],"coefficients":[2,-1]}},
{"name":"city=other","feature":"city","role":"other","folded":false,"coefficient":0.25},
{"name":"land*city#","feature":"land*city","role":"buckets","folded":false,"buckets":{"count":12288,"cross":["land","city"],"kept":[1061,9253],"coefficients":[8,16]}},
{"name":"land*city=other","feature":"land*city","role":"other","folded":false,"coefficient":32}],
"training_rows":10,"train_rounds":1,"converged":true}`

// The vectors of SPEC §13: Bern is bucket 1061 of 4096. A folded value has its own cells in a cross.
func TestHashedLogitsByHand(t *testing.T) {
	m, err := score.Parse([]byte(hashed))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		land, city string
		want       float64
		encoded    string
	}{
		{"DE", "Bern", 0.5 + 0.75 + 2 + 8, "city#1061"},
		{"XX", "Zürich", 0.5 + 0.75 - 1 + 32, "city#1648"},
		{"", "Bern", 0.5 + 0.75 + 2 + 16, "city#1061"}, // 2·4096 + 1061
		{"DE", "nowhere", 0.5 + 0.75 + 0.25 + 32, "city=other"},
	} {
		row, err := m.Row(map[string]score.Value{"land": score.Text(c.land), "city": score.Text(c.city)})
		if err != nil {
			t.Fatal(err)
		}
		e, err := m.Explain(row)
		if err != nil || math.Abs(e.Logit-c.want) > 1e-12 || e.Columns[1].Encoded != c.encoded || e.Columns[0].Encoded != "" {
			t.Errorf("%s, %s: %+v, want %g: %v", c.land, c.city, e, c.want, err)
		}
	}
	for _, city := range []score.Value{{}, score.Text(" "), score.Text("Z\xfcrich"), score.Number(8001)} {
		if _, err := m.Score([]score.Value{score.Text("DE"), city}); err == nil || !strings.Contains(err.Error(), "city") || !strings.Contains(err.Error(), "hint: ") {
			t.Errorf("%+v: %v", city, err)
		}
	}
	if m.Beyond(1, score.Text("nowhere")) {
		t.Error("a value of an open category is beyond it")
	}
}

func TestHostileBucketsAreRefused(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"logistic_regression"`, `"matrix_factorization"`, "type: a matrix_factorization scores no rows"},
		{`"count":4096`, `"count":4095`, "columns[2].buckets.count: 4095 is not a power of two"},
		{`"count":4096`, `"count":1e9`, "columns[2].buckets.count: want an integer"},
		{`"count":4096`, `"count":1048576`, "columns[2].buckets.count: "},
		{`"count":4096`, `"count":8192`, `columns: cross "land*city" has 12288 buckets for 24576 cells`},
		{`[1061,1648]`, `[1648,1061]`, "columns[2].buckets.kept: item 1"},
		{`[1061,1648]`, `[1061,1061]`, "columns[2].buckets.kept: item 1"},
		{`[1061,1648]`, `[1061,4096]`, "columns[2].buckets.kept: item 1"},
		{`[1061,1648]`, `[-1,1648]`, "columns[2].buckets.kept: item 0"},
		{`[1061,1648]`, `[null,1648]`, "columns[2].buckets.kept: item 0"},
		{`[1061,1648]`, `[1061]`, "columns[2].buckets.coefficients: 2 numbers, want 1"},
		{`[2,-1]`, `[2,1e300]`, "columns[2].buckets.coefficients[1]"},
		{`[2,-1]`, `[2,-1],"factors":[1,1]`, "columns[2].buckets.factors: not of this type"},
		{`"city#"`, `"city"`, `columns[2].name: want "city#"`},
		{`"folded":false,"buckets"`, `"folded":true,"buckets"`, "columns[2].folded: "},
		{`"folded":false,"buckets"`, `"folded":false,"coefficient":1,"buckets"`, "columns[2].coefficient: unknown key"},
		{`["land","city"]`, `["land","land"]`, "columns[4].buckets.cross: "},
		{`["land","city"]`, `["city","land"]`, "columns[4].buckets.cross: "},
		{`["land","city"]`, `["land","land*city"]`, "columns[4].buckets.cross: "},
		{`["land","city"]`, `["land",null]`, "columns[4].buckets.cross: "},
		{`["land","city"]`, `["land"]`, "columns[4].buckets.cross: "},
		{`"name":"land*city=other","feature":"land*city","role":"other"`, `"name":"land*city:missing","feature":"land*city","role":"missing"`, "columns[5].role: want other"},
		{`,
{"name":"land*city=other","feature":"land*city","role":"other","folded":false,"coefficient":32}`, ``, `columns: cross "land*city" has no column of role other`},
		{`{"name":"city=other","feature":"city"`, `{"name":"city=x","feature":"city","role":"value","value":"x","folded":false,"coefficient":1},{"name":"city=other","feature":"city"`, "columns[3].role: a value after"},
	} {
		refused(t, hashed, c.old, c.new, c.want)
	}
}
