package optim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"

	"tributary/models/pipeline"
)

// Open categories and crosses in documents: their codes are numbers without names, see package pipeline.

type documentBuckets struct {
	Name             string   `json:"name"`
	Kind             string   `json:"kind"`
	Of               []string `json:"of,omitempty"` // of a cross
	Buckets          int      `json:"buckets"`
	Nullable         bool     `json:"nullable"`
	MissingIndicator bool     `json:"missing_indicator"`
	MinCount         *int64   `json:"min_count,omitempty"`
}

func parseBuckets(o *object) int {
	return int(o.integer("buckets", pipeline.MinHashBuckets, pipeline.MaxHashBuckets))
}

func parseCross(o *object, f *pipeline.Feature, private bool) {
	f.Kind, f.Cross, f.HashBuckets = pipeline.Category, o.texts("of"), parseBuckets(o)
	if o.err == nil && len(f.Cross) == 0 {
		o.fail("of", "no features")
	}
	if !private {
		f.MinCount = o.integer("min_count", 0, 1<<(MaxBits-1))
	}
}

func (p *Program) documentBuckets(f *pipeline.Feature) documentBuckets {
	d := documentBuckets{f.Name, "category", f.Cross, f.HashBuckets, f.Nullable, f.MissingIndicator, &f.MinCount}
	if f.Cross != nil {
		d.Kind = "cross"
	}
	if p.Private() {
		d.MinCount = nil
	}
	return d
}

// exportBuckets are the encoded columns of an open category or a cross, those that aren't folded; the lists are in their order.
type exportBuckets struct {
	Count        int           `json:"count"`           // of all, the folded ones too
	Cross        []string      `json:"cross,omitempty"` // the record's columns whose cells are numbered; absent: the values of one
	Kept         []int         `json:"kept"`            // numbers, ascending
	Coefficients []float64     `json:"coefficients"`    // of each as many as there are classes, one without
	Factors      []float64     `json:"factors,omitempty"`
	Tests        []*exportTest `json:"tests,omitempty"` // of each as many as classes; null: unknown
}

// exportBuckets gives the columns of the feature whose first column is i as one.
func (p *Program) exportBuckets(s *State, i int) exportColumn {
	f := &p.spec.Features()[p.spec.Columns()[i].Feature]
	b := &exportBuckets{Count: f.HashBuckets, Cross: f.Cross, Kept: []int{}, Coefficients: []float64{}}
	unit := p.labelUnit(s)
	half := math.Sqrt(unit) // two factors are multiplied
	var tests []*exportTest
	tested := false
	for code := range b.Count {
		if s.fitted.Folded[i+code] {
			continue
		}
		b.Kept = append(b.Kept, code)
		if p.Label != nil {
			b.Coefficients = append(b.Coefficients, p.byClass(s, i+code)...)
		} else {
			b.Coefficients = append(b.Coefficients, float64(unit*s.w[i+code]))
		}
		if k := p.Model.Factors; k > 0 {
			at := p.columns() + (i+code)*k
			for _, v := range s.w[at : at+k] {
				b.Factors = append(b.Factors, float64(half*v))
			}
		}
		for class := range p.blocks() {
			test := p.exportTestOf(s, class*(p.columns()+1)+i+code)
			tests, tested = append(tests, test), tested || test != nil
		}
	}
	if tested {
		b.Tests = tests
	}
	return exportColumn{Name: f.Name + "#", Feature: f.Name, Role: "buckets", Buckets: b}
}

// codes names what a feature's buckets mean: their numbers by themselves don't.
func (p *Program) codes(feature int) string {
	f := &p.spec.Features()[feature]
	h := sha256.New()
	fmt.Fprintf(h, "%q of %d", f.Name, f.HashBuckets)
	of, levels := p.spec.Crossed(feature)
	for k, i := range of {
		fmt.Fprintf(h, " %q of %d", p.spec.Features()[i].Values, levels[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}
