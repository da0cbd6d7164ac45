package audit

import (
	"bytes"
	"io"

	"tributary/protocol/ledger"
)

// Relation says how two exports of ledgers stand to one another.
type Relation string

// The relations.
const (
	Same   Relation = "same"
	Longer Relation = "longer" // the second goes on from the first
	Behind Relation = "behind" // the first goes on from the second
	Fork   Relation = "fork"   // they differ at an entry that both have
	Other  Relation = "other"  // logs of different origin
)

// Difference is what Compare found.
type Difference struct {
	Relation Relation `json:"relation"`
	A        Side     `json:"a"`
	B        Side     `json:"b"`
	Common   int64    `json:"common"` // entries that both start with
	New      []Line   `json:"new"`    // of the longer one, after Common; empty in a fork
	ForkA    *Line    `json:"fork_a,omitempty"`
	ForkB    *Line    `json:"fork_b,omitempty"`
}

// Side is one of the two.
type Side struct {
	Origin  string `json:"origin"`
	Entries int64  `json:"entries"`
	Root    string `json:"root"`
}

// Compare tells whether one ledger is the start of the other. It compares all entries; that both are signed is for Verify.
func Compare(a, b *ledger.Export) *Difference {
	d := &Difference{A: side(a), B: side(b), New: []Line{}}
	if a.Origin != b.Origin {
		d.Relation = Other
		return d
	}
	longer := a
	if len(b.Entries) > len(a.Entries) {
		longer = b
	}
	least := min(len(a.Entries), len(b.Entries))
	for i := range least {
		x, y := a.Entries[i], b.Entries[i]
		if x.Kind != y.Kind || x.AtMs != y.AtMs || !bytes.Equal(x.Object, y.Object) {
			d.Relation = Fork
			d.ForkA, d.ForkB = lineAt(a, i), lineAt(b, i)
			return d
		}
		d.Common++
	}
	d.Relation = map[bool]Relation{true: Longer, false: Behind}[longer == b]
	if len(a.Entries) == len(b.Entries) {
		d.Relation = Same
	}
	for i, reader := 0, NewReader(); i < len(longer.Entries); i++ {
		line, _, _, _ := reader.read(longer.Entries[i])
		if i >= least {
			d.New = append(d.New, line)
		}
	}
	return d
}

func side(x *ledger.Export) Side { return Side{plain(x.Origin), x.Head.Size, hexOf(x.Head.Root[:])} }

func lineAt(x *ledger.Export, index int) *Line {
	var line Line
	reader := NewReader()
	for i := range index + 1 {
		line, _, _, _ = reader.read(x.Entries[i])
	}
	return &line
}

// WriteText says the difference; a and b are what the two are called.
func (d *Difference) WriteText(out io.Writer, a, b string) error {
	w := &sticky{w: out}
	a, b = plain(a), plain(b)
	w.f("%s: %d entries of %s, root %s\n%s: %d entries of %s, root %s\n", a, d.A.Entries, d.A.Origin, d.A.Root[:16], b, d.B.Entries, d.B.Origin, d.B.Root[:16])
	switch d.Relation {
	case Same:
		w.f("They are the same ledger.\n")
	case Longer, Behind:
		short, long := a, b
		if d.Relation == Behind {
			short, long = b, a
		}
		w.f("%s goes on from %s; new in it:\n", long, short)
		for _, l := range d.New {
			w.f("%s\n", l)
		}
	case Fork:
		w.f("FORK at entry %d: the entries before it are the same.\n%s has:\n%s\n%s has:\n%s\n", d.Common, a, d.ForkA, b, d.ForkB)
		if d.ForkA.Text == d.ForkB.Text {
			w.f("They say the same and differ in time, signature or a part that isn't shown.\n")
		}
	case Other:
		w.f("They are different logs.\n")
	}
	return w.err
}
