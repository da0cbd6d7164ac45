package jobspec

import (
	"fmt"
	"math/bits"
)

// An open category doesn't list its values: each has a number, by a public hash of the column's name and the value (SPEC §13) that
// participants compute. The values themselves never leave them.
const (
	minHashBuckets = 2
	maxHashBuckets = 1 << 18
)

// Open reports whether a category's values aren't listed.
func (c *Column) Open() bool { return c.Kind == Category && c.Buckets != 0 }

// openOrListed wants a category's values, or its buckets.
func (d *document) openOrListed(c *Column, v value, keys map[string]value) {
	buckets, open := keys["buckets"]
	if !open {
		d.require(v, keys, map[string]string{"values": "list the values; they never come from data. Where nobody can list them, write buckets: 4096: values are hashed then"}, "values")
		c.Other = OtherReject
		return
	}
	if _, both := keys["values"]; both {
		d.at(buckets.path, buckets.at, "a category has values, or buckets", "remove one of them")
	}
	if other, both := keys["other"]; both {
		d.at(other.path, other.at, "a category with buckets has no other: every value has a bucket", "remove other")
	}
}

// checkOpen checks an open category.
func (c *Column) checkOpen(report report, path string) {
	if len(c.Values) > 0 || c.Other != "" {
		report("a category has values and other, or buckets", "", path)
	}
	checkBuckets(report, child(path, "buckets"), c.Buckets)
}

func checkBuckets(report report, path string, n int64) {
	if n < minHashBuckets || n > maxHashBuckets || bits.OnesCount64(uint64(n)) != 1 {
		report(fmt.Sprintf("%d buckets are not a power of two from %d to %d", n, minHashBuckets, maxHashBuckets),
			"write 1024, 4096, 16384, …: about ten times as many as there are frequent values, so that few share one", path)
	}
}
