package metrics

import "math"

// LiftParts is the number of parts of a lift table: deciles.
const LiftParts = 10

// LiftRow is what is found among the rows with the highest scores.
type LiftRow struct {
	Share float64 // of all rows, above 0 and at most 1
	Rows  float64
	Gain  float64 // share of all positives among them
	Lift  float64 // Gain/Share: how many times as many as among rows at random
}

// Lift is the table of cumulative gains and lift by tenths of the rows, highest scores first. Of a bin that a cut goes through,
// both labels count in proportion. It is empty without positives.
func (h Histogram) Lift() []LiftRow {
	positives, negatives := h.Totals()
	if !(positives > 0) {
		return nil
	}
	var out []LiftRow
	bin := len(h.Positive)
	var rows, hits float64 // in the bins from this one up
	for k := 1; k <= LiftParts; k++ {
		share := float64(k) / LiftParts
		want := float64(share * (positives + negatives))
		for bin > 0 && rows < want {
			bin--
			rows += h.Positive[bin] + h.Negative[bin]
			hits += h.Positive[bin]
		}
		found := hits
		if rows > want {
			found -= float64(h.Positive[bin] * ((rows - want) / (h.Positive[bin] + h.Negative[bin])))
		}
		out = append(out, LiftRow{share, want, found / positives, found / positives / share})
	}
	return out
}

// Confusion counts rows by label and by whether their score reaches a threshold.
type Confusion struct {
	Threshold                   float64 // the edge between bins that was taken
	TruePositive, FalsePositive float64 // rows at or above it
	FalseNegative, TrueNegative float64 // rows below it
}

// Confusion takes the rows from a threshold up for positives. A threshold within a bin is raised to the bin's end.
func (h Histogram) Confusion(threshold float64) Confusion {
	bins := float64(len(h.Positive))
	first := min(max(int(-math.Floor(-float64(threshold*bins))), 0), len(h.Positive))
	out := Confusion{Threshold: float64(first) / bins}
	for i := range h.Positive {
		if i >= first {
			out.TruePositive += h.Positive[i]
			out.FalsePositive += h.Negative[i]
		} else {
			out.FalseNegative += h.Positive[i]
			out.TrueNegative += h.Negative[i]
		}
	}
	return out
}

// Precision is the share of positives among the rows taken for them.
func (c Confusion) Precision() Value { return share(c.TruePositive, c.TruePositive+c.FalsePositive) }

// Recall is the share of positives that are taken for such: the true positive rate.
func (c Confusion) Recall() Value { return share(c.TruePositive, c.TruePositive+c.FalseNegative) }

// Specificity is the share of negatives that aren't taken for positives.
func (c Confusion) Specificity() Value { return share(c.TrueNegative, c.TrueNegative+c.FalsePositive) }

// Selected is the share of rows taken for positives.
func (c Confusion) Selected() Value { return share(c.TruePositive+c.FalsePositive, c.rows()) }

// Accuracy is the share of rows taken for what they are.
func (c Confusion) Accuracy() Value { return share(c.TruePositive+c.TrueNegative, c.rows()) }

// F1 is the harmonic mean of precision and recall.
func (c Confusion) F1() Value {
	return share(float64(2*c.TruePositive), float64(2*c.TruePositive)+c.FalsePositive+c.FalseNegative)
}

func (c Confusion) rows() float64 {
	return c.TruePositive + c.FalsePositive + c.FalseNegative + c.TrueNegative
}

// Spread is the largest difference between known values; it is absent if there are fewer than two.
func Spread(values []Value) Value {
	low, high, n := math.Inf(1), math.Inf(-1), 0
	for _, v := range values {
		if v.Known {
			low, high, n = min(low, v.V), max(high, v.V), n+1
		}
	}
	if n < 2 {
		return Value{}
	}
	return Value{true, high - low}
}

func share(part, whole float64) Value {
	if !(whole > 0) {
		return Value{}
	}
	return Value{true, part / whole}
}
