package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// The library takes as much memory as the headers in a file say, before it reads what they are of. So all of a row group's page headers
// are read first, and held to the file and to these bounds. Writers make pages of 1 MB, some of 100 MB.
const (
	maxPageBytes  = 1 << 28 // of a page, packed or not
	maxPageValues = 1 << 26 // of a page, missing ones too
	maxPageHeader = 1 << 24 // bytes; it may have the page's least and greatest value
)

var errCut = errors.New("it is cut off, or says that it is longer than it is")

// checkPages reads the headers of a column chunk's pages, of a file of size bytes.
func checkPages(f io.ReaderAt, size int64, chunk *format.ColumnChunk) error {
	m := &chunk.MetaData
	at := m.DataPageOffset
	if m.DictionaryPageOffset != 0 { // as the library has it
		at = m.DictionaryPageOffset
	}
	fail := func(page int, err error) error {
		return fmt.Errorf("column %s: page %d, at byte %d: %w", show(strings.Join(m.PathInSchema, ".")), page+1, at, err)
	}
	if at < 0 || m.TotalCompressedSize < 0 || at > size || m.TotalCompressedSize > size-at {
		return fail(0, fmt.Errorf("the pages are said to have %d bytes, the file has %d", m.TotalCompressedSize, size))
	}
	for page, end := 0, at+m.TotalCompressedSize; at < end; page++ {
		h, n, err := readPageHeader(io.NewSectionReader(f, at, end-at))
		if err != nil {
			return fail(page, err)
		}
		if err := checkPage(h, m, end-at-n); err != nil {
			return fail(page, err)
		}
		if m.Codec == format.Snappy {
			if err := checkSnappy(io.NewSectionReader(f, at+n, int64(h.CompressedPageSize)), h); err != nil {
				return fail(page, err)
			}
		}
		at += n + int64(h.CompressedPageSize)
	}
	return nil
}

// readPageHeader gives the header that a chunk's rest begins with, and its length.
func readPageHeader(rest *io.SectionReader) (*format.PageHeader, int64, error) {
	for length := int64(256); ; length <<= 8 {
		length = min(length, rest.Size(), maxPageHeader)
		b := make([]byte, length)
		if _, err := rest.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
		n, err := thriftLength(b)
		switch {
		case err == nil:
			h := new(format.PageHeader)
			if err := thrift.Unmarshal(new(thrift.CompactProtocol), b[:n], h); err != nil {
				return nil, 0, fmt.Errorf("its header: %w", err)
			}
			return h, int64(n), nil
		case !errors.Is(err, errCut) || length == rest.Size() || length == maxPageHeader:
			return nil, 0, fmt.Errorf("its header: %w", err)
		}
	}
}

// checkPage holds what a page's header says to the bytes that its chunk has left, and to the bounds.
func checkPage(h *format.PageHeader, m *format.ColumnMetaData, left int64) error {
	values, of := int64(0), m.NumValues
	switch {
	case h.Type == format.DictionaryPage:
		values, of = int64(h.DictionaryPageHeader.V.NumValues), int64(h.UncompressedPageSize) // each takes a byte or more
	case h.Type == format.DataPage:
		values = int64(h.DataPageHeader.V.NumValues)
	case h.Type == format.DataPageV2:
		values = int64(h.DataPageHeaderV2.V.NumValues)
	}
	const remedy = "write the file with smaller pages or row groups"
	switch packed, unpacked := int64(h.CompressedPageSize), int64(h.UncompressedPageSize); {
	case packed < 0 || packed > left:
		return fmt.Errorf("it is said to have %d bytes, its column has %d left", packed, left)
	case packed > maxPageBytes:
		return fmt.Errorf("it is said to have %d bytes, a page may have %d: %s", packed, maxPageBytes, remedy)
	case unpacked < 0 || unpacked > maxPageBytes:
		return fmt.Errorf("it is said to have %d bytes unpacked, a page may have %d: %s", unpacked, maxPageBytes, remedy)
	case values < 0 || values > of:
		return fmt.Errorf("it is said to have %d values, there is room for %d", values, of)
	case values > maxPageValues:
		return fmt.Errorf("it is said to have %d values, a page may have %d: %s", values, maxPageValues, remedy)
	}
	return nil
}

// checkSnappy holds the length that a packed page begins with to the header's.
func checkSnappy(page *io.SectionReader, h *format.PageHeader) error {
	levels := int64(0)
	if h.Type == format.DataPageV2 { // whose levels aren't packed, or nothing is
		v := &h.DataPageHeaderV2.V
		if v.IsCompressed.Valid && !v.IsCompressed.V {
			return nil
		}
		levels = int64(v.RepetitionLevelsByteLength) + int64(v.DefinitionLevelsByteLength)
	}
	var b [binary.MaxVarintLen64]byte
	n, err := page.ReadAt(b[:], max(levels, 0))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if length, n := binary.Uvarint(b[:n]); n > 0 && length > uint64(h.UncompressedPageSize) {
		return fmt.Errorf("it unpacks to %d bytes, its header says %d", length, h.UncompressedPageSize)
	}
	return nil
}
