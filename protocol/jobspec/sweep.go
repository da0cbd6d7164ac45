package jobspec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Bounds of a sweep.
const (
	maxTrials  = 100
	maxSwept   = 8   // fields
	maxChoices = 100 // values of a field
)

// Sweep is a search for hyper-parameters: one spec written as many, each of them a
// job of its own. It exists on the side of who writes the spec only.
type Sweep struct {
	By     string // the metric that trials are ranked by
	Folds  int    // each combination is tried on so many folds; 0: on the spec's own hold-out
	Trials []Trial
}

// Trial is one spec of a sweep.
type Trial struct {
	Name   string    `json:"name"`
	Values []Setting `json:"values"`
	Spec   []byte    `json:"-"` // the sweep's text without the sweep: the same lines, but for the values
}

// Setting is a field of a trial's spec.
type Setting struct {
	Field string `json:"field"` // "model.l2", or "evaluate.holdout"
	Value string `json:"value"`
}

// swept is a field of a sweep and what it may be.
type swept struct {
	field    string
	at       value // in the spec
	choices  []string
	low      float64 // of a range, in random search
	high     float64
	log      bool
	anything bool // a range
}

// ParseSweep reads the sweep of a spec's text and writes out its trials. Both results
// are nil if the text has none, or isn't a spec at all, which ParseSpec says better.
func ParseSweep(data []byte) (*Sweep, []Problem) {
	d, root, ok := open(data)
	if !ok {
		return nil, nil
	}
	entry, last, found := topLevel(root, "sweep")
	if !found {
		return nil, nil
	}
	if entry == nil {
		d.at("sweep", root.at, "a sweep can't stand in a spec between braces", "write the spec's keys one a line")
		return nil, d.sorted()
	}
	_, top, _ := d.fields(root)
	s, fields, trials, seed := d.sweep(top["sweep"])
	for i := range fields {
		fields[i].at = d.find(root, fields[i].field, "sweep.values."+fields[i].field)
	}
	name, named := top["name"]
	if !named {
		d.at("name", root.at, `key "name" is missing`, "")
	}
	if len(d.problems) > 0 {
		return nil, d.sorted()
	}
	lines := strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")
	for i := entry.Key.GetToken().Position.Line; i <= min(last, len(lines)); i++ {
		lines[i-1] = ""
	}
	base, _ := scalarText(name.node)
	combinations := combine(fields, trials, seed)
	if s.Folds > 0 {
		// The fold is the last field, and the fastest.
		fold := swept{field: "evaluate.holdout", at: d.find(root, "evaluate.holdout", "sweep.folds")}
		if len(d.problems) > 0 {
			return nil, d.sorted()
		}
		fields = append(fields, fold)
		combinations = folded(combinations, s.Folds)
	}
	if len(combinations) > maxTrials {
		d.report(fmt.Sprintf("the sweep has %d trials, at most %d are possible", len(combinations), maxTrials), "try fewer values or folds", "sweep")
		return nil, d.sorted()
	}
	for i, values := range combinations {
		t := Trial{Name: fmt.Sprintf("%s-%d", base, i+1)}
		edits := []edited{{name.at, t.Name}}
		for k, v := range values {
			t.Values = append(t.Values, Setting{fields[k].field, v})
			edits = append(edits, edited{fields[k].at.at, v})
		}
		t.Spec = []byte(rewrite(lines, edits))
		spec, problems := ParseSpec(t.Spec)
		if len(problems) == 0 && spec.Model.Type == typeLinear && !d.given("sweep.by") {
			s.By = "rmse"
		}
		if len(problems) > 0 {
			for _, p := range problems {
				p.Message = fmt.Sprintf("trial %d: %s", i+1, p.Message)
				d.problems = append(d.problems, p)
			}
			return nil, d.sorted() // others have the same problem, or theirs comes next
		}
		s.Trials = append(s.Trials, t)
	}
	return s, nil
}

// topLevel finds a key of a block mapping and the line before the next key; entry is
// nil if the mapping isn't a block.
func topLevel(root value, key string) (entry *ast.MappingValueNode, last int, found bool) {
	var entries []*ast.MappingValueNode
	flow := false
	switch n := root.node.(type) {
	case *ast.MappingNode:
		entries, flow = n.Values, n.IsFlowStyle
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{n}
	}
	for i, e := range entries {
		scalar, ok := e.Key.(ast.ScalarNode)
		if !ok {
			continue
		}
		if text, _ := scalarText(scalar); text != key {
			continue
		}
		last = math.MaxInt
		if i+1 < len(entries) {
			last = entries[i+1].Key.GetToken().Position.Line - 1
		}
		if flow {
			return nil, last, true
		}
		return e, last, true
	}
	return nil, 0, false
}

// sweep reads what is under the key.
func (d *document) sweep(v value) (s *Sweep, fields []swept, trials int64, seed uint64) {
	s = &Sweep{By: "log_loss"}
	_, keys, ok := d.fields(v, "search", "trials", "seed", "by", "values", "folds")
	if !ok {
		return s, nil, 0, 0
	}
	if f, ok := keys["folds"]; ok {
		n, _ := d.integer(f, 2, 10)
		if s.Folds = int(n); n != 0 && n != 2 && n != 5 && n != 10 {
			d.at(f.path, f.at, fmt.Sprintf("%d folds don't divide ten", n), "write 2, 5 or 10")
		}
	}
	if _, folds := keys["folds"]; !folds || keys["search"].node != nil || keys["values"].node != nil {
		d.require(v, keys, map[string]string{"search": "write search: grid, or random", "values": "write values: {model.l2: [0.1, 1, 10]}"}, "search", "values")
	}
	random := false
	if v, ok := keys["search"]; ok {
		word, _ := d.choice(v, "grid", "random")
		random = word == "random"
	}
	if v, ok := keys["by"]; ok {
		s.By, _ = d.choice(v, sweepMetrics()...)
	}
	if v, ok := keys["seed"]; ok {
		seed = d.seed(v)
	}
	switch v, given := keys["trials"]; {
	case given && !random:
		d.at(v.path, v.at, "trials are for search: random; a grid has all combinations", "remove trials")
	case given:
		trials, _ = d.integer(v, 1, maxTrials)
	case random:
		d.at(v.path, keys["search"].at, "a random search needs a number of trials", "write trials: 10")
	}
	v, ok = keys["values"]
	if !ok {
		return s, nil, trials, seed
	}
	names, byName, ok := d.fields(v)
	if ok && (len(names) == 0 || len(names) > maxSwept) {
		d.at(v.path, v.at, fmt.Sprintf("%d fields are swept, from 1 to %d are possible", len(names), maxSwept), "")
	}
	combinations := 1
	for _, field := range names {
		f := d.swept(field, byName[field], random)
		fields = append(fields, f)
		combinations = min(combinations*max(len(f.choices), 1), maxTrials+1)
	}
	if !random && combinations > maxTrials {
		d.at(v.path, v.at, fmt.Sprintf("the grid has more than %d trials", maxTrials), "list fewer values, or write search: random and trials")
	}
	return s, fields, trials, seed
}

func (d *document) swept(field string, v value, random bool) swept {
	f := swept{field: field}
	if !strings.HasPrefix(field, "model.") || field == "model.type" {
		d.at(v.path, v.at, "only the model's fields are swept, not "+show(field), "name one such as model.l2 or model.averaging.learning_rate")
		return f
	}
	if isMapping(v) && random {
		d.between(&f, v)
		return f
	}
	list, ok := d.items(v)
	if ok && (len(list) == 0 || len(list) > maxChoices) {
		d.at(v.path, v.at, fmt.Sprintf("%d values, from 1 to %d are possible", len(list), maxChoices), "")
	}
	for _, e := range list {
		text, ok := scalarText(e.node)
		switch {
		case !ok || !plainScalar(text):
			d.wrongType(e, "a number or a word", "")
		case slices.Contains(f.choices, text):
			d.at(e.path, e.at, "value "+show(text)+" is listed twice", "remove one of them")
		}
		f.choices = append(f.choices, text)
	}
	return f
}

// plainScalar keeps a value to what can stand for another between any two marks.
func plainScalar(s string) bool { return columnText.MatchString(s) || numberText.MatchString(s) }

// between reads a range that random trials draw from.
func (d *document) between(f *swept, v value) {
	_, keys, _ := d.fields(v, "min", "max", "scale")
	d.require(v, keys, nil, "min", "max")
	f.anything = true
	for key, out := range map[string]*float64{"min": &f.low, "max": &f.high} {
		if v, ok := keys[key]; ok {
			*out, _ = d.number(v)
		}
	}
	if v, ok := keys["scale"]; ok {
		word, _ := d.choice(v, "linear", "log")
		f.log = word == "log"
	}
	if !d.around[v.path] && (!(f.low < f.high) || f.log && !(f.low > 0)) {
		d.at(v.path, v.at, fmt.Sprintf("min %v and max %v are no range", f.low, f.high), "write min below max, and above 0 for scale: log")
	}
}

// find gives a field's value in the spec, whose text trials replace.
func (d *document) find(root value, field, from string) value {
	v := root
	for _, key := range strings.Split(field, ".") {
		if !isMapping(v) {
			v = value{}
			break
		}
		_, keys, _ := d.fields(v)
		v = keys[key]
	}
	if text, ok := scalarText(v.node); !ok || !plainScalar(text) || quoted(v.node) {
		d.report("the spec has no plain value at "+field+", which a trial's takes the place of", "write "+field+" out, at whatever value", from)
	}
	return v
}

// combine lists the trials' values: all of them for a grid, the last field fastest, or
// as many as asked for, drawn from the seed. No two are equal, so that of few choices
// there may be fewer.
func combine(fields []swept, trials int64, seed uint64) (out [][]string) {
	if trials == 0 {
		out = [][]string{nil}
		for _, f := range fields {
			var next [][]string
			for _, before := range out {
				for _, c := range f.choices {
					next = append(next, append(slices.Clone(before), c))
				}
			}
			out = next
		}
		return out
	}
	r := rand.New(rand.NewPCG(seed, 0))
	for tries := int64(0); int64(len(out)) < trials && tries < 100*trials; tries++ {
		var values []string
		for _, f := range fields {
			values = append(values, f.draw(r))
		}
		if !slices.ContainsFunc(out, func(other []string) bool { return slices.Equal(other, values) }) {
			out = append(out, values)
		}
	}
	return out
}

// folded tries each combination on each fold.
func folded(combinations [][]string, folds int) (out [][]string) {
	for _, c := range combinations {
		for k := range folds {
			out = append(out, append(slices.Clone(c), fmt.Sprintf("{tenths: %d, from: %d}", 10/folds, k*10/folds)))
		}
	}
	return out
}

func (f *swept) draw(r *rand.Rand) string {
	if !f.anything {
		return f.choices[r.IntN(len(f.choices))]
	}
	u := r.Float64()
	v := f.low + (f.high-f.low)*u
	if f.log {
		v = math.Exp(math.Log(f.low) + (math.Log(f.high)-math.Log(f.low))*u)
	}
	// Four digits: a spec is read by people.
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// edited is the text of a plain scalar at a place.
type edited struct {
	at   place
	text string
}

// rewrite replaces scalars, the rightmost of a line first.
func rewrite(lines []string, edits []edited) string {
	out := slices.Clone(lines)
	slices.SortFunc(edits, func(a, b edited) int { return b.at.column - a.at.column })
	for _, e := range edits {
		line := []rune(out[e.at.line-1])
		from := min(e.at.column-1, len(line))
		to := from
		for to < len(line) && !strings.ContainsRune(" \t\r,}]", line[to]) {
			to++
		}
		out[e.at.line-1] = string(line[:from]) + e.text + string(line[to:])
	}
	return strings.Join(out, "\n")
}
