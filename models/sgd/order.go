package sgd

import "math/rand/v2"

// [XQY+22] L. Xu, S. Qiu, B. Yuan et al.: In-Database Machine Learning with CorgiPile: Stochastic Gradient Descent without Full Data
// Shuffle. SIGMOD 2022.

const (
	chunkRows = 256     // that lie together in memory
	groupSize = 4 << 20 // numbers of the rows that are in memory together: 32 MiB
)

// order is in which order an epoch takes n rows. Rows that are many are shuffled in two levels [XQY+22]: chunks of them, and then
// the rows of as many chunks as are in memory together. Rows that all are together are one chunk, and fully shuffled.
type order struct {
	n      int
	chunk  int   // rows of a chunk, but for the last one
	group  int   // chunks that are in memory together
	chunks []int // their numbers
	rows   []int // of a group, numbered chunk after chunk
}

// newOrder is of n rows with so many numbers each.
func newOrder(n, numbers int) *order {
	o := &order{n: n, chunk: chunkRows, group: max(groupSize/(max(numbers, 1)*chunkRows), 1)}
	if n <= o.group*o.chunk {
		o.chunk, o.group = max(n, 1), 1
	}
	for from := 0; from < n; from += o.chunk {
		o.chunks = append(o.chunks, len(o.chunks))
	}
	return o
}

// room is how many rows a group has at most.
func (o *order) room() int { return min(o.n, o.group*o.chunk) }

// epoch shuffles anew. Of each group, it tells the rows of its chunks, and then gives their numbers in the group, shuffled; the
// slice is reused.
func (o *order) epoch(random *rand.Rand, begin func(), chunk func(from, to int), group func(rows []int)) {
	if len(o.chunks) > 1 {
		shuffle(random, o.chunks)
	}
	for at := 0; at < len(o.chunks); at += o.group {
		begin()
		count := 0
		for _, c := range o.chunks[at:min(at+o.group, len(o.chunks))] {
			from, to := c*o.chunk, min((c+1)*o.chunk, o.n)
			chunk(from, to)
			count += to - from
		}
		if len(o.chunks) > 1 || len(o.rows) != count { // a single group goes on from the last epoch's order
			o.rows = o.rows[:0]
			for i := range count {
				o.rows = append(o.rows, i)
			}
		}
		shuffle(random, o.rows)
		group(o.rows)
	}
}

func shuffle(random *rand.Rand, list []int) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}
