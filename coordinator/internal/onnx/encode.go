package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// ErrUnsupported is wrapped by Encode's errors about models that have no graph.
var ErrUnsupported = errors.New("no ONNX form")

// Precision is that of a graph's numbers.
type Precision uint8

// The precisions.
const (
	Double  Precision = 1 + iota
	Float32           // what many accelerators need: probabilities differ by up to about 1e-6
)

// exported is what a graph is made of, from the document of an exported model (SPEC §12).
type exported struct {
	Type       string
	UnitNorm   bool `json:"unit_norm"`
	Factors    int
	Classes    []string
	Intercept  float64   // of a label with two values
	Intercepts []float64 // by class
	Columns    []encoded
	Label      *struct{ Min, Max float64 } // that is a number
	Offset     *struct {
		Name     string
		Min, Max float64
	}
}

// intercepts are by class, as coefficients are; one where the label has two values.
func (m *exported) intercepts() []float64 {
	if m.Classes == nil {
		return []float64{m.Intercept}
	}
	return m.Intercepts
}

func (m *exported) coefficients(c encoded) []float64 {
	if m.Classes == nil {
		return []float64{c.Coefficient}
	}
	return c.Coefficients
}

// outputs names what the graph gives.
func (m *exported) outputs() []string {
	switch {
	case m.Label != nil:
		return []string{"prediction", "sum"}
	case m.Classes == nil:
		return []string{"probability", "logit"}
	}
	return []string{"probabilities", "label", "logits"}
}

type encoded struct {
	Feature, Role, Value string
	Folded               bool
	Coefficient          float64
	Coefficients         []float64 // by class
	Factor               []float64
	Number               *number
	Nullable             bool
	Buckets              *buckets
	Bucket               *bucket
	Range                *struct{ Min, Max float64 } // of a number in buckets
	Date                 *struct{}                   // of a part of a date
}

type number struct {
	Min, Max, Mean, SD, Clip  float64
	Log1p, Standardize, Scale bool
	Lowest, Highest           *float64 // fitted quantiles
}

// Encode writes a document of this program's own optim.Export as an ONNX model.
func Encode(document []byte, p Precision) ([]byte, error) {
	var m exported
	if err := json.Unmarshal(document, &m); err != nil {
		return nil, fmt.Errorf("read exported model: %w", err)
	}
	if !slices.Contains([]string{"logistic_regression", "multinomial_logistic_regression", "linear_regression", "factorization_machine"}, m.Type) {
		return nil, fmt.Errorf("%w of %s", ErrUnsupported, m.Type)
	}
	if o := m.Offset; o != nil { // a number whose coefficient is known to be 1
		m.Columns = append(m.Columns, encoded{Feature: o.Name, Role: "number", Coefficient: 1, Number: &number{Min: o.Min, Max: o.Max}})
	}
	e := &encoder{graph: graph{real: typeDouble, taken: map[string]bool{}}, model: &m}
	for _, name := range m.outputs() {
		e.taken[name] = true
	}
	if p == Float32 {
		e.real = typeFloat
	}
	for i := 0; i < len(m.Columns); {
		end := i + 1
		for end < len(m.Columns) && m.Columns[end].Feature == m.Columns[i].Feature {
			end++
		}
		if name := m.Columns[i].Feature; slices.Contains(m.outputs(), name) {
			return nil, fmt.Errorf("%w: a column is called %q, as an output is", ErrUnsupported, name)
		}
		e.taken[m.Columns[i].Feature] = true // a cross isn't an input, but its name may be taken all the same
		e.features = append(e.features, m.Columns[i:end])
		i = end
	}
	if err := e.encode(); err != nil {
		return nil, err
	}
	return e.graph.model("tributary", m.Type), nil
}

// encoder builds the graph. Folded columns of categories are left out of it.
type encoder struct {
	graph
	model    *exported
	features [][]encoded // encoded columns by the record's column
	parts    []string    // values of shape [N, …] that together are the encoded row
	kept     []encoded   // their columns
}

func (e *encoder) encode() error {
	for _, f := range e.features {
		switch f[0].Role {
		case "number":
			e.number(f)
		case "buckets":
			if err := e.cross(f); err != nil {
				return err
			}
		case "bucket":
			e.buckets(f)
		default:
			e.category(f)
		}
	}
	x := e.node("Concat", e.parts, integerAttribute("axis", 1))
	logit := e.logit(x)
	if e.model.Classes != nil {
		e.classes(logit)
		return nil
	}
	if r := e.model.Label; r != nil {
		e.nodeTo("sum", "Identity", []string{logit})
		e.nodeTo("prediction", "Clip", []string{logit, e.scalar(r.Min), e.scalar(r.Max)})
		e.output("prediction", e.real, 1)
		e.output("sum", e.real, 1)
		return nil
	}
	e.nodeTo("logit", "Identity", []string{logit})
	e.nodeTo("probability", "Sigmoid", []string{logit})
	e.output("probability", e.real, 1)
	e.output("logit", e.real, 1)
	return nil
}

// classes makes probabilities and the predicted class of logits, one for each class.
func (e *encoder) classes(logits string) {
	count := len(e.model.Classes)
	e.nodeTo("logits", "Identity", []string{logits})
	e.nodeTo("probabilities", "Softmax", []string{logits}, integerAttribute("axis", 1))
	first := e.node("ArgMax", []string{logits}, integerAttribute("axis", 1)) // of equal ones
	numbers := make([]int64, count)
	for k := range numbers {
		numbers[k] = int64(k)
	}
	e.nodeTo("label", "LabelEncoder", []string{first}, integersAttribute("keys_int64s", numbers), textsAttribute("values_strings", e.model.Classes))
	e.output("probabilities", e.real, count)
	e.output("label", typeString, 1)
	e.output("logits", e.real, count)
}

// number encodes a number's value and its missing indicator. A folded value stays, as 0: the graph has columns even if all of them fold.
func (e *encoder) number(f []encoded) {
	c, in, n := f[0], f[0].Feature, f[0].Number
	e.input(in, e.real)
	missing := e.node("IsNaN", []string{in})
	least, most := n.bounds()
	low, high := e.scalar(least), e.scalar(most)
	x := e.node("Where", []string{missing, low, in})
	x = e.node("Clip", []string{x, low, high})
	if n.Log1p {
		x = e.node("Log", []string{e.node("Add", []string{x, e.scalar(1)})})
	}
	if n.Standardize || n.Scale {
		x = e.node("Div", []string{e.node("Sub", []string{x, e.scalar(n.Mean)}), e.scalar(n.SD)})
		x = e.node("Clip", []string{x, e.scalar(-n.Clip), e.scalar(n.Clip)})
	}
	x = e.node("Where", []string{missing, e.scalar(0), x})
	if c.Folded {
		x = e.node("Mul", []string{x, e.scalar(0)})
	}
	e.parts, e.kept = append(e.parts, x), append(e.kept, c)
	if len(f) > 1 && !f[1].Folded {
		e.parts = append(e.parts, e.node("Cast", []string{missing}, integerAttribute("to", int64(e.real))))
		e.kept = append(e.kept, f[1])
	}
}

// category encodes a string as the number of its column, and that as a 1 among zeros.
func (e *encoder) category(f []encoded) {
	in := f[0].Feature
	e.input(in, typeString)
	var keys []string
	var values []int64
	var other, places float64
	for _, c := range f {
		if c.Folded {
			continue
		}
		switch at := int64(places); c.Role {
		case "value":
			keys, values = append(keys, c.Value), append(values, at)
		case "missing":
			keys, values = append(keys, ""), append(values, at)
		default:
			other = places
		}
		e.kept = append(e.kept, c)
		places++
	}
	if len(keys) == 0 { // the operator wants one; all else is "other", as this is
		keys, values = []string{""}, []int64{int64(other)}
	}
	code := e.node("LabelEncoder", []string{in}, textsAttribute("keys_strings", keys), integersAttribute("values_int64s", values), integerAttribute("default_int64", int64(other)))
	numbers := make([]float64, int(places))
	for i := range numbers {
		numbers[i] = float64(i)
	}
	hot := e.node("Equal", []string{code, e.stored(typeInt64, numbers, 1, len(numbers))})
	e.parts = append(e.parts, e.node("Cast", []string{hot}, integerAttribute("to", int64(e.real))))
}

// logit is x·w + w₀ of each class, for a factorization machine also ½ Σ_f ((Σ v_f·x)² - Σ (v_f·x)²), all over the row's norm if it has one.
func (e *encoder) logit(x string) string {
	n, k := len(e.kept), e.model.Factors
	var w []float64
	w0, v, squares := e.model.intercepts(), make([]float64, n*k), make([]float64, n)
	for i, c := range e.kept {
		w = append(w, e.model.coefficients(c)...)
		for f, value := range c.Factor {
			v[i*k+f] = value
			squares[i] += value * value
		}
	}
	logit := e.node("Add", []string{e.node("MatMul", []string{x, e.constant(w, n, len(w0))}), e.constant(w0, 1, len(w0))})
	if k > 0 {
		sums := e.node("MatMul", []string{x, e.constant(v, n, k)})
		whole := e.node("MatMul", []string{e.node("Mul", []string{sums, sums}), e.constant(ones(k), k, 1)})
		own := e.node("MatMul", []string{e.node("Mul", []string{x, x}), e.constant(squares, n, 1)})
		logit = e.node("Add", []string{logit, e.node("Mul", []string{e.node("Sub", []string{whole, own}), e.scalar(0.5)})})
	}
	if e.model.UnitNorm {
		square := e.node("MatMul", []string{e.node("Mul", []string{x, x}), e.constant(ones(n), n, 1)})
		logit = e.node("Div", []string{logit, e.node("Sqrt", []string{e.node("Add", []string{square, e.scalar(1)})})})
	}
	return logit
}

func ones(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 1
	}
	return out
}
