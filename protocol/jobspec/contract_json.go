package jobspec

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrNotCanonical is returned for a document that isn't the one encoding of a
// valid value.
var ErrNotCanonical = errors.New("jobspec: not a canonical document")

const (
	contractDomain = "tributary/v1/contract"
	specDomain     = "tributary/v1/spec"
)

type contractJSON struct {
	Version  int          `json:"version"`
	Name     string       `json:"name"`
	Revision int64        `json:"revision"`
	Key      string       `json:"key"`
	MaxRows  int64        `json:"max_rows"`
	Label    *Label       `json:"label,omitempty"` // of contracts that have one
	Columns  []columnJSON `json:"columns"`
}

// columnJSON writes the fields that a column's kind has, and only those.
type columnJSON struct {
	Name     string   `json:"name"`
	Type     Kind     `json:"type"`
	Min      *bound   `json:"min,omitempty"`
	Max      *bound   `json:"max,omitempty"`
	Outside  *string  `json:"outside,omitempty"`
	Values   []string `json:"values,omitempty"`
	Buckets  int64    `json:"buckets,omitempty"`
	Other    *string  `json:"other,omitempty"`
	Nullable *bool    `json:"nullable,omitempty"`
}

// Canonical returns the contract's one encoding: JSON without spaces, fields in
// fixed order, columns by name, every default written out.
func (c *Contract) Canonical() []byte {
	out := contractJSON{Version: 1, Name: c.Name, Revision: c.Revision, Key: c.Key, MaxRows: c.MaxRows, Columns: []columnJSON{}}
	if c.HasLabel() {
		out.Label = &c.Label
	}
	for _, col := range c.Columns {
		j := columnJSON{Name: col.Name, Type: col.Kind}
		switch col.Kind {
		case Number:
			j.Min, j.Max, j.Outside, j.Nullable = numberBound(&col.Min), numberBound(&col.Max), &col.Outside, &col.Nullable
		case Date:
			j.Min, j.Max, j.Outside, j.Nullable = dateBound(col.First), dateBound(col.Last), &col.Outside, &col.Nullable
		case Category:
			j.Values, j.Buckets, j.Other, j.Nullable = col.Values, col.Buckets, &col.Other, &col.Nullable
			if col.Open() {
				j.Other = nil
			}
		case Split:
			j.Values = col.Values
		}
		out.Columns = append(out.Columns, j)
	}
	return encode(out)
}

// Digest returns SHA-256("tributary/v1/contract" ‖ Canonical()).
func (c *Contract) Digest() [32]byte { return digest(contractDomain, c.Canonical()) }

// ParseContractJSON reads a canonical contract. The error wraps ErrNotCanonical
// and says what is wrong.
func ParseContractJSON(data []byte) (*Contract, error) {
	var in contractJSON
	if err := decode(data, &in); err != nil {
		return nil, err
	}
	c := &Contract{Name: in.Name, Revision: in.Revision, Key: in.Key, MaxRows: in.MaxRows, Label: or0(in.Label)}
	for _, j := range in.Columns {
		col := Column{Name: j.Name, Kind: j.Type, Values: j.Values, Outside: or0(j.Outside), Buckets: j.Buckets, Other: or0(j.Other), Nullable: or0(j.Nullable)}
		col.bounds(or0(j.Min), or0(j.Max))
		c.Columns = append(c.Columns, col)
	}
	f := newFindings(nil)
	c.check(f.report)
	if err := firstProblem(f); err != nil {
		return nil, err
	}
	if !bytes.Equal(c.Canonical(), data) {
		return nil, fmt.Errorf("%w: the contract encodes to other bytes", ErrNotCanonical)
	}
	return c, nil
}

func or0[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func firstProblem(f *findings) error {
	if len(f.problems) == 0 {
		return nil
	}
	p := f.problems[0]
	return fmt.Errorf("%w: %s: %s", ErrNotCanonical, p.Path, p.Message)
}

// encode writes JSON without spaces and without HTML escapes.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("jobspec: encode a checked document: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// decode reads one JSON value. It leaves duplicate keys, spaces and the case of
// keys to the comparison of the encoding with the input.
func decode(data []byte, into any) error {
	if len(data) > MaxDocumentBytes {
		return fmt.Errorf("%w: %d bytes are more than %d", ErrNotCanonical, len(data), MaxDocumentBytes)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrNotCanonical, err)
	}
	return nil
}

func digest(domain string, canonical []byte) (sum [32]byte) {
	h := sha256.New()
	h.Write([]byte(domain))
	h.Write(canonical)
	h.Sum(sum[:0])
	return sum
}
