package scoring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"tributary/models/score"
	"tributary/participant/internal/source"
)

// A model knows values of open categories by their buckets' numbers alone. What a number stands for, a participant finds out among its
// own rows: which of its values, or combinations of them, were hashed into it. Nothing of that is sent.

// Name is a value of this file's rows, and in how many rows it was found: never fewer than there are, more only if a bucket has more
// values than are remembered.
type Name struct {
	Value string `json:"value"`
	Rows  int    `json:"rows"`
}

// NamedBucket is an encoded column of a model with what it stands for here.
type NamedBucket struct {
	Encoded      string    `json:"encoded"`
	Coefficients []float64 `json:"coefficients"` // by class; one where the label has two values
	Rows         int       `json:"rows"`
	Names        []Name    `json:"names"` // the most frequent, the most frequent first
}

const (
	told       = 3       // names of one bucket that are told
	mostValues = 1 << 19 // values that are remembered of all buckets
)

// Names tells what the model's buckets stand for among a file's rows: those with the largest coefficients, at most so many.
func (f File) Names(ctx context.Context, m *score.Model, most int) ([]NamedBucket, error) {
	all := m.Buckets()
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: the model has no buckets to name\nhint: its values and columns have names already", ErrUse)
	}
	size := func(b score.Bucket) (out float64) {
		for _, w := range b.Coefficients {
			out = max(out, math.Abs(w))
		}
		return out
	}
	slices.SortStableFunc(all, func(a, b score.Bucket) int { return cmp.Compare(size(b), size(a)) })
	all = all[:min(most, len(all))]
	n, err := f.names(ctx, m, all)
	if err != nil {
		return nil, err
	}
	out := make([]NamedBucket, len(all))
	for i, b := range all {
		s := n[b.Name()]
		out[i] = NamedBucket{b.Name(), b.Coefficients, s.rows, s.names()}
	}
	return out, nil
}

// names reads a file's rows and remembers the values in buckets.
func (f File) names(ctx context.Context, m *score.Model, of []score.Bucket) (map[string]*summary, error) {
	out := make(map[string]*summary, len(of))
	for _, b := range of {
		out[b.Name()] = &summary{most: min(max(mostValues/len(of), told+1), 64)}
	}
	in, err := source.OpenRecords(ctx, f.Rows)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if f.Rows.Customers != nil {
		f.Rows.Where = nil // it was the transactions'
	}
	f.Keep, f.Explain = []string{}, false
	s, err := f.scorer(m, in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Rows.File, err)
	}
	values := make([]score.Value, len(s.at))
	for read := 0; ; read++ {
		if read%1024 == 0 && ctx.Err() != nil {
			return nil, fmt.Errorf("read %s: %w", f.Rows.File, ctx.Err())
		}
		record, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if !s.keeps(record) {
			continue
		}
		for i, at := range s.at {
			values[i] = s.value(i, record[at])
		}
		encoded, err := m.Encoded(values)
		if err != nil {
			wrong := &source.DataError{File: f.Rows.File}
			wrong.Add(source.Finding{Row: in.Line(), Message: err.Error()})
			return nil, wrong
		}
		for term, name := range encoded {
			if s := out[name]; s != nil {
				s.add(text(m, term, values))
			}
		}
	}
}

// text is what a row has for a term: a value, or a combination of some.
func text(m *score.Model, term int, values []score.Value) string {
	parts := m.Parts(term, values)
	for i := range parts {
		if parts[i] == "" {
			parts[i] = "(missing)"
		}
	}
	return strings.Join(parts, " × ")
}

// summary remembers the most frequent of a stream of values in bounded memory [MAE05]: when it is full, a new value takes the place
// and the count of the rarest. A value with more than a 1/most of the rows is never lost.
//
// [MAE05] A. Metwally, D. Agrawal, A. El Abbadi: Efficient computation of frequent and top-k elements in data streams. ICDT 2005.
type summary struct {
	most, rows int
	values     []Name
}

func (s *summary) add(value string) {
	s.rows++
	rarest := 0
	for i := range s.values {
		if s.values[i].Value == value {
			s.values[i].Rows++
			return
		}
		if s.values[i].Rows < s.values[rarest].Rows {
			rarest = i
		}
	}
	if len(s.values) < s.most {
		s.values = append(s.values, Name{strings.Clone(value), 1})
		return
	}
	s.values[rarest].Value = strings.Clone(value)
	s.values[rarest].Rows++
}

// names are the most frequent values, the most frequent first.
func (s *summary) names() []Name {
	out := slices.Clone(s.values)
	slices.SortFunc(out, func(a, b Name) int { return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Value, b.Value)) })
	return append([]Name{}, out[:min(told, len(out))]...)
}

// text lists them for a cell.
func (s *summary) text() string {
	if s == nil {
		return ""
	}
	var out []string
	for _, n := range s.names() {
		out = append(out, n.Value)
	}
	return strings.Join(out, "; ")
}
