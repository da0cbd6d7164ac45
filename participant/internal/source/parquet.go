package source

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

const parquetMagic = "PAR1"

// parquetTable gives the rows of a Parquet file as texts: numbers as they are written in Go, booleans as true and false, dates as
// 2006-01-02, timestamps as 2006-01-02T15:04:05.999Z, those without a zone without the Z, decimals with all of their digits. Columns that
// are nested, repeated or of other types aren't there. Rows are read in batches and count from 1.
type parquetTable struct {
	file    io.ReaderAt
	size    int64                                 // bytes
	chunks  []format.RowGroup                     // of groups
	groups  []parquet.RowGroup                    // not begun yet
	in      parquet.Rows                          // of the group that is read; nil: none
	ended   bool                                  // whether its last batch has been read
	cells   []func(parquet.Value) (string, error) // by leaf; nil: not given
	place   []int                                 // of a leaf's cell in a record
	names   []string
	null    string
	batch   []parquet.Row
	next, n int
	row     int
	record  []string
}

// openParquet reads the header. null stands for cells without a value.
func openParquet(path, null string) (t *parquetTable, file io.Closer, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open data: %w", err)
	}
	defer func() {
		if damaged := recover(); damaged != nil { // the library panics at some schemas that no writer makes
			err = fmt.Errorf("%v", damaged)
		}
		if err != nil {
			f.Close()
			t, file, err = nil, nil, fmt.Errorf("%s: %w: Parquet: %w\nhint: the file may be cut off, damaged or encrypted", path, ErrHeader, err)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if err := checkFooter(f, info.Size()); err != nil {
		return nil, nil, err
	}
	p, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, nil, err
	}
	t = &parquetTable{file: f, size: info.Size(), chunks: p.Metadata().RowGroups, groups: p.RowGroups(), null: null, batch: make([]parquet.Row, 128)}
	for _, c := range p.Root().Columns() {
		t.addLeaves(c, true)
	}
	for _, group := range p.Metadata().RowGroups {
		for _, c := range group.Columns {
			if codec := c.MetaData.Codec; codec == format.Lz4 || codec == format.Lz4Raw {
				return nil, nil, errors.New("compressed with LZ4, which isn't read: write it with zstd, snappy, gzip, brotli or without")
			}
		}
	}
	t.record = make([]string, len(t.names))
	return t, f, nil
}

// checkFooter holds the footer's length to the file's, and all lengths in it to its own: the library takes as much memory as they say.
func checkFooter(f io.ReaderAt, size int64) error {
	var end [4 + len(parquetMagic)]byte
	if _, err := f.ReadAt(end[:], max(size-int64(len(end)), 0)); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(end[:4]))
	if n > size-int64(len(end)+len(parquetMagic)) {
		return fmt.Errorf("its footer is said to have %d bytes, the file has %d", n, size)
	}
	footer := make([]byte, n)
	if _, err := f.ReadAt(footer, size-int64(len(end))-n); err != nil {
		return err
	}
	if _, err := thriftLength(footer); err != nil {
		return fmt.Errorf("its footer: %w", err)
	}
	return nil
}

// addLeaves takes a column's leaves, in the file's order.
func (t *parquetTable) addLeaves(c *parquet.Column, top bool) {
	if !c.Leaf() {
		for _, inner := range c.Columns() {
			t.addLeaves(inner, false)
		}
		return
	}
	var cell func(parquet.Value) (string, error)
	if top && !c.Repeated() {
		cell = cellOf(c.Type())
	}
	t.cells, t.place = append(t.cells, cell), append(t.place, len(t.names))
	if cell != nil {
		t.names = append(t.names, c.Name())
	}
}

// Read gives the next row, and io.EOF after the last.
func (t *parquetTable) Read() (record []string, err error) {
	defer func() {
		if damaged := recover(); damaged != nil {
			record, err = nil, fmt.Errorf("%v", damaged)
		}
	}()
	for t.next == t.n {
		if err := t.fill(); err != nil {
			return nil, err
		}
	}
	t.row++
	row := t.batch[t.next]
	t.next++
	for i := range t.record {
		t.record[i] = t.null
	}
	for _, v := range row {
		at := v.Column()
		if cell := t.cells[at]; cell != nil && !v.IsNull() {
			if t.record[t.place[at]], err = cell(v); err != nil {
				return nil, fmt.Errorf("column %s: %w", show(t.names[t.place[at]]), err)
			}
		}
	}
	return t.record, nil
}

// fill reads a batch, maybe empty, and gives io.EOF after the last.
func (t *parquetTable) fill() error {
	if t.ended { // only now: the last batch's values may lie in memory that Close gives back
		if err := t.in.Close(); err != nil {
			return err
		}
		t.in, t.ended = nil, false
	}
	for t.in == nil && len(t.groups) > 0 && t.chunks[0].NumRows == 0 { // some writers give it no page, which the library asks for
		t.groups, t.chunks = t.groups[1:], t.chunks[1:]
	}
	if t.in == nil {
		if len(t.groups) == 0 {
			return io.EOF
		}
		for i := range t.chunks[0].Columns {
			if err := checkPages(t.file, t.size, &t.chunks[0].Columns[i]); err != nil {
				return err
			}
		}
		t.in, t.groups, t.chunks = t.groups[0].Rows(), t.groups[1:], t.chunks[1:]
	}
	n, err := t.in.ReadRows(t.batch)
	t.next, t.n = 0, n
	if t.ended = errors.Is(err, io.EOF); t.ended {
		return nil
	}
	return err
}

// FieldPos gives the last row's number.
func (t *parquetTable) FieldPos(int) (line, column int) { return t.row, 1 }

// cellOf tells how values of a type are written, or nil if they aren't.
func cellOf(typ parquet.Type) func(parquet.Value) (string, error) {
	var logical any
	if l := typ.LogicalType(); l != nil {
		logical = l.Value
	}
	switch l := logical.(type) {
	case nil:
	case *format.StringType, *format.EnumType, *format.JsonType:
		return textCell
	case *format.IntType:
		if l.IsSigned {
			break
		}
		return func(v parquet.Value) (string, error) {
			n := v.Uint64()
			if v.Kind() == parquet.Int32 {
				n = uint64(v.Uint32())
			}
			return strconv.FormatUint(n, 10), nil
		}
	case *format.DateType:
		return func(v parquet.Value) (string, error) {
			return time.Unix(int64(v.Int32())*daySeconds, 0).UTC().Format(time.DateOnly), nil
		}
	case *format.TimestampType:
		layout := "2006-01-02T15:04:05.999999999"
		if l.IsAdjustedToUTC {
			layout += "Z"
		}
		unit := l.Unit.Value.Duration()
		return func(v parquet.Value) (string, error) {
			second := int64(time.Second / unit)
			return time.Unix(v.Int64()/second, v.Int64()%second*int64(unit)).UTC().Format(layout), nil
		}
	case *format.DecimalType:
		if l.Scale < 0 || l.Scale > 100 {
			return nil
		}
		return func(v parquet.Value) (string, error) { return decimalText(unscaled(v), int(l.Scale)), nil }
	case *format.UUIDType:
		return func(v parquet.Value) (string, error) {
			h := hex.EncodeToString(v.ByteArray())
			if len(h) != 32 {
				return "", errors.New("a UUID doesn't have 16 bytes")
			}
			return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-"), nil
		}
	default:
		return nil
	}
	return map[parquet.Kind]func(parquet.Value) (string, error){
		parquet.Boolean: func(v parquet.Value) (string, error) { return strconv.FormatBool(v.Boolean()), nil },
		parquet.Int32:   func(v parquet.Value) (string, error) { return strconv.FormatInt(int64(v.Int32()), 10), nil },
		parquet.Int64:   func(v parquet.Value) (string, error) { return strconv.FormatInt(v.Int64(), 10), nil },
		parquet.Float: func(v parquet.Value) (string, error) {
			return strconv.FormatFloat(float64(v.Float()), 'g', -1, 32), nil
		},
		parquet.Double:    func(v parquet.Value) (string, error) { return strconv.FormatFloat(v.Double(), 'g', -1, 64), nil },
		parquet.ByteArray: textCell,
	}[typ.Kind()]
}

func textCell(v parquet.Value) (string, error) {
	if !utf8.Valid(v.ByteArray()) {
		return "", errors.New("a value isn't UTF-8 text")
	}
	return string(v.ByteArray()), nil
}

// unscaled is a decimal's integer: bytes are big-endian two's complement.
func unscaled(v parquet.Value) *big.Int {
	switch v.Kind() {
	case parquet.Int32:
		return big.NewInt(int64(v.Int32()))
	case parquet.Int64:
		return big.NewInt(v.Int64())
	}
	b := v.ByteArray()
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

func decimalText(n *big.Int, scale int) string {
	digits, sign := n.String(), ""
	if n.Sign() < 0 {
		digits, sign = digits[1:], "-"
	}
	if scale == 0 {
		return sign + digits
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

// isParquet tells Parquet by the file's first bytes.
func isParquet(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [len(parquetMagic)]byte
	_, err = io.ReadFull(f, head[:])
	return err == nil && string(head[:]) == parquetMagic
}
