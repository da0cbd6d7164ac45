package score

import (
	"fmt"
	"math"
)

const (
	absentHint = "give every column of the model; null, or nothing in CSV, is a missing value"
	dateHint   = "write it like 2024-02-29, or with a time like 2024-02-29T12:30:00Z"
)

// Row picks a record's values in the order of Columns. Every column must be there, a missing value as the zero Value; others are
// ignored. The error is a *RecordError.
func (m *Model) Row(record map[string]Value) ([]Value, error) {
	row := make([]Value, len(m.inputs))
	for i := range m.inputs {
		v, ok := record[m.inputs[i].Name]
		if !ok {
			return nil, &RecordError{m.inputs[i].Name, "the record doesn't have it", absentHint}
		}
		row[i] = v
	}
	return row, nil
}

// RowJSON is Row of a record as a JSON object, which has no key twice.
func (m *Model) RowJSON(record []byte) ([]Value, error) {
	var wrong error
	o := object{path: "record", err: &wrong}
	if o.read(record); wrong != nil {
		return nil, &RecordError{Message: wrong.Error()}
	}
	row := make([]Value, len(m.inputs))
	for i := range m.inputs {
		name := m.inputs[i].Name
		raw, ok := o.keys[name]
		if !ok {
			return nil, &RecordError{name, "the record doesn't have it", absentHint}
		}
		if err := row[i].UnmarshalJSON(raw); err != nil {
			return nil, &RecordError{name, err.Error(), ""}
		}
	}
	return row, nil
}

// Score is the probability of the positive label for a row, or the number that is predicted: values in the order of Columns. The
// error is a *RecordError, or ErrLabel for a model with classes.
func (m *Model) Score(row []Value) (float64, error) {
	if m.Classes != nil {
		return 0, ErrLabel
	}
	e, err := m.encode(row)
	if err != nil {
		return 0, err
	}
	if m.Target != nil {
		return m.Target.clamp(m.logit(e, 0)), nil
	}
	return sigmoid(m.logit(e, 0)), nil
}

// Batch scores rows; the error names the first bad one, counted from 1.
func (m *Model) Batch(rows [][]Value) ([]float64, error) {
	out := make([]float64, len(rows))
	for i, row := range rows {
		p, err := m.Score(row)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		out[i] = p
	}
	return out, nil
}

// encoded is a row as the model sees it.
type encoded struct {
	active []active
	norm   float64 // what the values, and so the intercept, are divided by
}

// active is what one of a row's columns is encoded as: all its other encoded columns are 0.
type active struct {
	column int // of the model's features; a cross's comes after all of them
	at     int // encoded
	x      float64
}

func (m *Model) encode(row []Value) (encoded, error) {
	if len(row) != len(m.inputs) {
		return encoded{}, fmt.Errorf("%d values, the model has %d columns", len(row), len(m.inputs))
	}
	row = m.datesRead(row)
	out, square := encoded{make([]active, 0, len(m.columns)), 1}, 1.0
	for i := range m.columns {
		at, x, err := m.columns[i].encode(row[m.columns[i].from])
		if err != nil {
			return encoded{}, err
		}
		if at != none {
			out.active, square = append(out.active, active{i, at, x}), square+x*x
		}
	}
	for k := range m.crosses {
		out.active, square = append(out.active, active{len(m.columns) + k, m.crosses[k].encode(m, row), 1}), square+1
	}
	if m.unitNorm {
		out.norm = math.Sqrt(square)
		for i := range out.active {
			out.active[i].x /= out.norm
		}
	}
	return out, nil
}

// linear is what an encoded column adds to a class's logit by itself.
func (m *Model) linear(a active, class int) float64 {
	return m.coefficient[a.at*len(m.intercept)+class] * a.x
}

// logit is w₀ + Σ w·x + ½ Σ_f ((Σ v_f·x)² - Σ (v_f·x)²) of a class, in time linear in the row's columns [R10, eq. 5].
func (m *Model) logit(e encoded, class int) float64 {
	out := m.intercept[class] / e.norm
	for _, a := range e.active {
		out += m.linear(a, class)
	}
	if m.Factors == 0 {
		return out
	}
	pairs := 0.0
	for f := range m.Factors {
		sum, squares := 0.0, 0.0
		for _, a := range e.active {
			t := m.factor[a.at*m.Factors+f] * a.x
			sum, squares = sum+t, squares+t*t
		}
		pairs += sum*sum - squares
	}
	return out + pairs/2
}

// Explanation says exactly how a row came to its probability: 1/(1+exp(-Logit)), or exp(Logit) by the total of these over all
// classes; and Logit is Intercept and the sum of all contributions, up to rounding.
type Explanation struct {
	Probability float64        `json:"probability"`
	Logit       float64        `json:"logit"`
	Intercept   float64        `json:"intercept"`
	Columns     []Contribution `json:"columns"`         // one for each of Terms, in their order
	Pairs       []Pair         `json:"pairs,omitempty"` // of a factorization machine: each pair of columns once, the earlier first
}

// Contribution is what a column adds to the logit by itself: coefficient · value, of whichever of its encoded columns isn't zero.
type Contribution struct {
	Column  string  `json:"column"`
	Encoded string  `json:"encoded,omitempty"` // of open categories and crosses: the encoded column, such as "city#17"
	Logit   float64 `json:"logit"`
}

// Pair is what two columns add together: ⟨factor, factor⟩ · value · value.
type Pair struct {
	First  string  `json:"first"`
	Second string  `json:"second"`
	Logit  float64 `json:"logit"`
}

// Explain scores a row and tells what each column, and each pair of columns, added. Pairs that add nothing because one of them is
// encoded as zeros are left out. The error is a *RecordError, or ErrLabel for a model with classes or of a number.
func (m *Model) Explain(row []Value) (*Explanation, error) {
	if m.Classes != nil || m.Target != nil {
		return nil, ErrLabel
	}
	e, err := m.encode(row)
	if err != nil {
		return nil, err
	}
	out := m.explain(e, 0)
	out.Probability = sigmoid(out.Logit)
	return &out, nil
}

// explain tells how a class's logit came about; the probability is left to the caller.
func (m *Model) explain(e encoded, class int) Explanation {
	out := Explanation{Logit: m.logit(e, class), Intercept: m.intercept[class] / e.norm, Columns: make([]Contribution, m.terms())}
	for i := range out.Columns {
		out.Columns[i].Column = m.term(i)
	}
	for i, a := range e.active {
		out.Columns[a.column].Logit, out.Columns[a.column].Encoded = m.linear(a, class), m.bucketName(a)
		for _, b := range e.active[i+1:] {
			if m.Factors > 0 {
				out.Pairs = append(out.Pairs, Pair{m.term(a.column), m.term(b.column), m.inner(a, b)})
			}
		}
	}
	return out
}

// sigmoid is 1/(1+exp(-x)).
func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// inner is ⟨factor, factor⟩ · value · value of two encoded columns.
func (m *Model) inner(a, b active) float64 {
	dot := 0.0
	for f := range m.Factors {
		dot += m.factor[a.at*m.Factors+f] * m.factor[b.at*m.Factors+f]
	}
	return dot * a.x * b.x
}
