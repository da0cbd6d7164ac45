package sgd

import "math/rand/v2"

const (
	chunkRows = 256     // that lie together in memory
	groupSize = 4 << 20 // numbers of the rows that are in memory together: 32 MiB
)

// order is in which order an epoch takes n rows. Rows that are many are shuffled in two levels [XQJ+22]: chunks of them, and then
// the rows of as many chunks as are in memory together. Rows that all are together are one group, and fully shuffled.
type order struct {
	chunks []int // numbers of chunks
	rows   []int // of a group
	n      int
	chunk  int // rows of a chunk
	group  int // chunks of a group
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
	o.rows = make([]int, 0, min(n, o.group*o.chunk))
	return o
}

// epoch shuffles anew and gives the rows, group after group; each slice is reused.
func (o *order) epoch(random *rand.Rand, group func(rows []int)) {
	if len(o.chunks) > 1 {
		shuffle(random, o.chunks)
	}
	for at := 0; at < len(o.chunks); at += o.group {
		if len(o.chunks) > 1 || len(o.rows) == 0 { // the one group goes on from the last epoch's order
			o.rows = o.rows[:0]
			for _, chunk := range o.chunks[at:min(at+o.group, len(o.chunks))] {
				for i := chunk * o.chunk; i < min((chunk+1)*o.chunk, o.n); i++ {
					o.rows = append(o.rows, i)
				}
			}
		}
		shuffle(random, o.rows)
		group(o.rows)
	}
}

func shuffle(random *rand.Rand, list []int) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}
