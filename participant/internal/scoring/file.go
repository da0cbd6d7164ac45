package scoring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tributary/models/score"
	"tributary/participant/internal/source"
)

// ErrUse is wrapped by errors about what was asked for, not about a file's rows.
var ErrUse = errors.New("can't score")

// File says what to score and where to.
type File struct {
	Rows    source.Binding // its columns, values, missing cells and filters; Contract and ID don't matter
	Out     string         // Parquet if it ends in .parquet, else CSV with the same separator; replaced as a whole, or not at all
	Keep    []string       // columns to copy, in this order, by the file's name or the contract's; nil: all, by the file's
	Explain bool           // beside the probability, what each column added to the logit
}

// Result counts what was scored.
type Result struct {
	Rows   int
	Beyond map[string]int // by column of the model: values that it doesn't list, and numbers outside its range
}

// Score writes a file's scores. The kept columns come first, then probability; with Explain also logit, logit:(intercept),
// logit:NAME for each of the model's features, and logit:NAME*NAME for each pair of a factorization machine. Where the label has
// classes, these are predicted and probability:CLASS for each; with Explain also logit:CLASS, logit:CLASS:(intercept) and
// logit:CLASS:NAME, class by class. Where it is a number, prediction is in place of probability and sum of logit. With Explain,
// encoded:NAME and names:NAME stand before the numbers for each open category and cross: the bucket, and the most frequent of the
// file's values that are in it. Rows that can't be scored are told in a *source.DataError, and nothing is written.
func (f File) Score(ctx context.Context, m *score.Model) (Result, error) {
	in, err := source.OpenRecords(ctx, f.Rows)
	if err != nil {
		return Result{}, err
	}
	defer in.Close()
	if same(f.Rows.File, f.Out) {
		return Result{}, fmt.Errorf("%w: the scores would replace the rows\nhint: give --out another name", ErrUse)
	}
	asked := f
	if f.Rows.Customers != nil {
		f.Rows.Where = nil // it was the transactions'
	}
	s, err := f.scorer(m, in)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", f.Rows.File, err)
	}
	if buckets := m.Buckets(); f.Explain && len(buckets) > 0 {
		var told *source.DataError // all of them are told below
		if s.names, err = asked.names(ctx, m, buckets); err != nil && !errors.As(err, &told) {
			return Result{}, err
		}
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.Out), ".tributary-score-*")
	if err != nil {
		return Result{}, fmt.Errorf("write scores: %w\nhint: --out must be in a folder that exists and that this user may write", err)
	}
	defer os.Remove(tmp.Name()) // it is gone after the rename
	defer tmp.Close()
	if s.out, err = f.table(tmp, s.header, s.texts); err != nil {
		return Result{}, err
	}
	if err = s.all(ctx); err != nil {
		return Result{}, err
	}
	if err := errors.Join(s.out.close(), tmp.Sync(), tmp.Close()); err != nil {
		return Result{}, fmt.Errorf("write scores: %w", err)
	}
	if err := os.Rename(tmp.Name(), f.Out); err != nil {
		return Result{}, fmt.Errorf("write scores: %w", err)
	}
	return s.result, nil
}

// same reports whether two paths are one file.
func same(a, b string) bool {
	x, errA := os.Stat(a)
	y, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(x, y)
}

// scorer scores the rows of one file.
type scorer struct {
	File
	model   *score.Model
	columns []score.Column
	in      *source.Records
	out     table
	at      []int               // cell of each of the model's columns
	mapped  []map[string]string // of each of these columns, cells that the binding maps
	where   []int               // cell of each filter
	kept    []int               // cells that are copied
	header  []string
	texts   int // columns of the header that are texts: the first ones
	line    line
	names   map[string]*summary // by encoded column; with Explain
	result  Result
}

func (f File) scorer(m *score.Model, in *source.Records) (*scorer, error) {
	s := &scorer{File: f, model: m, columns: m.Columns(), in: in, result: Result{Beyond: map[string]int{}}}
	find := func(name, hint string) (int, error) {
		i := slices.Index(in.Header, name)
		if i < 0 {
			return 0, fmt.Errorf("%w: row 1: there is no column %q\nhint: %s", source.ErrHeader, name, hint)
		}
		return i, nil
	}
	for _, c := range s.columns {
		i, err := find(f.sourceName(c.Name), "the model needs it; name the columns as in the contract, or say --data with a source of the config; check the separator")
		if err != nil {
			return nil, err
		}
		s.at = append(s.at, i)
		cells := map[string]string{}
		for cell, to := range f.Rows.Values[c.Name] {
			cells[strings.TrimSpace(cell)] = to
		}
		s.mapped = append(s.mapped, cells)
	}
	for _, w := range f.Rows.Where {
		i := slices.Index(in.Header, strings.TrimSpace(w.Column))
		if i < 0 {
			var err error
			if i, err = find(f.sourceName(w.Column), "a filter in the config needs it"); err != nil {
				return nil, err
			}
		}
		s.where = append(s.where, i)
	}
	for i := range in.Header {
		if f.Keep == nil {
			s.kept = append(s.kept, i)
		}
	}
	for _, i := range s.kept {
		s.header = append(s.header, in.Header[i])
	}
	for _, name := range f.Keep { // by the file's name, or the contract's
		i := slices.Index(in.Header, name)
		if i < 0 {
			var err error
			if i, err = find(f.sourceName(name), "check --keep: the columns are "+strings.Join(in.Header, ", ")); err != nil {
				return nil, err
			}
		}
		s.kept, s.header = append(s.kept, i), append(s.header, name)
	}
	texts, numbers := added(m, f.Explain)
	s.texts = len(s.kept) + len(texts)
	for _, name := range append(texts, numbers...) {
		if slices.Contains(s.header, name) {
			return nil, fmt.Errorf("%w: row 1: there is a column %q already\nhint: leave it out with --keep", source.ErrHeader, name)
		}
		s.header = append(s.header, name)
	}
	return s, nil
}

// sourceName is what the file calls a column of the contract.
func (f File) sourceName(name string) string {
	if from, ok := f.Rows.Columns[name]; ok {
		return strings.TrimSpace(from)
	}
	return name
}

// all scores every row that passes the filters. After a finding nothing more is written, and the rest is only checked.
func (s *scorer) all(ctx context.Context) error {
	wrong := &source.DataError{File: s.Rows.File}
	values := make([]score.Value, len(s.at))
	for read := 0; ; read++ {
		if read%1024 == 0 && ctx.Err() != nil {
			return fmt.Errorf("score %s: %w", s.Rows.File, ctx.Err())
		}
		record, err := s.in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if !s.keeps(record) {
			continue
		}
		s.result.Rows++
		for i, at := range s.at {
			values[i] = s.value(i, record[at])
		}
		scored, err := s.row(record, values)
		var told *score.RecordError
		switch {
		case errors.As(err, &told):
			wrong.Add(source.Finding{Row: s.in.Line(), Column: s.sourceName(told.Column), Message: told.Message, Hint: told.Hint})
		case err != nil:
			return err
		case len(wrong.Findings) == 0:
			var unwritable notText
			switch err := s.out.write(scored); {
			case errors.As(err, &unwritable):
				wrong.Add(source.Finding{Row: s.in.Line(), Column: s.header[unwritable], Message: "the cell isn't UTF-8, which Parquet needs", Hint: "save the file as UTF-8, or leave the column out with --keep"})
			case err != nil:
				return fmt.Errorf("write scores: %w", err)
			}
		}
	}
	if len(wrong.Findings) > 0 {
		return wrong
	}
	return nil
}

// keeps reports whether a row passes all filters.
func (s *scorer) keeps(record []string) bool {
	for i, w := range s.Rows.Where {
		if !slices.ContainsFunc(w.In, func(v string) bool { return strings.TrimSpace(v) == record[s.where[i]] }) {
			return false
		}
	}
	return true
}

// value maps a cell as training does: by the binding's values, or as missing, or as it is written.
func (s *scorer) value(column int, cell string) score.Value {
	if to, ok := s.mapped[column][cell]; ok {
		return score.Text(to)
	}
	if slices.ContainsFunc(s.Rows.Missing, func(m string) bool { return strings.TrimSpace(m) == cell }) {
		return score.Value{}
	}
	v := score.Text(cell)
	if s.model.Beyond(column, v) {
		s.result.Beyond[s.columns[column].Name]++
	}
	return v
}

// Load reads an exported model.
func Load(path string) (*score.Model, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open model: %w", err)
	}
	defer f.Close()
	document, err := io.ReadAll(io.LimitReader(f, score.MaxDocument+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read model %s: %w", path, err)
	}
	m, err := score.Parse(document)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, document, nil
}
