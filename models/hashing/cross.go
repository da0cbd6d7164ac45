package hashing

// Cross maps a cell of a cross, which is a level of each of its features, to the cross's code.
type Cross struct {
	levels []int64
	hash   *Function // nil: every cell has a code of its own
}

// NewCross is the function of a cross with that name, whose features have so many levels each. Buckets is the product of these, or
// less and then Valid.
func NewCross(name string, levels []int64, buckets int) *Cross {
	c, product := &Cross{levels: levels}, int64(1)
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
	var few [4]int64 // more are allocated
	cell, code := few[:0], int64(0)
	for i, n := range c.levels {
		l := level(i)
		cell = append(cell, l)
		code = code*n + l
	}
	if c.hash != nil {
		return c.hash.Codes(cell)
	}
	return int32(code)
}
