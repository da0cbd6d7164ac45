package jobspec

import (
	"fmt"
	"slices"
	"strconv"
)

// Difference says for a person how the job's contract differs from the one at
// hand, one sentence each. It is empty exactly if the two are equal.
func Difference(job, yours *Contract) []string {
	var out []string
	say := func(subject, what, a, b string) {
		if a != b {
			out = append(out, fmt.Sprintf("%s: the job's contract says %s %s, yours says %s", subject, what, a, b))
		}
	}
	say("contract", "name", job.Name, yours.Name)
	say("contract", "revision", strconv.FormatInt(job.Revision, 10), strconv.FormatInt(yours.Revision, 10))
	say("contract", "key", job.Key, yours.Key)
	say("contract", "max_rows", strconv.FormatInt(job.MaxRows, 10), strconv.FormatInt(yours.MaxRows, 10))
	say("label", "column", job.Label.Column, yours.Label.Column)
	say("label", "positive", show(job.Label.Positive), show(yours.Label.Positive))
	say("label", "negative", show(job.Label.Negative), show(yours.Label.Negative))
	if a, b := job.Label.Classes, yours.Label.Classes; !slices.Equal(a, b) {
		out = append(out, fmt.Sprintf("label: the job's contract lists the classes %q, yours %q", a, b))
	}
	if a, b := job.Label.NumberLabel, yours.Label.NumberLabel; a != nil || b != nil {
		a, b := or0(a), or0(b)
		say("label", "type", show(string(a.Type)), show(string(b.Type)))
		say("label", "min", decimalOf(a.Min), decimalOf(b.Min))
		say("label", "max", decimalOf(a.Max), decimalOf(b.Max))
		say("label", "outside", show(a.Outside), show(b.Outside))
	}
	for _, a := range job.Columns {
		b, ok := yours.Column(a.Name)
		if !ok {
			out = append(out, fmt.Sprintf("column %s: the job's contract has it, yours does not", a.Name))
			continue
		}
		out = append(out, columnDifference(a, *b)...)
	}
	for _, b := range yours.Columns {
		if _, ok := job.Column(b.Name); !ok {
			out = append(out, fmt.Sprintf("column %s: your contract has it, the job's does not", b.Name))
		}
	}
	return out
}

func columnDifference(a, b Column) []string {
	var out []string
	say := func(what, x, y string) {
		if x != y {
			out = append(out, fmt.Sprintf("column %s: the job's contract says %s %s, yours says %s", a.Name, what, x, y))
		}
	}
	say("type", string(a.Kind), string(b.Kind))
	if a.Kind != b.Kind {
		return out
	}
	if a.Kind == Date {
		say("min", a.First, b.First)
		say("max", a.Last, b.Last)
	} else {
		say("min", decimalOf(a.Min), decimalOf(b.Min))
		say("max", decimalOf(a.Max), decimalOf(b.Max))
	}
	say("outside", a.Outside, b.Outside)
	say("nullable", strconv.FormatBool(a.Nullable), strconv.FormatBool(b.Nullable))
	say("other", a.Other, b.Other)
	say("buckets", strconv.FormatInt(a.Buckets, 10), strconv.FormatInt(b.Buckets, 10))
	only := len(out)
	for _, v := range missingFrom(b.Values, a.Values) {
		out = append(out, fmt.Sprintf("column %s: the job's contract lists the value %s, yours does not", a.Name, show(v)))
	}
	for _, v := range missingFrom(a.Values, b.Values) {
		out = append(out, fmt.Sprintf("column %s: your contract lists the value %s, the job's does not", a.Name, show(v)))
	}
	if len(out) == only && !slices.Equal(a.Values, b.Values) {
		out = append(out, fmt.Sprintf("column %s: the two contracts list the values in different order", a.Name))
	}
	return out
}

// missingFrom returns the values that list lacks.
func missingFrom(list, values []string) (out []string) {
	has := make(map[string]bool, len(list))
	for _, v := range list {
		has[v] = true
	}
	for _, v := range values {
		if !has[v] {
			out = append(out, v)
		}
	}
	return out
}

func decimalOf(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
