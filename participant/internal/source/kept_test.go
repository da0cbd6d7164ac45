package source

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/participant/internal/spill"
	"tributary/protocol/jobspec"
)

const keptContract = `
version: 1
name: kept
revision: 1
key: id
max_rows: 100000
label: {column: y, %s}
columns:
  a:      {type: number, min: -4, max: 4}
  b:      {type: number, min: -4, max: 4, nullable: true}
  weight: {type: number, min: 0, max: 2}
  c:      {type: category, values: [u, v, w], other: keep, nullable: true}
  fold:   {type: split, values: [train, test]}
`

// keptRows are the same rows in the heap and on disk: more than a few blocks, and several rows a user.
func keptRows(t *testing.T, label string, classes []string) (heap, disk *Rows) {
	t.Helper()
	c, problems := jobspec.ParseContract(fmt.Appendf(nil, keptContract, label))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r := rand.New(rand.NewPCG(5, 6))
	var text strings.Builder
	text.WriteString("id,a,b,weight,c,fold,y\n")
	for range 30_000 {
		a, b := r.NormFloat64(), fmt.Sprintf("%.5f", r.NormFloat64())
		if r.IntN(9) == 0 {
			b = ""
		}
		y := classes[min(max(int(math.Floor(a+r.NormFloat64()+1)), 0), len(classes)-1)]
		fmt.Fprintf(&text, "k%d,%.6f,%s,%.2f,%s,%s,%s\n", r.IntN(9000), a, b, 2*r.Float64(), []string{"u", "v", "w", "x", ""}[r.IntN(5)], []string{"train", "test"}[r.IntN(2)], y)
	}
	b := Binding{Contract: "kept@1", ID: "kept", File: write(t, "kept.csv", []byte(text.String()))}
	read := func(dir string) *Rows {
		rows, err := Read(t.Context(), b, c, Options{Secret: secret().Secret, Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	return read(""), read(t.TempDir())
}

const keptFeatures = `"features":[
{"name":"a","kind":"number","min":-4,"max":4,"nullable":false,"log1p":false,%[1]s,"missing_indicator":false},
{"name":"b","kind":"number","min":-4,"max":4,"nullable":true,"log1p":false,%[1]s,"missing_indicator":true},
{"name":"c","kind":"category","values":["u","v","w"],"nullable":true,"missing_indicator":true%[2]s}],"version":1,"contributors":1,"bits":40,"max_rows":100000,`

// jobs are programs of all kinds, by name.
func jobs(t *testing.T, classes []string) map[string]*optim.Program {
	t.Helper()
	evaluate := `"evaluate":{"holdout":true,"metrics":["log_loss","accuracy"]}`
	exact, private := fmt.Sprintf(keptFeatures, `"standardize":true,"clip":64`, `,"min_count":1`), fmt.Sprintf(keptFeatures, `"scale":true`, "")
	averaged := `"max_rounds":2,"tolerance":0,"averaging":{"epochs":2,"batch":%d,"optimizer":"%s","learning_rate":0.1,"server_rate":1,"patience":0,"seed":"1"}`
	noised := func(unit, solver, more string) string {
		return private + `"model":{"type":"logistic_regression","l2":1,"solver":"` + solver + `","max_rounds":2` + more + `},"private":{"unit":"` + unit +
			`","clip":2,"scale":1048576,"bins":50,"sigma2_fit":"1099511627776","sigma2_train":"1099511627776","sigma2_evaluate":"1099511627776"},` + evaluate
	}
	documents := map[string]string{
		"newton": exact + `"model":{"type":"logistic_regression","l2":1,"solver":"newton","max_rounds":3,"tolerance":1e-9},"weighting":{"weight":{"name":"weight","min":0,"max":2}},
			"evaluate":{"holdout":true,"metrics":["auc"],"groups":[{"name":"c","values":["u","v","w"],"nullable":true}],"min_count":20}`,
		"lbfgs":   exact + `"model":{"type":"logistic_regression","l2":1,"solver":"lbfgs","max_rounds":3,"tolerance":1e-9},"weighting":{"offset":{"name":"weight","min":0,"max":2}},` + evaluate,
		"fedavg":  exact + `"model":{"type":"logistic_regression","l2":1,"solver":"fedavg",` + fmt.Sprintf(averaged, 16, "sgd") + `},` + evaluate,
		"machine": exact + `"model":{"type":"factorization_machine","l2":1,"solver":"fedavg","factors":2,` + fmt.Sprintf(averaged, 1, "adagrad") + `},` + evaluate,
		"record":  strings.Replace(noised("record", "dp_gradient_descent", ""), `"clip":2`, `"clip":1`, 1),
		"user":    noised("user", "dp_gradient_descent", ""),
		"silo":    noised("silo", "dp_sgd", `,"sampling":{"rate_num":1,"rate_den":1,"learning_rate":1,"momentum":0}`),
	}
	if len(classes) > 2 {
		documents = map[string]string{"classes": exact + `"model":{"type":"multinomial_logistic_regression","l2":1,"solver":"lbfgs","max_rounds":3,"tolerance":1e-9},
			"label":{"classes":["` + strings.Join(classes, `","`) + `"],"min_rows":1},` + evaluate}
	}
	out := map[string]*optim.Program{}
	for name, document := range documents {
		p, err := optim.ParseProgram([]byte("{" + strings.Join(strings.Fields(document), "") + "}"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = p
	}
	return out
}

// Rows on disk give the same digest, tables, sums, contributions and scores as rows in the heap, bit for bit, in jobs of all kinds.
func TestRowsOnDiskGiveTheSameBits(t *testing.T) {
	for label, classes := range map[string][]string{
		`positive: "yes", negative: "no"`: {"no", "yes"},
		"classes: [low, middle, high]":    {"low", "middle", "high"},
	} {
		heap, disk := keptRows(t, label, classes)
		if heap.Digest != disk.Digest || disk.memory == nil || heap.memory != nil {
			t.Fatalf("digests %x and %x", heap.Digest[:4], disk.Digest[:4])
		}
		holdout := jobspec.Holdout{Tenths: 2}
		for _, h := range []jobspec.Holdout{{}, holdout, {Column: "fold", Equals: "test"}} {
			if a, b := userTable(t, heap, h), userTable(t, disk, h); a.Digest() != b.Digest() {
				t.Errorf("%+v: another table", h)
			}
		}
		programs := jobs(t, classes)
		for _, name := range slices.Sorted(maps.Keys(programs)) {
			t.Run(name, func(t *testing.T) {
				p := programs[name]
				a, b := userTable(t, heap, holdout), userTable(t, disk, holdout)
				if b.Memory == nil {
					t.Fatal("the table isn't kept on disk")
				}
				one, two := rounds(t, p, a), rounds(t, p, b)
				s := p.Initial()
				for s.Kind() != optim.Done {
					x, y := values(t, p, one, s), values(t, p, two, s)
					if len(x) == 0 || !slices.EqualFunc(x, y, func(x, y []float64) bool { return slices.EqualFunc(x, y, same) }) {
						t.Fatalf("%s: other values", s.Kind())
					}
					if p.Private() { // what the sum of them would be, as if noised
						x = total(p, s, x)
					}
					var err error
					if s, _, err = p.Apply(s, x); err != nil {
						t.Fatal(err)
					}
				}
				if p.Label == nil && !p.Private() {
					x, errX := local.Score(p, s, a)
					y, errY := local.Score(p, s, b)
					if errX != nil || errY != nil || !slices.EqualFunc(x, y, same) {
						t.Errorf("other scores: %v, %v", errX, errY)
					}
				}
			})
		}
	}
}

func same(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) }

func userTable(t *testing.T, rows *Rows, h jobspec.Holdout) *dataset.Table {
	t.Helper()
	table, err := rows.UserTable(h)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func rounds(t *testing.T, p *optim.Program, table *dataset.Table) local.Rounds {
	t.Helper()
	r, err := local.New(p, table)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// values are a round's sums, or of each contribution its lanes and values.
func values(t *testing.T, p *optim.Program, r local.Rounds, s *optim.State) (out [][]float64) {
	t.Helper()
	if !p.Private() {
		out, err := r.Sums(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	units, err := r.Contributions(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	for lanes, values := range units {
		var one []float64
		for i, lane := range lanes {
			one = append(one, float64(lane), values[i])
		}
		out = append(out, one)
	}
	return out
}

// total adds contributions up, in the program's one segment.
func total(p *optim.Program, s *optim.State, contributions [][]float64) [][]float64 {
	length := 0
	for _, segment := range p.Layout(s.Kind()) {
		length += segment.Length
	}
	sum := make([]float64, length)
	for _, c := range contributions {
		for i := 0; i < len(c); i += 2 {
			sum[int(c[i])] += c[i+1]
		}
	}
	for i, v := range sum {
		sum[i] = math.RoundToEven(v)
	}
	return [][]float64{sum}
}

// A disk on which rows can't be kept stops the reading with an error that says so.
func TestRowsThatCantBeKeptAreAnError(t *testing.T) {
	b := binding()
	b.File = write(t, "shop.csv", []byte(shopRows))
	if _, err := Read(t.Context(), b, contract(t), Options{Dir: "/nonexistent"}); err == nil || !strings.Contains(err.Error(), spill.ErrKeep.Error()) {
		t.Error(err)
	}
}
