package optim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

// maxDocument bounds a program's bytes: 2,000 names of 256 bytes fit several times.
const maxDocument = 4 << 20

// object is a JSON object whose keys are taken exactly once each. encoding/json alone accepts duplicate keys, other cases of
// a key, and missing ones: three ways for two readers to understand one program differently.
type object struct {
	path  string
	keys  map[string]json.RawMessage
	taken map[string]bool
	err   error // the first problem; later calls return zero values
}

func readDocument(data []byte) (*object, error) {
	if len(data) > maxDocument {
		return nil, fmt.Errorf("%d bytes, at most %d", len(data), maxDocument)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	return readObject("", data)
}

func readObject(path string, data []byte) (*object, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, fmt.Errorf("%s: want an object", name(path))
	}
	o := &object{path: path, keys: map[string]json.RawMessage{}, taken: map[string]bool{}}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name(path), err)
		}
		key, ok := tok.(string)
		if !ok {
			return nil, fmt.Errorf("%s: want a key", name(path))
		}
		if _, twice := o.keys[key]; twice {
			return nil, fmt.Errorf("%s: key %q twice", name(path), key)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, fmt.Errorf("%s: key %q: %w", name(path), key, err)
		}
		o.keys[key] = raw
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%s: %w", name(path), err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: data after the object", name(path))
	}
	return o, nil
}

func name(path string) string {
	if path == "" {
		return "document"
	}
	return path
}

func (o *object) at(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

func (o *object) fail(key, format string, args ...any) {
	if o.err == nil {
		o.err = fmt.Errorf("%s: %s", o.at(key), fmt.Sprintf(format, args...))
	}
}

// take returns a key's value, which must be there.
func (o *object) take(key string) json.RawMessage {
	raw, ok := o.keys[key]
	if !ok {
		o.fail(key, "missing")
		return nil
	}
	o.taken[key] = true
	return raw
}

// done reports the first problem, or a key that nobody took.
func (o *object) done() error {
	if o.err != nil {
		return o.err
	}
	unknown := ""
	for key := range o.keys {
		if !o.taken[key] && (unknown == "" || key < unknown) {
			unknown = key
		}
	}
	if len(o.taken) != len(o.keys) {
		return fmt.Errorf("%s: unknown key", o.at(unknown))
	}
	return nil
}

func (o *object) text(key string) string {
	raw := o.take(key)
	var s *string
	if o.err == nil && (json.Unmarshal(raw, &s) != nil || s == nil) {
		o.fail(key, "want a string")
	}
	if o.err != nil {
		return ""
	}
	return *s
}

func (o *object) boolean(key string) bool {
	switch string(o.take(key)) {
	case "true":
		return true
	case "false":
	default:
		o.fail(key, "want true or false")
	}
	return false
}

func (o *object) integer(key string, lo, hi int64) int64 {
	n, err := strconv.ParseInt(string(o.take(key)), 10, 64)
	if o.err == nil && err != nil {
		o.fail(key, "want an integer")
	}
	if o.err == nil && (n < lo || n > hi) {
		o.fail(key, "%d is not within %d..%d", n, lo, hi)
	}
	return n
}

func (o *object) number(key string) float64 { return o.numberOf(key, o.take(key)) }

// numberOf reads a number of a key's value.
func (o *object) numberOf(key string, raw json.RawMessage) float64 {
	if o.err != nil {
		return 0
	}
	// The raw value is valid JSON, so "NaN", hexadecimal and underscores that ParseFloat knows can't be met here.
	x, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		o.fail(key, "want a finite number")
		return 0
	}
	return x + 0 // -0 becomes 0
}

func (o *object) array(key string) []json.RawMessage {
	raw := o.take(key)
	var list []json.RawMessage
	if o.err == nil && (json.Unmarshal(raw, &list) != nil || list == nil) {
		o.fail(key, "want a list")
	}
	return list
}

func (o *object) texts(key string) []string {
	var out []string
	for i, raw := range o.array(key) {
		var s *string
		if json.Unmarshal(raw, &s) != nil || s == nil {
			o.fail(key, "item %d: want a string", i)
			return nil
		}
		out = append(out, *s)
	}
	return out
}

// object reads a nested object; it is empty after a problem.
func (o *object) object(key string) *object {
	raw := o.take(key)
	empty := &object{path: o.at(key), err: o.err}
	if o.err != nil {
		return empty
	}
	nested, err := readObject(o.at(key), raw)
	if err != nil {
		o.err = err
		return empty
	}
	return nested
}
