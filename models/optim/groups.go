package optim

import (
	"fmt"

	"tributary/models/metrics"
	"tributary/models/pipeline"
)

// Evaluation by groups, in exact programs: see privategroups.go for others. A program may name columns of the contract whose values are groups of rows. FIT counts each one's
// held-out rows; EVALUATE sums a score histogram, by label, of each group that is shown. A group with fewer rows in the sum than
// min_count is not: no participant encodes its scores. Neither is the smallest of the others of its column, and the next, until
// those that aren't shown together have min_count rows or none: all held-out rows less the shown groups would be theirs.

// GroupBins is the number of equal bins of predicted probability of a group's histograms: fewer than for all rows, as a score
// in a group tells more of a person. 0.5 is between two.
const GroupBins = 64

// Bounds of groups.
const (
	MaxGroups   = 256 // of all columns together, with "other" and missing values
	MaxMinGroup = 1 << (MaxBits - 1)
)

const (
	segGroupRows = "group_rows"
	segGroupPos  = "group_positive_bins"
	segGroupNeg  = "group_negative_bins"
)

// GroupScores are a group's held-out rows.
type GroupScores struct {
	Name   string // as a column of a pipeline: "country=DE", "country=other", "country:missing"
	Column string
	Rows   int64
	Scores *metrics.Histogram // nil: not shown
}

type documentGroup struct {
	Name     string   `json:"name"`
	Values   []string `json:"values"`
	Nullable bool     `json:"nullable"`
}

// Groups describes the columns whose values are groups; each of its output columns is one. It is nil if there are none.
func (p *Program) Groups() *pipeline.Spec { return p.groups }

// groupCount counts the groups.
func (p *Program) groupCount() int {
	if p.groups == nil {
		return 0
	}
	return len(p.groups.Columns())
}

// parseGroups reads the groups of an evaluation, which may have none.
func (p *Program) parseGroups(o *object) {
	_, given := o.keys["groups"]
	if _, count := o.keys["min_count"]; !given && !count {
		return
	}
	p.MinGroup = o.integer("min_count", 1, MaxMinGroup)
	var features []pipeline.Feature
	for i, raw := range o.array("groups") {
		g, err := readObject(fmt.Sprintf("evaluate.groups[%d]", i), raw)
		if err == nil {
			nullable := g.boolean("nullable")
			features = append(features, pipeline.Feature{Name: g.text("name"), Kind: pipeline.Category, Values: g.texts("values"), Nullable: nullable, MissingIndicator: nullable})
			err = g.done()
		}
		if err != nil {
			o.fail("groups", "%v", err)
			return
		}
	}
	spec, err := pipeline.NewSpec(features)
	switch {
	case o.err != nil:
	case err != nil:
		o.fail("groups", "%v", err)
	case len(spec.Columns()) > MaxGroups:
		o.fail("groups", "%d groups, at most %d\nhint: leave out the column with the most values", len(spec.Columns()), MaxGroups)
	default:
		p.groups = spec
	}
}

func (p *Program) documentGroups() (out []documentGroup, least int64) {
	if p.groups == nil {
		return nil, 0
	}
	for _, f := range p.groups.Features() {
		out = append(out, documentGroup{f.Name, f.Values, f.Nullable})
	}
	return out, p.MinGroup
}

// ShownGroups tells which groups EVALUATE sums scores of, once FIT has counted them.
func (p *Program) ShownGroups(s *State) []bool {
	out := make([]bool, len(s.groups))
	for feature := range p.groupFeatures() {
		first, count := p.groups.FirstColumn(feature), 0
		for _, c := range p.groups.Columns() {
			if c.Feature == feature {
				count++
			}
		}
		show(out[first:first+count], s.groups[first:first+count], p.MinGroup)
	}
	return out
}

func (p *Program) groupFeatures() []pipeline.Feature {
	if p.groups == nil {
		return nil
	}
	return p.groups.Features()
}

// show decides on the groups of one column.
func show(shown []bool, rows []int64, least int64) {
	hidden := int64(0)
	for i, n := range rows {
		if shown[i] = n >= least; !shown[i] {
			hidden += n
		}
	}
	for hidden > 0 && hidden < least {
		smallest := -1
		for i, n := range rows {
			if shown[i] && (smallest < 0 || n < rows[smallest]) {
				smallest = i
			}
		}
		if smallest < 0 {
			return
		}
		shown[smallest] = false
		hidden += rows[smallest]
	}
}

// checkGroups holds counts of held-out rows to what rows give: in each column, every held-out row is in one group.
func (p *Program) checkGroups(rows []int64, heldOut int64) error {
	if len(rows) != p.groupCount() {
		return fmt.Errorf("%w: %d groups, want %d", ErrSums, len(rows), p.groupCount())
	}
	for feature, f := range p.groupFeatures() {
		sum := int64(0)
		for i, c := range p.groups.Columns() {
			if c.Feature != feature {
				continue
			}
			if rows[i] < 0 || rows[i] > heldOut {
				return fmt.Errorf("%w: group %q has %d of %d held-out rows", ErrSums, c.Name, rows[i], heldOut)
			}
			sum += rows[i]
		}
		if sum != heldOut {
			return fmt.Errorf("%w: the groups of column %q have %d of %d held-out rows", ErrSums, f.Name, sum, heldOut)
		}
	}
	return nil
}

// applyGroups reads the groups' scores of an EVALUATE sum, which are those of the rows that FIT counted.
func (p *Program) applyGroups(s *State, v map[string][]float64, all *metrics.Summary) (out []GroupScores, err error) {
	shown := p.ShownGroups(s)
	positives := make([]int64, len(p.groupFeatures()))
	complete := make([]bool, len(positives))
	for i := range complete {
		complete[i] = true
	}
	for i := range shown {
		c := p.groups.Columns()[i]
		positive, negative := v[segGroupPos][i*GroupBins:(i+1)*GroupBins], v[segGroupNeg][i*GroupBins:(i+1)*GroupBins]
		p1, p0, least := total(counts(positive)), total(counts(negative)), 0.0
		for k := range positive {
			least = min(least, positive[k], negative[k])
		}
		want := s.groups[i]
		if !shown[i] {
			want = 0
			complete[c.Feature] = complete[c.Feature] && s.groups[i] == 0
		}
		if least < 0 || p1+p0 != want || p1 > all.Positives {
			return nil, fmt.Errorf("%w: group %q has %d scores of %d rows\nhint: a participant's rows changed during the job", ErrSums, c.Name, p1+p0, want)
		}
		positives[c.Feature] += p1
		g := GroupScores{Name: c.Name, Column: p.groups.Features()[c.Feature].Name, Rows: s.groups[i]}
		if shown[i] {
			g.Scores = &metrics.Histogram{Positive: floats(counts(positive)), Negative: floats(counts(negative))}
		}
		out = append(out, g)
	}
	for i, n := range positives {
		if n > all.Positives || complete[i] && n != all.Positives {
			return nil, fmt.Errorf("%w: the groups of column %q have %d positives of %d", ErrSums, p.groups.Features()[i].Name, n, all.Positives)
		}
	}
	return out, nil
}

// Encoded, the groups' counts of a state are integers: none if the program has no groups.

func (d *decoder) groups(n int) []int64 {
	if n == 0 || !d.length(n, 8) {
		return nil
	}
	out := make([]int64, n)
	for i := range out {
		out[i] = d.i64()
	}
	return out
}

func (e *encoder) groups(rows []int64) {
	if len(rows) > 0 {
		e.length(len(rows))
		e.integers(rows...)
	}
}
