package cli

import "fmt"

// clamped are the fitted quantiles of an exported number, if it has any.
type clamped struct {
	Lowest  *float64 `json:"lowest"`
	Highest *float64 `json:"highest"`
}

func (c clamped) note() string {
	if c.Lowest == nil || c.Highest == nil {
		return ""
	}
	return fmt.Sprintf("clamped to %g..%g", *c.Lowest, *c.Highest)
}

// bucket are the bounds of an exported bucket: from ≤ x < to.
type bucket struct {
	From *float64 `json:"from"`
	To   *float64 `json:"to"`
}

func (b *bucket) note() string {
	switch {
	case b.From == nil && b.To == nil:
		return ""
	case b.From == nil:
		return fmt.Sprintf("below %g", *b.To)
	case b.To == nil:
		return fmt.Sprintf("%g or more", *b.From)
	}
	return fmt.Sprintf("%g to below %g", *b.From, *b.To)
}
