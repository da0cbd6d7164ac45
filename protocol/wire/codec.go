package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrMalformed says that bytes are not the one encoding of an object. Every failure to decode wraps it.
var ErrMalformed = errors.New("malformed object")

// codec walks an object's fields in order, writing them or reading them: one description serves both
// directions, so that what parses re-encodes to the same bytes. After the first failure it does nothing.
type codec struct {
	data     []byte // to write: what is written so far; to read: what is left
	decoding bool
	err      error
}

func (c *codec) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
	}
}

// take returns the next n bytes to read, or nil after a failure. It never allocates.
func (c *codec) take(n int) []byte {
	if c.err != nil {
		return nil
	}
	if n > len(c.data) {
		c.fail("ends %d bytes early", n-len(c.data))
		return nil
	}
	b := c.data[:n]
	c.data = c.data[n:]
	return b
}

func (c *codec) u8(v *uint8) {
	if !c.decoding {
		c.data = append(c.data, *v)
	} else if b := c.take(1); b != nil {
		*v = b[0]
	}
}

func (c *codec) u16(v *uint16) {
	if !c.decoding {
		c.data = binary.BigEndian.AppendUint16(c.data, *v)
	} else if b := c.take(2); b != nil {
		*v = binary.BigEndian.Uint16(b)
	}
}

func (c *codec) u32(v *uint32) {
	if !c.decoding {
		c.data = binary.BigEndian.AppendUint32(c.data, *v)
	} else if b := c.take(4); b != nil {
		*v = binary.BigEndian.Uint32(b)
	}
}

func (c *codec) u64(v *uint64) {
	if !c.decoding {
		c.data = binary.BigEndian.AppendUint64(c.data, *v)
	} else if b := c.take(8); b != nil {
		*v = binary.BigEndian.Uint64(b)
	}
}

// fixed walks an array whose length both sides know.
func (c *codec) fixed(v []byte) {
	if !c.decoding {
		c.data = append(c.data, v...)
	} else if b := c.take(len(v)); b != nil {
		copy(v, b)
	}
}

// bytes walks a length (u32) and as many bytes, at most limit.
func (c *codec) bytes(name string, v *[]byte, limit int) {
	n := uint32(len(*v))
	c.u32(&n)
	if int64(n) > int64(limit) {
		c.fail("%s of %d bytes, at most %d", name, n, limit)
		return
	}
	if !c.decoding {
		c.data = append(c.data, *v...)
	} else if b := c.take(int(n)); b != nil {
		*v = append([]byte{}, b...)
	}
}

// text walks a UTF-8 string of at most limit bytes without control characters.
func (c *codec) text(name string, v *string, limit int) {
	b := []byte(*v)
	c.bytes(name, &b, limit)
	if c.err != nil {
		return
	}
	if !utf8.Valid(b) {
		c.fail("%s is not UTF-8", name)
		return
	}
	for _, r := range string(b) {
		if r < ' ' && r != '\n' || r == 0x7f {
			c.fail("%s has the control character %#x", name, r)
			return
		}
	}
	if c.decoding { // an object may be encoded by several at once
		*v = string(b)
	}
}

// list walks a count (u16) and as many elements. Elements are appended as they are read, so memory grows with
// the bytes that are there, not with the count that is claimed.
func list[T any](c *codec, name string, v *[]T, limit int, element func(*T)) {
	n := uint16(len(*v))
	if len(*v) > limit {
		c.fail("%d %s, at most %d", len(*v), name, limit)
		return
	}
	c.u16(&n)
	if int(n) > limit {
		c.fail("%d %s, at most %d", n, name, limit)
		return
	}
	if !c.decoding {
		for i := range *v {
			element(&(*v)[i])
		}
		return
	}
	*v = nil
	for range n {
		var one T
		element(&one)
		if c.err != nil {
			return
		}
		*v = append(*v, one)
	}
}

// ascending demands strictly ascending keys: sorted and distinct.
func ascending[T any](c *codec, name string, v []T, compare func(a, b *T) int) {
	for i := 1; i < len(v); i++ {
		if compare(&v[i-1], &v[i]) >= 0 {
			c.fail("%s are not sorted and distinct at %d", name, i)
			return
		}
	}
}
