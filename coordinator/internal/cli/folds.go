package cli

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"tributary/coordinator/internal/evaluation"
	"tributary/protocol/jobspec"
)

// average is a metric over the folds of one spec.
type average struct {
	Mean  float64  `json:"mean"`
	SD    *float64 `json:"sd"` // of one fold's, not of the mean; null with fewer than two
	Folds int      `json:"folds"`
}

// validated is a spec over its folds.
type validated struct {
	Jobs    []*compared        `json:"-"`
	Names   []string           `json:"jobs"`
	Metrics map[string]average `json:"metrics"`
}

// byFolds puts jobs together whose resolved specs differ in name and hold-out only.
func byFolds(jobs []*compared) (out []*validated) {
	for _, c := range jobs {
		at := slices.IndexFunc(out, func(v *validated) bool {
			return !slices.ContainsFunc(jobspec.Variations(v.Jobs[0].resolved, c.resolved), func(d jobspec.Variation) bool {
				return d.Path != "name" && !strings.HasPrefix(d.Path, "holdout.")
			})
		})
		if at < 0 {
			at, out = len(out), append(out, &validated{Metrics: map[string]average{}})
		}
		out[at].Jobs, out[at].Names = append(out[at].Jobs, c), append(out[at].Names, c.Name)
	}
	for _, v := range out {
		for _, m := range measures() {
			if a, ok := v.average(&m); ok && m.key != "" {
				v.Metrics[m.key] = a
			}
		}
	}
	return out
}

// average is a measure over the folds that know it.
func (v *validated) average(m *measure) (out average, ok bool) {
	var values []float64
	for _, c := range v.Jobs {
		if x := m.of(c); x != nil {
			values = append(values, *x)
			out.Mean += *x
		}
	}
	if out.Folds = len(values); out.Folds == 0 {
		return out, false
	}
	out.Mean /= float64(out.Folds)
	if out.Folds > 1 {
		square := 0.0
		for _, x := range values {
			square += (x - out.Mean) * (x - out.Mean)
		}
		sd := math.Sqrt(square / float64(out.Folds-1))
		out.SD = &sd
	}
	return out, true
}

// mean is the metric that specs are ranked by; nil if no fold knows it.
func (v *validated) mean(key string) *float64 {
	if a, ok := v.Metrics[key]; ok {
		return &a.Mean
	}
	return nil
}

// showFolds prints each spec's mean metrics over its folds, the best first if asked.
func (a *app) showFolds(jobs []*compared, by string) error {
	specs := byFolds(jobs)
	for _, m := range measures() {
		if m.key == by && by != "" {
			slices.SortStableFunc(specs, func(x, y *validated) int { return m.order(x.mean(by), y.mean(by)) })
		}
	}
	var firsts []*jobspec.Resolved
	for _, v := range specs {
		firsts = append(firsts, v.Jobs[0].resolved)
	}
	variations := slices.DeleteFunc(jobspec.Variations(firsts...), func(d jobspec.Variation) bool { return d.Path == "name" || strings.HasPrefix(d.Path, "holdout.") })
	document := map[string]any{"specs": specs, "differences": append([]jobspec.Variation{}, variations...)}
	if by != "" {
		document["ranked_by"] = by
	}
	return a.print(document, func(w io.Writer) {
		header := []string{"MEAN ± SD OF FOLDS"}
		for _, v := range specs {
			header = append(header, fmt.Sprintf("%s (%d)", v.Names[0], len(v.Names)))
		}
		var rows [][]string
		for _, m := range measures() {
			if m.key == "" {
				continue
			}
			row := []string{m.name}
			for _, v := range specs {
				row = append(row, v.shown(m.key))
			}
			rows = append(rows, row)
		}
		table(w, strings.Join(header, " | "), rows)
		if len(variations) == 0 {
			return
		}
		fmt.Fprintln(w)
		rows = nil
		for _, d := range variations {
			row := []string{d.Path}
			for _, value := range d.Values {
				row = append(row, orDash(value))
			}
			rows = append(rows, row)
		}
		header[0] = "SPEC"
		table(w, strings.Join(header, " | "), rows)
	})
}

func (v *validated) shown(key string) string {
	m, ok := v.Metrics[key]
	switch {
	case !ok:
		return "-"
	case m.SD == nil:
		return evaluation.Number(&m.Mean)
	}
	return fmt.Sprintf("%.6f ± %.6f", m.Mean, *m.SD)
}
