package report

import (
	"encoding/json"

	"tributary/coordinator/internal/chart"
	"tributary/coordinator/internal/evaluation"
)

const nats = "nats"

// lossUnit is that of a job's losses, by its metrics JSON.
func lossUnit(text string) string {
	var told struct {
		Number bool `json:"number"`
	}
	if json.Unmarshal([]byte(text), &told) == nil && told.Number {
		return "half its squared deviations"
	}
	return nats
}

// binsChart compares predicted numbers with the rows' labels; nil without bins.
func binsChart(bins []evaluation.Bin) *chart.Chart {
	if len(bins) == 0 {
		return nil
	}
	dots, low, high := chart.Series{Form: chart.Dots}, bins[0].Predicted, bins[0].Predicted
	for _, b := range bins {
		dots.Points = append(dots.Points, chart.Point{X: b.Predicted, Y: b.Label})
		low, high = min(low, b.Predicted), max(high, b.Predicted)
	}
	agree := chart.Series{Form: chart.Reference, Points: []chart.Point{{X: low, Y: low}, {X: high, Y: high}}}
	return &chart.Chart{Title: "Predicted and actual", X: "mean prediction of the bin's rows", Y: "mean label", Series: []chart.Series{agree, dots}}
}
