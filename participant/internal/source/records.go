package source

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// Records reads a source row by row, without a contract: cells are trimmed and otherwise as they are written.
type Records struct {
	Header []string

	path string
	in   table
	file io.Closer
	read int
	most int64 // rows that the file can have, by its size
}

// OpenRecords opens a source's file, CSV (gzipped or not) or Parquet, and reads its header, or makes its customers of the whole file. Of b it takes
// File, Separator, Missing and, for customers alone, Where. Errors are those of the file or of ctx, or wrap ErrHeader, ErrEmpty or
// ErrInvalid.
func OpenRecords(ctx context.Context, b Binding) (*Records, error) {
	if b.Customers == nil {
		return openRecords(b)
	}
	customers, err := readCustomers(ctx, b)
	if err != nil {
		return nil, err
	}
	return &Records{Header: customers.header, path: b.File, in: customers, file: io.NopCloser(nil)}, nil
}

// openRecords opens the file itself: Parquet, or CSV, gzipped or not, whose separator is a comma if it is 0.
func openRecords(b Binding) (*Records, error) {
	if isParquet(b.File) {
		in, file, err := openParquet(b.File, b.null())
		if err != nil {
			return nil, err
		}
		if err := checkHeader(in.names, b.File); err != nil {
			file.Close()
			return nil, err
		}
		return &Records{Header: in.names, path: b.File, in: in, file: file, most: math.MaxInt64}, nil
	}
	text, file, size, err := openText(b.File)
	if err != nil {
		return nil, err
	}
	r := &Records{path: b.File, file: file}
	in := newCSV(text, b.Separator)
	if r.Header, err = readHeader(in, b.File); err != nil {
		file.Close()
		return nil, err
	}
	// A row has a byte of each cell's, the separator or the line's end, but for the last one; of one cell, that's no row.
	r.in, r.most = in, size/max(int64(len(r.Header)), 2)+1
	return r, nil
}

// null is the cell that stands for a Parquet file's cell without a value: one that the binding takes for missing, if there is any.
func (b Binding) null() string {
	if len(b.Missing) == 0 || b.missing()[""] {
		return ""
	}
	return b.Missing[0]
}

// Next gives the next row, as long as the header, and io.EOF after the last one; the slice is reused. What isn't CSV is a
// *DataError.
func (r *Records) Next() ([]string, error) {
	record, err := r.in.Read()
	var syntax *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case errors.As(err, &syntax):
		wrong := &DataError{File: r.path}
		wrong.Add(Finding{Row: syntax.StartLine, Message: "this is not CSV, or not as long as the header: " + syntax.Err.Error(),
			Hint: `put cells that contain the separator or a quote in double quotes, and write a quote in them as ""`})
		return nil, wrong
	case err != nil:
		return nil, fmt.Errorf("read %s after row %d: %w\nhint: the file may be cut off or damaged", r.path, r.read+1, err)
	}
	r.read++
	for i := range record {
		record[i] = strings.TrimSpace(record[i])
	}
	return record, nil
}

// Line is the line of the file on which the last row starts, the header being on line 1.
func (r *Records) Line() int {
	line, _ := r.in.FieldPos(0)
	return line
}

// Close closes the file.
func (r *Records) Close() error { return r.file.Close() }
