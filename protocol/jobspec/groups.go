package jobspec

import (
	"fmt"
	"slices"
	"strings"

	"tributary/crypto/dp"
)

// maxGroups bounds the groups of all columns together, each with one for other values
// and, where it is nullable, one for missing ones.
const maxGroups = 256

// Group is a category column of the contract whose values are groups of rows.
type Group struct {
	Name     string   `json:"name"`
	Values   []string `json:"values"`
	Nullable bool     `json:"nullable"`
}

// count returns how many groups the column gives.
func (g *Group) count() int {
	n := len(g.Values) + 1
	if g.Nullable {
		n++
	}
	return n
}

func countGroups(groups []Group) (n int) {
	for i := range groups {
		n += groups[i].count()
	}
	return n
}

// groups finds the columns that a job evaluates by.
func groups(s *Spec, c *Contract, r *Resolved, report report) {
	if len(s.Groups) == 0 {
		return
	}
	r.MinGroup = s.MinGroup
	switch {
	case s.Holdout.None():
		report("groups need a hold-out", "add holdout: 0.2 or remove groups", "evaluate.groups")
	case r.Target != nil: // matchTarget has said that there are none
	case !contains(r.Metrics, "auc"):
		report("groups are evaluated beside all held-out rows, whose scores the metric auc sums", "add auc to metrics or remove groups", "evaluate.groups")
	}
	var categories []string
	for _, col := range c.Columns {
		if col.Kind == Category {
			categories = append(categories, col.Name)
		}
	}
	for i, name := range s.Groups {
		path := item("evaluate.groups", i)
		col, ok := c.Column(name)
		switch {
		case name == c.Label.Column || name == c.Key:
			report("column "+name+" is the contract's label or key, and no group", "remove it", path)
		case !ok:
			report(fmt.Sprintf("contract %s has no column %s", c.ID(), show(name)), didYouMean(name, categories), path)
		case col.Kind != Category:
			report(fmt.Sprintf("column %s is a %s; groups are the values of a category", name, col.Kind), "declare a category in the contract, such as age_band", path)
		case col.Open():
			report("column "+name+" doesn't list its values, and buckets of them are no groups", "declare a category with values in the contract", path)
		case slices.ContainsFunc(r.Groups, func(g Group) bool { return g.Name == name }):
			report("column "+name+" is listed twice", "remove one of them", path)
		default:
			r.Groups = append(r.Groups, Group{name, slices.Clone(col.Values), col.Nullable})
		}
	}
	if n := countGroups(r.Groups); n > maxGroups {
		report(fmt.Sprintf("the columns give %d groups, at most %d are possible", n, maxGroups), "leave out the column with the most values", "evaluate.groups")
	}
}

// checkGroups checks the groups of a job that was read from JSON.
func (r *Resolved) checkGroups(report report) {
	const at = "program.evaluate.groups"
	if len(r.Groups) == 0 {
		if r.MinGroup != 0 {
			report("min_count is for groups", "", "program.evaluate.min_count")
		}
		return
	}
	if r.Holdout.None() || !contains(r.Metrics, "auc") {
		report("groups are for jobs with a hold-out and the metric auc", "", at)
	}
	inRange(report, "program.evaluate.min_count", r.MinGroup, 1, maxMinCount)
	if n := countGroups(r.Groups); n > maxGroups {
		report(fmt.Sprintf("%d groups are more than %d", n, maxGroups), "", at)
		return
	}
	for i, g := range r.Groups {
		if slices.ContainsFunc(r.Groups[:i], func(h Group) bool { return h.Name == g.Name }) {
			report("column "+show(g.Name)+" appears twice", "", item(at, i))
		}
		if !columnText.MatchString(g.Name) {
			report(show(g.Name)+" is not a column name", "", child(item(at, i), "name"))
		}
		col := Column{Name: g.Name, Kind: Category, Values: g.Values, Other: OtherKeep}
		col.check(report, item(at, i))
	}
}

// groupsConform checks the groups against the contract's own columns.
func (r *Resolved) groupsConform(c *Contract) error {
	for _, g := range r.Groups {
		col, ok := c.Column(g.Name)
		if !ok || col.Kind != Category || col.Nullable != g.Nullable || !slices.Equal(col.Values, g.Values) {
			return fmt.Errorf("the job's groups by %s aren't the contract's values of that column", show(g.Name))
		}
	}
	return nil
}

// groupBins are a group's of predicted probability in a private job, for each label: optim.NoisedGroupBins.
const groupBins = 10

// groupEvaluateShare is the metrics' share of the RDP budget in percent where a private job evaluates by groups, at the training's cost:
// groups have fewer rows than all.
const groupEvaluateShare = 10

// histogramSegment is segment of a private evaluation: a 1 in the bin of a row's label and prediction, among all rows and in its
// group of each column.
func (r *Resolved) histogramSegment(scale, clip uint64) dp.Segment {
	return dp.Segment{Name: "histogram", Length: 2*histogramBins + 2*groupBins*countGroups(r.Groups), Clip: rootClip(1+len(r.Groups), scale*clip), Rounding: dp.TowardZero}
}

// groupNames lists the columns for people.
func (r *Resolved) groupNames() string {
	var names []string
	for _, g := range r.Groups {
		names = append(names, g.Name)
	}
	return strings.Join(names, ", ")
}
