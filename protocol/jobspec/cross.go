package jobspec

import (
	"fmt"
	"slices"
	"strings"
)

// Cross is the kind of a feature that combines others: each combination of their values is a value of its own.
const Cross Kind = "cross"

const (
	maxCrossed   = 3       // features of a cross
	crossBuckets = 1 << 14 // a cross of more combinations is hashed into so many, unless the spec says otherwise
)

// crossSpec reads an entry of features that is a cross.
func (d *document) crossSpec(v value, keys map[string]value, f *FeatureSpec) {
	for _, key := range []string{"columns", "transform", "date_parts", "missing", "clip"} {
		if other, ok := keys[key]; ok {
			d.at(other.path, other.at, "a cross has no "+key, "remove it; a cross counts each combination, with a missing value as one more")
		}
	}
	cross := keys["cross"]
	f.Cross = d.names(cross, "a cross needs features")
	if n := len(f.Cross); n > 0 && (n < 2 || n > maxCrossed) {
		d.at(cross.path, cross.at, fmt.Sprintf("a cross of %d features is not of 2 to %d", n, maxCrossed), "list them like cross: [country, device]; those of a date are called since.weekday, since.hour")
	}
	f.HashBuckets = crossBuckets
	if v, ok := keys["buckets"]; ok {
		if f.HashBuckets, ok = d.integer(v, minHashBuckets, maxHashBuckets); ok {
			checkBuckets(d.report, v.path, f.HashBuckets)
		}
	}
}

// crosses adds the spec's crosses behind the features that they are of.
func crosses(s *Spec, c *Contract, out []Feature, report report) []Feature {
	single, listed := len(out), map[string]bool{}
	for _, group := range s.Features {
		for _, name := range group.Columns {
			listed[name] = true
		}
	}
	for i, group := range s.Features {
		if group.Cross == nil {
			continue
		}
		at := child(item("features", i), "cross")
		f := Feature{Name: crossName(group.Cross), Kind: Cross, Of: slices.Clone(group.Cross), MinCount: group.MinCount}
		ok := true
		for j, name := range group.Cross {
			path := item(at, j)
			k := slices.IndexFunc(out[:single], func(f Feature) bool { return f.Name == name })
			var wrong, hint string
			switch {
			case slices.Contains(group.Cross[:j], name):
				wrong, hint = name+" is listed twice", "remove one of them"
			case k < 0:
				ok = false
				absent(name, c, out[:single], listed, path, report)
			default:
				wrong, hint = out[k].uncrossed()
			}
			if wrong != "" {
				report(wrong, hint, path)
				ok = false
			}
		}
		if !ok {
			continue
		}
		if first := slices.IndexFunc(out[single:], func(g Feature) bool { return sameColumns(g.Of, f.Of) }); first >= 0 {
			report("these features are crossed already, as "+out[single+first].Name, "remove one of the two", at)
			continue
		}
		f.HashBuckets = min(cells(out, f.Of), group.HashBuckets)
		out = append(out, f)
	}
	return out
}

// absent reports a crossed feature that there isn't, unless the problem of its column has been told.
func absent(name string, c *Contract, features []Feature, listed map[string]bool, path string, report report) {
	const why = ": a cross tells what its features don't tell apart"
	dated := func(column string) bool {
		return slices.ContainsFunc(features, func(f Feature) bool { return f.Date != nil && f.Date.Column == column })
	}
	at := max(strings.LastIndexByte(name, '.'), 0)
	date, part := name[:at], strings.TrimPrefix(name[at:], ".")
	col, ok := c.Column(date)
	switch isPart := ok && col.Kind == Date && slices.Contains(datePartNames(), part); {
	case isPart && dated(date):
		report("the date_parts of "+date+" have no "+part, "add "+part+" to them"+why, path)
	case isPart && !listed[date]:
		report("column "+date+" is crossed and not a feature by itself", "add {columns: ["+date+"], date_parts: ["+part+"]}"+why, path)
	case isPart:
	case ok && col.Kind == Date && part == transformDays:
		report("there is no feature "+name, "add {columns: ["+date+"], transform: days, buckets: {edges: [30, 365]}}"+why, path)
	case ok && col.Kind == Date:
		report(show(part)+" is no part of a date", "cross one of "+strings.Join(datePartNames(), ", "), path)
	case dated(name):
		report("column "+name+" is a date; a cross is of its parts", "write "+name+".weekday, "+name+".hour or another of its date_parts", path)
	case listed[name]:
	default:
		if col, known := usable(name, c, path, report); known {
			how := map[Kind]string{Category: "transform: one_hot", Number: "buckets: {edges: [18, 30, 45]}", Date: "date_parts: [weekday, hour]"}[col.Kind]
			report("column "+name+" is crossed and not a feature by itself", "add {columns: ["+name+"], "+how+"}"+why, path)
		}
	}
}

// uncrossed says why no cross can be of a feature; "" if one can.
func (f *Feature) uncrossed() (wrong, hint string) {
	switch {
	case f.Kind == Number && f.Date != nil:
		return f.Name + " is a number: it has no values to combine", "put it in buckets by transform: days and buckets: {edges: [365, 730]}"
	case f.Kind == Number:
		return f.Name + " is a number: it has no values to combine", "put it in buckets by buckets: {edges: [18, 30, 45]}, in place of its transform"
	case f.Kind == kindBuckets && (f.Buckets == nil || f.Buckets.Edges == nil):
		return f.Name + " is in buckets whose edges are fitted: combinations are counted in the same round, before there are any", "list edges, such as {edges: [18, 30, 45]}"
	case f.Kind != Category && f.Kind != kindBuckets && f.Kind != kindDatePart:
		return f.Name + " is a " + show(string(f.Kind)), "cross categories, numbers in buckets and parts of dates"
	}
	return "", ""
}

func sameColumns(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func crossName(of []string) string { return strings.Join(of, "*") }

// cells is how many combinations a cross has: of values, other ones where a contract lists them, and missing ones where they may be.
func cells(features []Feature, of []string) int64 {
	product := int64(1)
	for _, name := range of {
		for _, f := range features {
			if f.Name != name {
				continue
			}
			n := int64(f.codes())
			if f.Kind == Category && f.HashBuckets == 0 {
				n++
			}
			if f.Nullable {
				n++
			}
			product *= n
		}
	}
	return product
}

// checkCrosses checks the crosses of a job that was read from JSON against its features.
func (r *Resolved) checkCrosses(report report) {
	for i := range r.Features {
		f, path := &r.Features[i], item("program.features", i)
		if f.Kind != Cross {
			continue
		}
		if n := len(f.Of); n < 2 || n > maxCrossed || f.Name != crossName(f.Of) || f.Nullable || f.MissingIndicator || len(f.Values) > 0 {
			report(fmt.Sprintf("a cross is of 2 to %d features, has their names joined by *, and is never missing", maxCrossed), "", path)
			continue
		}
		for j, name := range f.Of {
			k := slices.IndexFunc(r.Features[:i], func(g Feature) bool { return g.Name == name })
			if k < 0 || slices.Contains(f.Of[:j], name) {
				report("crossed feature "+show(name)+" is not one before the cross, or listed twice", "", item(child(path, "of"), j))
				return
			}
			if wrong, _ := r.Features[k].uncrossed(); wrong != "" {
				report(wrong, "", item(child(path, "of"), j))
				return
			}
		}
		if n := cells(r.Features[:i], f.Of); f.HashBuckets != n || n > maxHashBuckets {
			if checkBuckets(report, child(path, "buckets"), f.HashBuckets); f.HashBuckets > n {
				report(fmt.Sprintf("%d buckets for %d combinations", f.HashBuckets, n), "", child(path, "buckets"))
			}
		}
		if r.Private == nil {
			inRange(report, child(path, "min_count"), f.MinCount, 1, maxMinCount)
		}
	}
}

// openText says what a job's features without listed values are, for an approval.
func (f *Feature) openText(features []Feature) string {
	var text string
	switch {
	case f.Kind == Category:
		text = fmt.Sprintf("one-hot over %d buckets of a public hash", f.HashBuckets)
	case f.HashBuckets == cells(features, f.Of):
		text = fmt.Sprintf("each combination by itself, in %d columns", f.HashBuckets)
	default:
		text = fmt.Sprintf("combinations, hashed into %d columns", f.HashBuckets)
	}
	if f.MinCount > 0 {
		text += fmt.Sprintf(", fewer than %d rows fold into other", f.MinCount)
	}
	return text
}

// guessable warns of what exact counts of buckets tell.
func (p *page) guessable(j *Resolved) {
	var names []string
	for _, f := range j.Features {
		if f.Kind == Category && f.HashBuckets > 0 {
			names = append(names, f.Name)
		}
	}
	if len(names) > 0 {
		p.line("The values of %s stay here and count by buckets of a public hash. Whoever guesses a value can compute its bucket and read that bucket's count, small ones too: no value should be secret by itself, such as a name or a number of a person.", strings.Join(names, ", "))
	}
}
