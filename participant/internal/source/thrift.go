package source

import (
	"encoding/binary"
	"errors"

	"github.com/parquet-go/parquet-go/encoding/thrift"
)

// maxThriftDepth is how deep structures may lie in each other: a Parquet footer has 7.
const maxThriftDepth = 32

var errThrift = errors.New("it isn't Thrift")

// thriftLength is how many bytes the structure has that b begins with, in Thrift's compact protocol. It is errCut if b has fewer, or
// a text or a list in it is said to be longer than the rest of b: for these the library takes memory before it reads them.
//
// Reference: Apache Thrift: thrift-compact-protocol.md.
func thriftLength(b []byte) (int, error) {
	t := &thriftWalk{rest: b}
	t.value(thrift.STRUCT, 0)
	return len(b) - len(t.rest), t.err
}

type thriftWalk struct {
	rest []byte
	err  error // the first one; then rest is empty
}

func (t *thriftWalk) fail(err error) {
	if t.err == nil {
		t.err, t.rest = err, nil
	}
}

// skip gives the last byte.
func (t *thriftWalk) skip(n uint64) (last byte) {
	if n > uint64(len(t.rest)) {
		t.fail(errCut)
		return 0
	}
	if n > 0 {
		last, t.rest = t.rest[n-1], t.rest[n:]
	}
	return last
}

func (t *thriftWalk) varint() uint64 {
	v, n := binary.Uvarint(t.rest)
	switch {
	case n == 0:
		t.fail(errCut)
	case n < 0:
		t.fail(errThrift)
	default:
		t.rest = t.rest[n:]
	}
	return v
}

// items goes through n of each type, a byte or more of all types together.
func (t *thriftWalk) items(n uint64, depth int, types ...thrift.Type) {
	if n > uint64(len(t.rest)) {
		t.fail(errCut)
	}
	for ; n > 0 && t.err == nil; n-- {
		for _, typ := range types {
			if typ == thrift.TRUE || typ == thrift.FALSE { // only a field's is in its type
				typ = thrift.I8
			}
			t.value(typ, depth+1)
		}
	}
}

func (t *thriftWalk) value(typ thrift.Type, depth int) {
	if depth > maxThriftDepth {
		t.fail(errThrift)
		return
	}
	switch typ {
	case thrift.TRUE, thrift.FALSE:
	case thrift.I8:
		t.skip(1)
	case thrift.I16, thrift.I32, thrift.I64:
		t.varint()
	case thrift.DOUBLE:
		t.skip(8)
	case thrift.UUID:
		t.skip(16)
	case thrift.BINARY:
		t.skip(t.varint())
	case thrift.LIST, thrift.SET:
		head := t.skip(1)
		n := uint64(head >> 4)
		if n == 15 {
			n = t.varint()
		}
		t.items(n, depth, thrift.Type(head&15))
	case thrift.MAP:
		if n := t.varint(); n > 0 {
			types := t.skip(1)
			t.items(n, depth, thrift.Type(types>>4), thrift.Type(types&15))
		}
	case thrift.STRUCT:
		for t.err == nil {
			head := t.skip(1)
			if thrift.Type(head) == thrift.STOP {
				return
			}
			if head>>4 == 0 {
				t.varint()
			}
			t.value(thrift.Type(head&15), depth+1)
		}
	default:
		t.fail(errThrift)
	}
}
