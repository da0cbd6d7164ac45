package score

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// object is a JSON object whose keys are taken by name. encoding/json alone accepts duplicate keys, other cases of a key, and
// missing ones: readers would understand one model differently.
type object struct {
	path string
	keys map[string]json.RawMessage
	err  *error // the document's first problem; later reads give zero values
}

// documentOf reads the outermost object.
func documentOf(data []byte) (object, error) {
	var err error
	o := object{err: &err}
	switch {
	case len(data) > MaxDocument:
		return o, fmt.Errorf("%d bytes, at most %d", len(data), MaxDocument)
	case !utf8.Valid(data):
		return o, errors.New("not UTF-8")
	}
	o.read(data)
	return o, err
}

func (o *object) read(data []byte) {
	o.keys = map[string]json.RawMessage{}
	dec := json.NewDecoder(bytes.NewReader(data))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		o.fail("", "want an object")
		return
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			o.fail("", "not JSON: %v", err)
			return
		}
		key, _ := tok.(string) // the decoder takes nothing else here
		if _, twice := o.keys[key]; twice {
			o.fail(key, "twice")
			return
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			o.fail(key, "not JSON: %v", err)
			return
		}
		o.keys[key] = raw
	}
	if _, err := dec.Token(); err != nil {
		o.fail("", "not JSON: %v", err)
	} else if _, err := dec.Token(); err != io.EOF {
		o.fail("", "data after the object")
	}
}

// at names a key for a person; what a document calls it may be long or have control characters.
func (o *object) at(key string) string {
	switch quoted := strconv.Quote(key[:min(len(key), 64)]); {
	case key == "" && o.path == "":
		return "document"
	case key == "":
		return o.path
	case quoted[1:len(quoted)-1] != key:
		key = quoted
	}
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

func (o *object) fail(key, format string, args ...any) {
	if *o.err == nil {
		*o.err = fmt.Errorf("%s: %s", o.at(key), fmt.Sprintf(format, args...))
	}
}

// only refuses keys that this version doesn't know: they could change what the others mean.
func (o *object) only(known ...string) {
	seen := 0
	for _, k := range known {
		if _, ok := o.keys[k]; ok {
			seen++
		}
	}
	if seen == len(o.keys) {
		return
	}
	first := ""
	for key := range o.keys {
		if !slices.Contains(known, key) && (first == "" || key < first) {
			first = key
		}
	}
	o.fail(first, "unknown key\nhint: a newer version may have written the model")
}

// foreign refuses keys that a type of model doesn't have.
func (o *object) foreign(refuse bool, keys ...string) {
	for _, key := range keys {
		if refuse && o.has(key) {
			o.fail(key, "not of this type of model")
		}
	}
}

func (o *object) has(key string) bool {
	_, ok := o.keys[key]
	return ok
}

// take returns a key's value, which must be there.
func (o *object) take(key string) json.RawMessage {
	raw, ok := o.keys[key]
	if !ok {
		o.fail(key, "missing")
	}
	return raw
}

// value reads a key of a type; null is none.
func value[T any](o *object, key, want string) (out T) {
	raw := o.take(key)
	if *o.err != nil {
		return out
	}
	if string(raw) == "null" || json.Unmarshal(raw, &out) != nil {
		o.fail(key, "want %s", want)
	}
	return out
}

func (o *object) text(key string) string  { return value[string](o, key, "a string") }
func (o *object) boolean(key string) bool { return value[bool](o, key, "true or false") }
func (o *object) list(key string) []json.RawMessage {
	return value[[]json.RawMessage](o, key, "a list")
}
func (o *object) flag(key string) bool { return o.has(key) && o.boolean(key) }
func (o *object) integer(key string, lo, hi int) (n int) {
	if n = value[int](o, key, "an integer"); *o.err == nil && (n < lo || n > hi) {
		o.fail(key, "%d is not within %d..%d", n, lo, hi)
	}
	return n
}

// number reads a number of at most the given size.
func (o *object) number(key string, limit float64) float64 {
	x := value[float64](o, key, "a number")
	if *o.err == nil && !(math.Abs(x) <= limit) {
		o.fail(key, "%g is not within ±%g", x, limit)
	}
	return x
}

// numbers reads a list of numbers.
func (o *object) numbers(key string, length int, limit float64) []float64 {
	list := o.list(key)
	if *o.err == nil && len(list) != length {
		o.fail(key, "%d numbers, want %d", len(list), length)
	}
	if *o.err != nil {
		return nil
	}
	out := make([]float64, length)
	for i, raw := range list {
		if string(raw) == "null" || json.Unmarshal(raw, &out[i]) != nil || !(math.Abs(out[i]) <= limit) {
			o.fail(fmt.Sprintf("%s[%d]", key, i), "want a number within ±%g", limit)
			return nil
		}
	}
	return out
}

// object reads a nested object.
func (o *object) object(key string) object { return o.nested(key, o.take(key)) }

func (o *object) nested(key string, raw json.RawMessage) object {
	out := object{path: o.at(key), err: o.err}
	if *o.err == nil {
		out.read(raw)
	}
	return out
}
