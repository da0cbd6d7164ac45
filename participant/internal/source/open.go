package source

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode"
)

// ErrHeader is wrapped when a file's first row doesn't name the columns that the
// contract and the binding ask for.
var ErrHeader = errors.New("the header doesn't fit the binding")

// openText opens a file as UTF-8 text: it unpacks gzip, known by its content and
// not by its name, and drops a byte order mark. The text has at most size bytes.
func openText(path string) (_ io.Reader, _ io.Closer, size int64, _ error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("open data: %w\nhint: check the path under source, and that the participant's user may read the file", err)
	}
	size = math.MaxInt64
	switch info, err := f.Stat(); {
	case err == nil && info.IsDir():
		f.Close()
		return nil, nil, 0, fmt.Errorf("open data: %s is a directory\nhint: name a CSV or Parquet file", path)
	case err == nil && info.Mode().IsRegular():
		size = info.Size()
	}
	r, packed, err := plainText(f)
	if err != nil {
		f.Close()
		return nil, nil, 0, fmt.Errorf("open data %s: %w", path, err)
	}
	if packed {
		size = math.MaxInt64
	}
	return r, f, size, nil
}

func plainText(r io.Reader) (_ io.Reader, packed bool, _ error) {
	b := bufio.NewReaderSize(r, 256<<10)
	if head, _ := b.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, false, fmt.Errorf("unpack gzip: %w", err)
		}
		b, packed = bufio.NewReaderSize(z, 256<<10), true
	}
	head, _ := b.Peek(3)
	switch {
	case bytes.Equal(head, []byte("\xef\xbb\xbf")):
		if _, err := b.Discard(3); err != nil {
			return nil, false, fmt.Errorf("read byte order mark: %w", err)
		}
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return nil, false, errors.New("the text is UTF-16\nhint: save the file as UTF-8")
	}
	return b, packed, nil
}

// newCSV reads quoted cells strictly; every row has as many cells as the header.
func newCSV(r io.Reader, separator rune) *csv.Reader {
	c := csv.NewReader(r)
	c.ReuseRecord = true
	if separator != 0 {
		c.Comma = separator
	}
	// A space before a quoted cell is allowed, unless spaces separate cells.
	c.TrimLeadingSpace = !unicode.IsSpace(c.Comma)
	return c
}

// readHeader returns the trimmed names of the first row, all different.
func readHeader(c *csv.Reader, file string) ([]string, error) {
	record, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: the file is empty: %w\nhint: its first row must name the columns", file, ErrEmpty)
	}
	var syntax *csv.ParseError
	switch {
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("%s: %w: row 1: this is not CSV: %w\nhint: is this a CSV file, and its separator right?", file, ErrHeader, syntax.Err)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w\nhint: the file may be cut off or damaged", file, err)
	}
	header := slices.Clone(record)
	for i, name := range header {
		header[i] = strings.TrimSpace(name)
	}
	return header, checkHeader(header, file)
}

// checkHeader refuses two columns of one name.
func checkHeader(header []string, file string) error {
	var wrong []error
	first := make(map[string]int)
	for i, name := range header {
		if at, twice := first[name]; twice && name != "" {
			wrong = append(wrong, fmt.Errorf("row 1: column %s appears twice, as number %d and %d\nhint: rename one of them", show(name), at+1, i+1))
			continue
		}
		first[name] = i
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s: %w:\n%w", file, ErrHeader, errors.Join(wrong...))
	}
	return nil
}
