package optim

import (
	"errors"
	"strings"
	"testing"
)

// wideDocument is a machine over buckets and a cross.
func wideDocument(factors string) string {
	doc := strings.Replace(bucketDocument(), `"buckets":4096`, `"buckets":65536`, 1)
	from, to := strings.Index(doc, `"model":`), strings.Index(doc, `"evaluate":`)
	return doc[:from] + strings.Replace(averagingModel, `"factors":2`, `"factors":`+factors, 1) + doc[to:]
}

// wideFit fits a wideDocument to 20 rows in each bucket, or to all rows in one.
func wideFit(p *Program, spread bool) (*State, error) {
	const rows = 20 * 65536
	var counts []float64
	for i := range p.spec.Features() {
		cells := len(p.spec.Features()[i].Values) + p.spec.Features()[i].HashBuckets
		at := len(counts)
		counts = append(counts, make([]float64, cells+1)...) // and the other
		counts[at] = rows
		if spread && p.spec.Features()[i].HashBuckets > 0 {
			for k := range cells {
				counts[at+k] = rows / float64(cells)
			}
		}
	}
	s, _, err := p.Apply(p.Initial(), p.assemble(Fit, map[string][]float64{segRows: {rows}, segPositives: {300}, segHeldOut: {100}, segCategories: counts}))
	return s, err
}

// What FIT lets through can be exported within the bound: with buckets, crosses, listed values and numbers, and the longest numbers
// that a coefficient can be written with.
func TestADocumentKeepsToItsBound(t *testing.T) {
	for name, doc := range map[string]string{"listed": averagingDocument(t), "buckets": wideDocument("8"), "one factor": wideDocument("1")} {
		p, err := ParseProgram([]byte(doc))
		if err != nil {
			t.Fatal(name, err)
		}
		s := &State{}
		if name == "listed" {
			s = fitted(t, p)
		} else if s, err = wideFit(p, true); err != nil {
			t.Fatal(name, err)
		}
		for i := range s.w {
			if i >= p.columns() || !s.fitted.Folded[i] {
				s.w[i] = -1.2345678901234567e-100
			}
		}
		out, err := Export(p, s)
		if err != nil {
			t.Fatal(name, err)
		}
		bound := p.documentBytes(s.fitted)
		if least := bound / 2; len(out) > bound || name != "listed" && len(out) < least {
			t.Errorf("%s: %d bytes, the bound is %d", name, len(out), bound)
		}
	}
}

// A machine whose buckets all fill up can't be scored: its job ends after FIT, not after all of its training. With most buckets folded it
// goes on.
func TestAMachineTooWideForADocumentEndsAtFit(t *testing.T) {
	p, err := ParseProgram([]byte(wideDocument("200")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wideFit(p, false); err != nil {
		t.Errorf("all folded: %v", err)
	}
	if _, err := wideFit(p, true); !errors.Is(err, ErrTooWide) || !strings.Contains(err.Error(), "hint: raise min_count") {
		t.Errorf("all kept: %v", err)
	}
}
