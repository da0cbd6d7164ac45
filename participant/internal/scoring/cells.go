package scoring

import (
	"strconv"

	"tributary/models/score"
)

// added names the columns that scoring adds.
func added(m *score.Model, explain bool) []string {
	if m.Classes != nil {
		return addedByClass(m, explain)
	}
	names := []string{"probability"}
	if !explain {
		return names
	}
	names = append(names, "logit", "logit:(intercept)")
	features := m.Features()
	for _, name := range features {
		names = append(names, "logit:"+name)
	}
	if m.Factors > 0 {
		for i, a := range features {
			for _, b := range features[i+1:] {
				names = append(names, pairName(a, b))
			}
		}
	}
	return names
}

func addedByClass(m *score.Model, explain bool) []string {
	names := []string{"predicted"}
	for _, class := range m.Classes {
		names = append(names, "probability:"+class)
	}
	if !explain {
		return names
	}
	for _, class := range m.Classes {
		logit := "logit:" + class
		names = append(names, logit, logit+":(intercept)")
		for _, name := range m.Features() {
			names = append(names, logit+":"+name)
		}
	}
	return names
}

func pairName(a, b string) string { return "logit:" + a + "*" + b }

// row gives a row's cells as they are written.
func (s *scorer) row(record []string, values []score.Value) ([]string, error) {
	line := make([]string, 0, len(s.header))
	for _, at := range s.kept {
		line = append(line, record[at])
	}
	switch {
	case s.model.Classes != nil:
		return s.byClass(line, values)
	case !s.Explain:
		p, err := s.model.Score(values)
		return appendNumbers(line, p), err
	}
	e, err := s.model.Explain(values)
	if err != nil {
		return nil, err
	}
	line = appendLogits(appendNumbers(line, e.Probability), e)
	if s.model.Factors == 0 {
		return line, nil
	}
	next := 0 // pairs come in the header's order, those that add nothing left out
	for i, a := range e.Columns {
		for _, b := range e.Columns[i+1:] {
			x := 0.0
			if next < len(e.Pairs) && e.Pairs[next].First == a.Column && e.Pairs[next].Second == b.Column {
				x, next = e.Pairs[next].Logit, next+1
			}
			line = appendNumbers(line, x)
		}
	}
	return line, nil
}

// byClass is row of a model with classes, after the kept cells.
func (s *scorer) byClass(line []string, values []score.Value) ([]string, error) {
	if !s.Explain {
		probabilities, predicted, err := s.model.Classify(values)
		if err != nil {
			return nil, err
		}
		return appendNumbers(append(line, s.model.Classes[predicted]), probabilities...), nil
	}
	classes, predicted, err := s.model.ExplainClasses(values)
	if err != nil {
		return nil, err
	}
	line = append(line, s.model.Classes[predicted])
	for i := range classes {
		line = appendNumbers(line, classes[i].Probability)
	}
	for i := range classes {
		line = appendLogits(line, &classes[i])
	}
	return line, nil
}

// appendLogits adds a logit, its intercept, and what each column added to it.
func appendLogits(line []string, e *score.Explanation) []string {
	line = appendNumbers(line, e.Logit, e.Intercept)
	for _, c := range e.Columns {
		line = appendNumbers(line, c.Logit)
	}
	return line
}

func appendNumbers(line []string, numbers ...float64) []string {
	for _, x := range numbers {
		line = append(line, strconv.FormatFloat(x, 'g', -1, 64))
	}
	return line
}
