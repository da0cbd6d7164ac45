package scoring

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"tributary/participant/internal/source"
)

// table takes a file's rows.
type table interface {
	write(*line) error
	close() error // writes what is left; the file itself stays open
}

// table begins a file with a header whose first columns are texts.
func (f File) table(to io.Writer, header []string, texts int) (table, error) {
	buffered := bufio.NewWriterSize(to, 256<<10)
	if strings.EqualFold(filepath.Ext(f.Out), ".parquet") {
		return newParquet(buffered, header, texts)
	}
	t := &csvTable{csv: csv.NewWriter(buffered), buffered: buffered}
	if f.Rows.Separator != 0 {
		t.csv.Comma = f.Rows.Separator
	}
	if err := t.csv.Write(header); err != nil {
		return nil, fmt.Errorf("write scores: %w", err)
	}
	return t, nil
}

type csvTable struct {
	csv      *csv.Writer
	buffered *bufio.Writer
	cells    []string
}

func (t *csvTable) write(l *line) error {
	t.cells = append(t.cells[:0], l.texts...)
	for _, x := range l.numbers {
		t.cells = append(t.cells, strconv.FormatFloat(x, 'g', -1, 64))
	}
	return t.csv.Write(t.cells)
}

func (t *csvTable) close() error {
	t.csv.Flush()
	if err := t.csv.Error(); err != nil {
		return err
	}
	return t.buffered.Flush()
}

// A row group is held in memory until it is written: by either bound.
const (
	groupCells = 1 << 20
	groupBytes = 16 << 20 // of texts
)

// parquetTable writes row groups of bounded size: texts as strings, numbers as doubles, none of them optional.
type parquetTable struct {
	out      *parquet.GenericWriter[any]
	buffered *bufio.Writer
	batch    []parquet.Row
	values   []parquet.Value
	columns  int
	cells    int // of the row group
	bytes    int
}

// columns are a group whose fields keep their order: parquet.Group sorts them by name.
type columns struct {
	parquet.Group
	fields []parquet.Field
}

func (c columns) Fields() []parquet.Field { return c.fields }

func newParquet(to *bufio.Writer, header []string, texts int) (*parquetTable, error) {
	root := columns{Group: parquet.Group{}}
	for i, name := range header {
		if name == "" || !utf8.ValidString(name) {
			return nil, fmt.Errorf("%w: row 1: column %d has no name in UTF-8, which Parquet needs\nhint: name it in the file, or leave it out with --keep", source.ErrHeader, i+1)
		}
		root.Group[name] = parquet.Leaf(parquet.DoubleType)
		if i < texts {
			root.Group[name] = parquet.String()
		}
	}
	byName := map[string]parquet.Field{}
	for _, f := range root.Group.Fields() {
		byName[f.Name()] = f
	}
	for _, name := range header {
		root.fields = append(root.fields, byName[name])
	}
	return &parquetTable{out: parquet.NewGenericWriter[any](to, parquet.NewSchema("scores", root), parquet.Compression(&parquet.Snappy)),
		buffered: to, columns: len(header)}, nil
}

// notText is a cell, of the column of that index, that Parquet can't hold as a text.
type notText int

func (c notText) Error() string { return fmt.Sprintf("column %d: not UTF-8", int(c)+1) }

func (t *parquetTable) write(l *line) error {
	start := len(t.values)
	for i, text := range l.texts {
		if !utf8.ValidString(text) {
			return notText(i)
		}
		t.bytes += len(text)
		t.values = append(t.values, parquet.ByteArrayValue([]byte(text)).Level(0, 0, i))
	}
	for i, x := range l.numbers {
		t.values = append(t.values, parquet.DoubleValue(x).Level(0, 0, len(l.texts)+i))
	}
	t.batch = append(t.batch, t.values[start:len(t.values):len(t.values)])
	t.cells += t.columns
	if t.cells < groupCells && t.bytes < groupBytes && len(t.batch) < 256 {
		return nil
	}
	return t.pass()
}

// pass hands the batch over, and ends the row group if it is large enough.
func (t *parquetTable) pass() error {
	if _, err := t.out.WriteRows(t.batch); err != nil {
		return err
	}
	t.batch, t.values = t.batch[:0], t.values[:0]
	if t.cells < groupCells && t.bytes < groupBytes {
		return nil
	}
	t.cells, t.bytes = 0, 0
	return t.out.Flush()
}

func (t *parquetTable) close() error {
	if err := t.pass(); err != nil {
		return err
	}
	if err := t.out.Close(); err != nil {
		return err
	}
	return t.buffered.Flush()
}
