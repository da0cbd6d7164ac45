package linear

// slots are the active indicator column of each row and slot, or none. Rows lie in runs; a run has one slot after another, so that a
// pass over it reads, and adds to, the columns of one slot at a time. These few fit a processor's nearer caches, those of a wide
// model together don't.
type slots struct {
	rows, each int
	size       int // rows of a run but the last
	columns    []int32
}

// runRows are the rows of a run, or fewer where they are wide: each column of a few thousand is then met several times in it, and margins
// and residuals of a run stay near, too. Runs of wide rows have about runBytes.
const (
	runRows  = 8192
	runBytes = 4 << 20
)

// runSize is the length of a run of rows with so many numbers and slots: of whole blocks.
func runSize(numbers, slots int) int {
	return min(max(runBytes/(8*numbers+4*slots+1)/blockRows, 1)*blockRows, runRows)
}

// none marks a slot without an active column.
const none int32 = -1

// end is where the run ends that row from is in, or to if that is before.
func (s *slots) end(from, to int) int { return min(to, (from/s.size+1)*s.size) }

// run gives the columns of rows from..to in one slot; they must be of one run.
func (s *slots) run(from, to, slot int) []int32 {
	first := from / s.size * s.size
	at := first*s.each + slot*min(s.size, s.rows-first) - first
	return s.columns[at+from : at+to]
}

// visit gives the columns of rows from..to slot by slot, run after run: each row's come in the order of slots.
func (s *slots) visit(from, to int, f func(first int, columns []int32)) {
	for from < to {
		end := s.end(from, to)
		for slot := range s.each {
			f(from, s.run(from, end, slot))
		}
		from = end
	}
}

// row appends a row's active columns, ascending.
func (s *slots) row(i int, columns []int32) []int32 {
	first := i / s.size * s.size
	at, size := first*s.each-first+i, min(s.size, s.rows-first)
	for range s.each {
		if c := s.columns[at]; c != none {
			columns = append(columns, c)
		}
		at += size
	}
	return columns
}
