package forecast

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrNotCanonical is returned by Parse for bytes that no JSON call returns.
var ErrNotCanonical = errors.New("forecast: not a canonical document")

// JSON returns the forecast's one encoding: JSON without spaces, fields in fixed
// order, numbers of up to 64 bits as decimal strings.
func (f *Forecast) JSON() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(f); err != nil {
		panic("forecast: encode: " + err.Error()) // all floats are finite: For
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Parse reads what JSON wrote, and nothing else. It doesn't check the numbers: a
// forecast is for people.
func Parse(data []byte) (*Forecast, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	f := &Forecast{}
	if err := d.Decode(f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotCanonical, err)
	}
	if !bytes.Equal(f.JSON(), data) {
		return nil, fmt.Errorf("%w: it encodes to other bytes", ErrNotCanonical)
	}
	return f, nil
}
