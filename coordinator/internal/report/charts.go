// Package report writes what is known of a run as one HTML page that needs nothing else, and its curves as pictures.
package report

import (
	"os"
	"path/filepath"

	"tributary/coordinator/internal/chart"
	"tributary/coordinator/internal/evaluation"
	"tributary/models/metrics"
)

// Named is a chart with the name of its files.
type Named struct {
	Name  string
	Chart *chart.Chart
}

func unit() [2]float64 { return [2]float64{0, 1} }

// diagonal is where a curve says nothing, or everything agrees.
func diagonal() chart.Series {
	return chart.Series{Form: chart.Reference, Points: []chart.Point{{X: 0, Y: 0}, {X: 1, Y: 1}}}
}

func points(from []metrics.Point) (out []chart.Point) {
	for _, p := range from {
		out = append(out, chart.Point(p))
	}
	return out
}

// lossChart is the mean training loss at the coefficients that each round began with; nil without rounds that know one.
func lossChart(rounds []Round, unit string) *chart.Chart {
	name := map[bool]string{true: "log loss, nats", false: "loss, " + unit}[unit == nats]
	c := &chart.Chart{Title: "Training loss", X: "round", Y: name + " per training row", WholeX: true, Series: []chart.Series{{Form: chart.Dots}}}
	for _, r := range rounds {
		if r.Loss != nil {
			c.Series[0].Points = append(c.Series[0].Points, chart.Point{X: float64(r.Round), Y: *r.Loss})
		}
	}
	if c.Series[0].Points == nil {
		return nil
	}
	return c
}

// curves are the charts of an evaluation that its rows can give.
func curves(s *evaluation.Scores, e *evaluation.Evaluation) (out []Named) {
	if e == nil {
		return nil
	}
	h := s.Histogram()
	if roc := h.ROC(); roc != nil {
		out = append(out, Named{"roc", &chart.Chart{Title: "ROC curve", X: "false positive rate", Y: "true positive rate", XRange: unit(), YRange: unit(),
			Series: []chart.Series{diagonal(), {Points: points(roc)}}}})
	}
	if curve := h.PrecisionRecall(); curve != nil {
		positives, negatives := h.Totals()
		share := positives / (positives + negatives)
		out = append(out, Named{"precision-recall", &chart.Chart{Title: "Precision and recall", X: "recall", Y: "precision", XRange: unit(), YRange: unit(),
			Series: []chart.Series{{Form: chart.Reference, Points: []chart.Point{{X: 0, Y: share}, {X: 1, Y: share}}}, {Points: points(curve)}}}})
	}
	calibration := chart.Series{Form: chart.Dots}
	for _, b := range e.Calibration {
		if b.Predicted != nil {
			calibration.Points = append(calibration.Points, chart.Point{X: *b.Predicted, Y: *b.Observed})
		}
	}
	if calibration.Points != nil {
		out = append(out, Named{"calibration", &chart.Chart{Title: "Calibration", X: "mean predicted probability", Y: "share of positives", XRange: unit(), YRange: unit(),
			Series: []chart.Series{diagonal(), calibration}}})
	}
	if len(e.Lift) > 0 {
		gains, lift := chart.Series{Form: chart.Dots, Points: []chart.Point{{X: 0, Y: 0}}}, chart.Series{Form: chart.Bars, Width: 0.08}
		for _, r := range e.Lift {
			gains.Points = append(gains.Points, chart.Point{X: r.Share, Y: r.Gain})
			lift.Points = append(lift.Points, chart.Point{X: r.Share, Y: r.Lift})
		}
		out = append(out, Named{"gains", &chart.Chart{Title: "Cumulative gains", X: "share of rows, highest scores first", Y: "share of positives found", XRange: unit(), YRange: unit(),
			Series: []chart.Series{diagonal(), gains}}})
		out = append(out, Named{"lift", &chart.Chart{Title: "Lift", X: "share of rows, highest scores first", Y: "lift over rows at random",
			Series: []chart.Series{lift, {Form: chart.Reference, Points: []chart.Point{{X: 0.05, Y: 1}, {X: 1.05, Y: 1}}}}}})
	}
	return append(out, Named{"scores", scoresChart(h)})
}

// scoresChart is how each label's rows spread over predicted probabilities, in 32 parts or the histogram's own bins.
func scoresChart(h metrics.Histogram) *chart.Chart {
	const parts = 32
	n := min(parts, len(h.Positive))
	c := &chart.Chart{Title: "Scores by label", X: "predicted probability", Y: "share of the label's rows", XRange: unit()}
	for _, label := range []struct {
		name   string
		counts []float64
	}{{"positive", h.Positive}, {"negative", h.Negative}} {
		sums, total := make([]float64, n), 0.0
		for i, v := range label.counts {
			sums[i*n/len(label.counts)] += v
			total += v
		}
		line := chart.Series{Name: label.name}
		for k, v := range sums {
			if total > 0 {
				line.Points = append(line.Points, chart.Point{X: (float64(k) + 0.5) / float64(n), Y: v / total})
			}
		}
		c.Series = append(c.Series, line)
	}
	return c
}

// WriteCurves writes each chart as NAME.svg and NAME.png into a folder, which is made, and gives the files' names.
func (r *Report) WriteCurves(dir string) (files []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, c := range r.Charts {
		picture, err := c.Chart.PNG()
		if err != nil {
			return nil, err
		}
		for _, f := range []struct {
			extension string
			data      []byte
		}{{".svg", c.Chart.SVG()}, {".png", picture}} {
			name := filepath.Join(dir, c.Name+f.extension)
			if err := os.WriteFile(name, f.data, 0o644); err != nil {
				return nil, err
			}
			files = append(files, name)
		}
	}
	return files, nil
}
