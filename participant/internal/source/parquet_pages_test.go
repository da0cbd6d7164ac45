package source

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

type pageRow struct {
	City *string `parquet:"city"`
}

type coded struct {
	City *string `parquet:"city,dict"`
}

// firstPage has change made to the header of a file's first page, which is its only one or a dictionary.
func firstPage(t *testing.T, file string, change func(*format.PageHeader)) {
	t.Helper()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := len(parquetMagic)
	n, err := thriftLength(whole[at:])
	if err != nil {
		t.Fatal(err)
	}
	h, protocol := &format.PageHeader{}, new(thrift.CompactProtocol)
	if err := thrift.Unmarshal(protocol, whole[at:at+n], h); err != nil {
		t.Fatal(err)
	}
	change(h)
	if h.CompressedPageSize > 8 && h.CompressedPageSize < math.MaxInt32 {
		h.CompressedPageSize -= 8 // the header is longer by some bytes now, its column isn't
	}
	header, err := thrift.Marshal(protocol, h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Join([][]byte{whole[:at], header, whole[at+n:]}, nil), 0o600); err != nil {
		t.Fatal(err)
	}
}

// readCosts reads all rows, and tells how much memory was allocated for them.
func readCosts(t *testing.T, file string) (rows int, allocated uint64, err error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := OpenRecords(context.Background(), Binding{File: file})
	if err == nil {
		for err == nil {
			if _, err = r.Next(); err == nil {
				rows++
			}
		}
		r.Close()
	}
	runtime.ReadMemStats(&after)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return rows, after.TotalAlloc - before.TotalAlloc, err
}

// What a page's header says beyond its column, the file or a page's bounds is refused, by file and column, before memory is taken for
// it: 2 GB and more, once.
func TestParquetPagesWithFalseHeadersAreRefused(t *testing.T) {
	cities := []string{"Weiler", "Rom", ""}
	var plain []pageRow
	var dictionary []coded
	for i := range 99 {
		plain, dictionary = append(plain, pageRow{&cities[i%3]}), append(dictionary, coded{&cities[i%3]})
	}
	const huge = math.MaxInt32
	packed := func(h *format.PageHeader) { h.CompressedPageSize = huge }
	negative := func(h *format.PageHeader) { h.CompressedPageSize = -1 }
	unpacked := func(h *format.PageHeader) { h.UncompressedPageSize = huge }
	values := func(h *format.PageHeader) {
		h.DataPageHeader.V.NumValues, h.DataPageHeaderV2.V.NumValues, h.DictionaryPageHeader.V.NumValues = huge, huge, huge
	}
	for name, c := range map[string]struct {
		codec      compress.Codec
		version    int
		dictionary bool
		change     func(*format.PageHeader)
		want       string
	}{
		"packed":              {&parquet.Snappy, 1, false, packed, "is said to have 2147483647 bytes, its column has"},
		"packed, plain":       {&parquet.Uncompressed, 2, false, packed, "is said to have 2147483647 bytes, its column has"},
		"packed, dictionary":  {&parquet.Zstd, 2, true, packed, "is said to have 2147483647 bytes, its column has"},
		"negative":            {&parquet.Zstd, 2, false, negative, "is said to have -1 bytes"},
		"unpacked":            {&parquet.Snappy, 1, false, unpacked, "2147483647 bytes unpacked, a page may have 268435456"},
		"unpacked, zstd":      {&parquet.Zstd, 2, false, unpacked, "2147483647 bytes unpacked"},
		"unpacked, gzip":      {&parquet.Gzip, 2, false, unpacked, "2147483647 bytes unpacked"},
		"unpacked dictionary": {&parquet.Snappy, 2, true, unpacked, "2147483647 bytes unpacked"},
		"values":              {&parquet.Snappy, 1, false, values, "2147483647 values, there is room for 99"},
		"values, version 2":   {&parquet.Uncompressed, 2, false, values, "2147483647 values, there is room for 99"},
		"words":               {&parquet.Uncompressed, 2, true, values, "2147483647 values, there is room for 21"},
	} {
		t.Run(name, func(t *testing.T) {
			options := []parquet.WriterOption{parquet.Compression(c.codec), parquet.DataPageVersion(c.version)}
			file := ""
			if c.dictionary {
				file = writeParquet(t, dictionary, options...)
			} else {
				file = writeParquet(t, plain, options...)
			}
			if rows, _, err := readCosts(t, file); err != nil || rows != 99 {
				t.Fatalf("unchanged: %d rows, %v", rows, err)
			}
			firstPage(t, file, c.change)
			rows, allocated, err := readCosts(t, file)
			if err == nil || rows > 0 || allocated > 1<<23 {
				t.Fatalf("%d rows, %d bytes allocated, %v", rows, allocated, err)
			}
			for _, want := range []string{file, `column "city": page 1, at byte 4: `, c.want, "hint:"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in %v", want, err)
				}
			}
		})
	}
}

// Snappy's own length counts, too: the library takes as much memory.
func TestSnappyPagesThatUnpackToMoreAreRefused(t *testing.T) {
	for _, version := range []int{1, 2} {
		city := strings.Repeat("Weiler", 100)
		file := writeParquet(t, []pageRow{{&city}, {&city}}, parquet.Compression(&parquet.Snappy), parquet.DataPageVersion(version))
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n, err := thriftLength(whole[4:])
		if err != nil {
			t.Fatal(err)
		}
		h := &format.PageHeader{}
		if err := thrift.Unmarshal(new(thrift.CompactProtocol), whole[4:4+n], h); err != nil {
			t.Fatal(err)
		}
		at := 4 + n + int(h.DataPageHeaderV2.V.DefinitionLevelsByteLength)
		binary.PutUvarint(whole[at:], 1<<31|1) // over what follows: the page is broken anyway
		if err := os.WriteFile(file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, allocated, err := readCosts(t, file); err == nil || !strings.Contains(err.Error(), "it unpacks to 2147483649 bytes, its header says") || allocated > 1<<23 {
			t.Errorf("version %d: %d bytes allocated, %v", version, allocated, err)
		}
	}
}

// A footer's lists and texts can't be longer than it.
func TestParquetFootersWithFalseLengthsAreRefused(t *testing.T) {
	file := writeParquet(t, []shopRow{{Customer: "a", Spent: 1}})
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, footer := range map[string][]byte{
		"list": {0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 7}, // version 1, 2³¹-1 schema elements
		"text": {0x15, 2, 0x19, 0x1c, 0x48, 0xff, 0xff, 0xff, 0xff, 7},
	} {
		data := append(bytes.Clone(whole[:4]), footer...)
		data = append(binary.LittleEndian.AppendUint32(data, uint32(len(footer))), parquetMagic...)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, allocated, err := readCosts(t, file); !errors.Is(err, ErrHeader) || !strings.Contains(err.Error(), "its footer: it is cut off") || allocated > 1<<23 {
			t.Errorf("%s: %d bytes allocated, %v", name, allocated, err)
		}
	}
}

// Pages of 32 MB are read, packed and not, and so are long values in their headers.
func TestLargeParquetPagesAreRead(t *testing.T) {
	const n = 1 << 15
	var rows []pageRow
	for i := range n {
		city := strings.Repeat(string(rune('a'+i%26)), 1<<10)
		rows = append(rows, pageRow{&city})
	}
	for name, options := range map[string][]parquet.WriterOption{
		"plain":  {parquet.DataPageVersion(1)},
		"snappy": {parquet.Compression(&parquet.Snappy)},
		"zstd":   {parquet.Compression(&parquet.Zstd), parquet.DataPageStatistics(true), parquet.ColumnIndexSizeLimit(func([]string) int { return 1 << 10 })},
	} {
		file := writeParquet(t, rows, append(options, parquet.PageBufferSize(1<<26))...)
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		h, header, err := readPageHeader(io.NewSectionReader(f, 4, 1<<20))
		if err != nil || h.UncompressedPageSize < 1<<25 || name == "zstd" && header < 1<<10 {
			t.Fatalf("%s: a page of %d bytes, a header of %d, %v", name, h.UncompressedPageSize, header, err)
		}
		if read, _, err := readCosts(t, file); err != nil || read != n {
			t.Errorf("%s: %d rows, %v", name, read, err)
		}
	}
}

// emptyGroups is what Arrow writes of no rows, then two, then none: row groups without rows have a dictionary page and no data page.
const emptyGroups = "UEFSMRUEFQAVAEwVABUAEgAAFQQVIhUiTBUEFQASAAADAAAAUm9tBgAAAFdlaWxlchUAFRIVEiwVBBUQFQYVBhwAAAACAAAABAEBAwIVBBUAFQBMFQAVABIAABUE" +
	"GSw1ABgGc2NoZW1hFQIAFQwlAhgEY2l0eSUATBwAAAAWBBk8GRwmABwVDBklAAYZGARjaXR5FQAWABYcFhwmACYIKRwVBBUAFQIAAAAWHBYAJggWHAAZHCYAHBUM" +
	"GTUABhAZGARjaXR5FQAWBBZ2FnYmYiYkKSwVBBUAFQIAFQAVEBUCADwWEhkGGSYABAAAABZ2FgQmJBZ2ABkcJgAcFQwZJQAGGRgEY2l0eRUAFgAWHBYcJgAmmgEp" +
	"HBUEFQAVAgAAABYcFgAmmgEWHAAoIHBhcnF1ZXQtY3BwLWFycm93IHZlcnNpb24gMjYuMC4xGRwcAAAA+AAAAFBBUjE="

func TestParquetRowGroupsWithoutRowsArePassedOver(t *testing.T) {
	data, err := base64.StdEncoding.DecodeString(emptyGroups)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rows")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if rows, _, err := readCosts(t, file); err != nil || rows != 2 {
		t.Errorf("%d rows: %v", rows, err)
	}
}
