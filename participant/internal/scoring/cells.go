package scoring

import (
	"strconv"

	"tributary/models/score"
)

// added names the columns that scoring adds.
func added(m *score.Model, columns []score.Column, explain bool) []string {
	if m.Classes != nil {
		return addedByClass(m, columns, explain)
	}
	score, sum := "probability", "logit"
	if m.Target != nil {
		score, sum = "prediction", "sum"
	}
	names := []string{score}
	if !explain {
		return names
	}
	names = append(names, sum, sum+":(intercept)")
	for _, c := range columns {
		names = append(names, sum+":"+c.Name)
	}
	if m.Factors > 0 {
		for i, a := range columns {
			for _, b := range columns[i+1:] {
				names = append(names, sum+":"+a.Name+"*"+b.Name)
			}
		}
	}
	return names
}

func addedByClass(m *score.Model, columns []score.Column, explain bool) []string {
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
		for _, c := range columns {
			names = append(names, logit+":"+c.Name)
		}
	}
	return names
}

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
	score, e, err := s.explained(values)
	if err != nil {
		return nil, err
	}
	line = appendLogits(appendNumbers(line, score), e)
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

// explained is a row's score and how it came about: a number's sum and its parts are in place of logits.
func (s *scorer) explained(values []score.Value) (float64, *score.Explanation, error) {
	if s.model.Target == nil {
		e, err := s.model.Explain(values)
		if err != nil {
			return 0, nil, err
		}
		return e.Probability, e, nil
	}
	n, err := s.model.ExplainNumber(values)
	if err != nil {
		return 0, nil, err
	}
	e := &score.Explanation{Logit: n.Sum, Intercept: n.Intercept}
	for _, c := range n.Columns {
		e.Columns = append(e.Columns, score.Contribution{Column: c.Column, Logit: c.Value})
	}
	for _, p := range n.Pairs {
		e.Pairs = append(e.Pairs, score.Pair{First: p.First, Second: p.Second, Logit: p.Value})
	}
	return n.Prediction, e, nil
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
