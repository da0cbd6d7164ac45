package dataset

import (
	"iter"
	"runtime"
	"slices"
	"unsafe"
)

// Memory is where long arrays are kept other than in the heap, such as a file that is mapped: see participant/internal/spill. Arrays
// are written once, in order, and only read then. Methods may be called concurrently.
type Memory interface {
	// Array begins an array of at most limit bytes.
	Array(limit int64) (Array, error)
	// Done says that a part of an array isn't needed for now. It stays readable. A pass over rows calls it behind itself, so that
	// what is resident doesn't grow with the rows.
	Done(part []byte)
}

// Array is one that is being written, by one goroutine.
type Array interface {
	Write(p []byte) (int, error)
	// Bytes ends the array and gives what was written, aligned to 8 bytes. It is read only: a write may crash the process. It is
	// readable as long as its Memory is referenced.
	Bytes() ([]byte, error)
}

// Value is what arrays are made of: of fixed size, without pointers.
type Value interface {
	bool | uint8 | int32 | float64 | [16]byte
}

// Builder collects an array's values in order.
type Builder[T Value] struct {
	values []T   // all of them, or with an array those that aren't written yet
	array  Array // nil: the heap
	err    error
}

// bufferBytes are collected for one write to an array.
const bufferBytes = 32 << 10

// Build begins an array of at most limit values; a nil Memory is the heap. Its errors come from Freeze.
func Build[T Value](m Memory, limit int) *Builder[T] {
	if m == nil {
		return &Builder[T]{values: []T{}}
	}
	var zero T
	array, err := m.Array(int64(limit) * int64(unsafe.Sizeof(zero)))
	return &Builder[T]{values: make([]T, 0, min(bufferBytes/int(unsafe.Sizeof(zero)), max(limit, 1))), array: array, err: err}
}

// Grow makes room for n more values, if they are kept in the heap.
func (b *Builder[T]) Grow(n int) *Builder[T] {
	if b.array == nil {
		b.values = slices.Grow(b.values, n)
	}
	return b
}

// Append adds values.
func (b *Builder[T]) Append(values ...T) {
	if b.array != nil {
		for len(values) > cap(b.values)-len(b.values) {
			n := cap(b.values) - len(b.values)
			b.values = append(b.values, values[:n]...)
			values = values[n:]
			b.flush()
		}
	}
	b.values = append(b.values, values...)
}

func (b *Builder[T]) flush() {
	if b.err == nil {
		_, b.err = b.array.Write(bytesOf(b.values))
	}
	b.values = b.values[:0]
}

// Err tells early that the array can't be written, which Freeze will tell.
func (b *Builder[T]) Err() error { return b.err }

// Freeze ends the array. The slice is not nil, and to be read only.
func (b *Builder[T]) Freeze() ([]T, error) {
	if b.array == nil || b.err != nil {
		return b.values, b.err
	}
	if b.flush(); b.err != nil {
		return nil, b.err
	}
	data, err := b.array.Bytes()
	if err != nil || len(data) == 0 {
		return []T{}, err
	}
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(data))), len(data)/int(unsafe.Sizeof(zero))), nil
}

// bytesOf are the bytes of values as they lie in memory.
func bytesOf[T Value](values []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(zero)))
}

// Done is Memory.Done of a part of an array; of the heap's, it does nothing.
func Done[T Value](m Memory, part []T) {
	if m != nil && len(part) > 0 {
		m.Done(bytesOf(part))
	}
}

// runBytes of an array are passed over before they are done: enough that it costs little.
const runBytes = 1 << 20

// Runs passes over an array in parts, with the index of each one's first value, and is done with each behind it.
func Runs[T Value](m Memory, values []T) iter.Seq2[int, []T] {
	return func(yield func(int, []T) bool) {
		var zero T
		run := runBytes / int(unsafe.Sizeof(zero))
		for from := 0; from < len(values); from += run {
			part := values[from:min(from+run, len(values))]
			more := yield(from, part)
			if Done(m, part); !more {
				break
			}
		}
		runtime.KeepAlive(m)
	}
}
