package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"tributary/deploy/shop"
	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/metrics"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

// program resolves the demo's own spec for the given number of contributors.
func program(spec string, members []string) (*optim.Program, error) {
	s, problems := jobspec.ParseSpec([]byte(spec))
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	c, problems := jobspec.ParseContract([]byte(shop.Contract))
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	resolved, problems := jobspec.Resolve(s, c, jobspec.Options{F: 1, Members: members, Seats: len(members)})
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	return optim.ParseProgram(resolved.Program())
}

// fitted trains on one table in plain floating point, without lanes and without encryption: what a single machine with that
// data gives. Newton is run to the last bit of progress, beyond the job's tolerance.
func fitted(p *optim.Program, t *dataset.Table) (*optim.State, error) {
	s := p.Initial()
	for s.Kind() != optim.Done {
		sums, err := linear.Sums(p, s, t)
		if err != nil {
			return nil, err
		}
		if s, _, err = p.Apply(s, sums); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// scorer is a model read back from its export: what a user of `tributary model export` has.
type scorer struct {
	Intercept float64
	UnitNorm  bool `json:"unit_norm"`
	Columns   []struct {
		Name, Feature, Role string
		Value               *string
		Folded              bool
		Coefficient         float64
		Number              *struct {
			Log1p, Standardize, Scale bool
			Mean, SD, Clip            float64
		}
	}
}

// exported gives a state's model as the coordinator would export it.
func exported(p *optim.Program, s *optim.State) (*scorer, error) {
	data, err := optim.Export(p, s)
	if err != nil {
		return nil, err
	}
	return parseModel(data)
}

func parseModel(data []byte) (*scorer, error) {
	var m scorer
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("exported model: %w", err)
	}
	return &m, nil
}

// logits scores every row of a table by the export alone.
func (m *scorer) logits(t *dataset.Table) ([]float64, error) {
	out, norm := make([]float64, t.Rows), make([]float64, t.Rows)
	for i := range out {
		out[i], norm[i] = m.Intercept, 1
	}
	for _, c := range m.Columns {
		column, ok := t.Column(c.Feature)
		if !ok {
			return nil, fmt.Errorf("the table lacks column %s", c.Feature)
		}
		if c.Folded {
			continue
		}
		for i := range out {
			v := value(c.Role, c.Value, column, i, func(x float64) float64 {
				if c.Number.Log1p {
					x = math.Log1p(x)
				}
				if c.Number.Standardize || c.Number.Scale {
					x = min(max((x-c.Number.Mean)/c.Number.SD, -c.Number.Clip), c.Number.Clip)
				}
				return x
			})
			out[i] += c.Coefficient * v
			norm[i] += v * v
		}
	}
	if m.UnitNorm {
		for i := range out {
			out[i] /= math.Sqrt(norm[i])
		}
	}
	return out, nil
}

func value(role string, listed *string, column *dataset.Column, row int, transform func(float64) float64) float64 {
	indicator := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	switch role {
	case "number":
		if math.IsNaN(column.Numbers[row]) {
			return 0
		}
		return transform(column.Numbers[row])
	case "missing":
		return indicator(column.Codes == nil && math.IsNaN(column.Numbers[row]))
	case "value":
		code := column.Codes[row]
		return indicator(code >= 0 && int(code) < len(column.Values) && column.Values[code] == *listed)
	}
	return indicator(int(column.Codes[row]) >= len(column.Values) || column.Codes[row] < 0)
}

// heldOut measures a model on the held-out rows of all organisations together.
func (m *scorer) heldOut(t *dataset.Table) (auc, loss float64, err error) {
	logits, err := m.logits(t)
	if err != nil {
		return 0, 0, err
	}
	positives, negatives := make([]int64, metrics.Bins), make([]int64, metrics.Bins)
	rows := 0.0
	for i, z := range logits {
		if !t.HeldOut[i] {
			continue
		}
		rows++
		bins, sign := negatives, 1.0
		if t.Label[i] {
			bins, sign = positives, -1
		}
		bins[metrics.Bin(1/(1+math.Exp(-z)))]++
		loss += math.Log1p(math.Exp(sign * z))
	}
	a, err := metrics.AUC(positives, negatives)
	if err != nil {
		return 0, 0, err
	}
	if !a.Known {
		return 0, 0, errors.New("no held-out rows of both classes")
	}
	return a.V, loss / rows, nil
}

// natural is a column's coefficient per unit of the transformed value.
func (m *scorer) natural(i int) float64 {
	c := m.Columns[i]
	if c.Number != nil && c.Number.Standardize {
		return c.Coefficient / c.Number.SD
	}
	return c.Coefficient
}

// distance is the largest difference between two models' coefficients, per unit of the transformed value.
func (m *scorer) distance(other *scorer) float64 {
	most := 0.0
	for i := range m.Columns {
		most = max(most, math.Abs(m.natural(i)-other.natural(i)))
	}
	return most
}

// toTruth is the largest difference between the numbers' coefficients and their true effects, relative to these.
func (m *scorer) toTruth() float64 {
	most := 0.0
	for _, e := range shop.Numbers {
		for i, c := range m.Columns {
			if c.Name == e.Column {
				most = max(most, math.Abs(m.natural(i)-e.PerUnit)/math.Abs(e.PerUnit))
			}
		}
	}
	return most
}
