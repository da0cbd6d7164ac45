package hashing

// Cross maps a cell of a cross, which is a level of each of its features, to the cross's code. It isn't for concurrent use.
type Cross struct {
	levels []int64
	hash   *Function // nil: every cell has a code of its own
	cell   []int64
}

// NewCross is the function of a cross with that name, whose features have so many levels each. Buckets is the product of these, or
// less and then Valid.
func NewCross(name string, levels []int64, buckets int) *Cross {
	c, product := &Cross{levels: levels, cell: make([]int64, 0, len(levels))}, int64(1)
	for _, n := range levels {
		product *= n
	}
	if product != int64(buckets) {
		f := New(name, buckets)
		c.hash = &f
	}
	return c
}

// Code is the code of a cell whose levels level gives by the number of the feature.
func (c *Cross) Code(level func(feature int) int64) int32 {
	c.cell = c.cell[:0]
	code := int64(0)
	for i, n := range c.levels {
		l := level(i)
		c.cell = append(c.cell, l)
		code = code*n + l
	}
	if c.hash != nil {
		return c.hash.Codes(c.cell)
	}
	return int32(code)
}
