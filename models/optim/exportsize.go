package optim

import (
	"errors"
	"fmt"

	"tributary/models/pipeline"
)

// MaxExport is the most bytes of a model's document that can be scored: package score reads no longer one.
const MaxExport = 128 << 20

// ErrTooWide is wrapped by Apply's error when what FIT keeps is more than a document holds.
var ErrTooWide = errors.New("the model is too wide")

// Bounds of parts of an exported document, in bytes.
const (
	numberBytes = 10 + 24 + 2 // indent, the longest float64, comma and end of the line
	columnBytes = 2048        // of an encoded column's keys and its own numbers, without its names and factors
	otherBytes  = 1 << 16     // of all that is there once
)

// documentBytes bounds the length of an averaged model's document. A folded bucket isn't in it; another folded column is, with zeros.
func (p *Program) documentBytes(f *pipeline.Fitted) int {
	total, features := otherBytes, p.spec.Features()
	for i, c := range p.spec.Columns() {
		feature := &features[c.Feature]
		if feature.HashBuckets > 0 && c.Role == pipeline.CategoryRole {
			if !f.Folded[i] {
				total += (2 + p.Model.Factors) * numberBytes // with its own number
			}
			continue
		}
		var names int = len(c.Name) + len(feature.Name)
		total += columnBytes + 12*names + p.Model.Factors*numberBytes // the value is in the column's name; escaped, a byte takes six
	}
	return total
}

// checkDocument refuses at FIT what could be trained, but not exported.
func (p *Program) checkDocument(f *pipeline.Fitted) error {
	if n := p.documentBytes(f); n > MaxExport {
		return fmt.Errorf("%w: with the columns that FIT keeps, its document takes up to %d MB, at most %d can be scored\nhint: raise min_count, so that more rare values fold, or use fewer factors or values",
			ErrTooWide, n>>20, MaxExport>>20)
	}
	return nil
}
