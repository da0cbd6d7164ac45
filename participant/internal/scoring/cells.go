package scoring

import "tributary/models/score"

// added names the columns that scoring adds: texts, then numbers.
func added(m *score.Model, explain bool) (texts, numbers []string) {
	terms := m.Terms()
	for i, t := range terms {
		if explain && m.Bucketed(i) {
			texts = append(texts, "encoded:"+t, "names:"+t)
		}
	}
	if m.Classes != nil {
		added, numbers := addedByClass(m, terms, explain)
		return append(added, texts...), numbers
	}
	return texts, addedOfOne(m, terms, explain)
}

func addedOfOne(m *score.Model, terms []string, explain bool) []string {
	score, sum := "probability", "logit"
	if m.Target != nil {
		score, sum = "prediction", "sum"
	}
	names := []string{score}
	if !explain {
		return names
	}
	names = append(names, sum, sum+":(intercept)")
	for _, t := range terms {
		names = append(names, sum+":"+t)
	}
	if m.Factors > 0 {
		for i, a := range terms {
			for _, b := range terms[i+1:] {
				names = append(names, sum+":"+a+":"+b) // a cross of the two is a*b
			}
		}
	}
	return names
}

func addedByClass(m *score.Model, terms []string, explain bool) (texts, names []string) {
	texts = []string{"predicted"}
	for _, class := range m.Classes {
		names = append(names, "probability:"+class)
	}
	if !explain {
		return texts, names
	}
	for _, class := range m.Classes {
		logit := "logit:" + class
		names = append(names, logit, logit+":(intercept)")
		for _, t := range terms {
			names = append(names, logit+":"+t)
		}
	}
	return texts, names
}

// line is a scored row: the kept cells and the predicted class, then the numbers, in the header's order.
type line struct {
	texts   []string
	numbers []float64
}

func (l *line) add(numbers ...float64) { l.numbers = append(l.numbers, numbers...) }

// addLogits adds a logit, its intercept, and what each column added to it.
func (l *line) addLogits(e *score.Explanation) {
	l.add(e.Logit, e.Intercept)
	for _, c := range e.Columns {
		l.add(c.Logit)
	}
}

// row gives a row as it is written; the line is reused.
func (s *scorer) row(record []string, values []score.Value) (*line, error) {
	l := &s.line
	l.texts, l.numbers = l.texts[:0], l.numbers[:0]
	for _, at := range s.kept {
		l.texts = append(l.texts, record[at])
	}
	switch {
	case s.model.Classes != nil:
		return l, s.byClass(l, values)
	case !s.Explain:
		p, err := s.model.Score(values)
		l.add(p)
		return l, err
	}
	score, e, err := explained(s.model, values)
	if err != nil {
		return nil, err
	}
	l.add(score)
	l.addLogits(e)
	s.addEncoded(l, e)
	if s.model.Factors == 0 {
		return l, nil
	}
	next := 0 // pairs come in the header's order, those that add nothing left out
	for i, a := range e.Columns {
		for _, b := range e.Columns[i+1:] {
			x := 0.0
			if next < len(e.Pairs) && e.Pairs[next].First == a.Column && e.Pairs[next].Second == b.Column {
				x, next = e.Pairs[next].Logit, next+1
			}
			l.add(x)
		}
	}
	return l, nil
}

// explained is a row's score and how it came about: a number's sum and its parts are in place of logits.
func explained(m *score.Model, values []score.Value) (float64, *score.Explanation, error) {
	if m.Target == nil {
		e, err := m.Explain(values)
		if err != nil {
			return 0, nil, err
		}
		return e.Probability, e, nil
	}
	n, err := m.ExplainNumber(values)
	if err != nil {
		return 0, nil, err
	}
	e := &score.Explanation{Logit: n.Sum, Intercept: n.Intercept}
	for _, c := range n.Columns {
		e.Columns = append(e.Columns, score.Contribution{Column: c.Column, Encoded: c.Encoded, Logit: c.Value})
	}
	for _, p := range n.Pairs {
		e.Pairs = append(e.Pairs, score.Pair{First: p.First, Second: p.Second, Logit: p.Value})
	}
	return n.Prediction, e, nil
}

// addEncoded adds the encoded columns of open categories and crosses, and which values of this file they stand for.
func (s *scorer) addEncoded(l *line, e *score.Explanation) {
	for i, c := range e.Columns {
		if s.model.Bucketed(i) {
			l.texts = append(l.texts, c.Encoded, s.names[c.Encoded].text())
		}
	}
}

// byClass is row of a model with classes, after the kept cells.
func (s *scorer) byClass(l *line, values []score.Value) error {
	if !s.Explain {
		probabilities, predicted, err := s.model.Classify(values)
		if err != nil {
			return err
		}
		l.texts = append(l.texts, s.model.Classes[predicted])
		l.add(probabilities...)
		return nil
	}
	classes, predicted, err := s.model.ExplainClasses(values)
	if err != nil {
		return err
	}
	l.texts = append(l.texts, s.model.Classes[predicted])
	for i := range classes {
		l.add(classes[i].Probability)
	}
	for i := range classes {
		l.addLogits(&classes[i])
	}
	s.addEncoded(l, &classes[0])
	return nil
}
