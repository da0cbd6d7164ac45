package onnx

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"tributary/models/pipeline"
	"tributary/models/score"
)

// derived adds a clamped number, buckets (some folded, one without any left), and parts of a date.
func derived(add func(feature, role, suffix string, folded bool, more map[string]any)) {
	clamped := map[string]any{"min": 0.0, "max": 1e6, "mean": 9.2, "sd": 1.1, "clip": 64, "log1p": true, "standardize": true, "lowest": 512.0, "highest": 77824.0}
	add("income", "number", "", false, map[string]any{"number": clamped})
	buckets := func(name string, missing string, lo, hi float64, edges ...float64) {
		for i := range len(edges) + 1 {
			b := map[string]any{}
			if i > 0 {
				b["from"] = edges[i-1]
			}
			if i < len(edges) {
				b["to"] = edges[i]
			}
			add(name, "bucket", fmt.Sprintf(":q%d", i+1), i == 2 || name == "v2", map[string]any{"bucket": b})
		}
		add(name, "other", "=other", false, map[string]any{"range": map[string]any{"min": lo, "max": hi}})
		if missing != "" {
			add(name, "missing", ":missing", missing == "folded", nil)
		}
	}
	buckets("debt", "own", -1000, 1000, -500, 0, 0, 31.5, 999)
	buckets("v2", "folded", 0, 1, 0.5)
	date := map[string]any{"column": "since", "part": "days", "first": "2015-03-01", "last": "2020-12-31"}
	add("since.days", "number", "", false, map[string]any{"date": date, "number": map[string]any{"min": 0.0, "max": 2132, "mean": 1000, "sd": 500, "clip": 64, "log1p": false, "standardize": true}})
	for m := range 12 {
		add("since.month", "value", fmt.Sprintf("=%d", m+1), m == 4, map[string]any{"value": strconv.Itoa(m + 1)})
	}
	month := map[string]any{"column": "since", "part": "month", "first": "2015-03-01", "last": "2020-12-31"}
	add("since.month", "other", "=other", false, map[string]any{"date": month})
	add("since.month", "missing", ":missing", false, nil)
}

// drawnDate is a record's date; the graph takes what is made of it.
func drawnDate(r *rand.Rand, columns map[string][]any) score.Value {
	if r.IntN(10) == 0 {
		columns["since.days"], columns["since.month"] = append(columns["since.days"], nil), append(columns["since.month"], "")
		return score.Value{}
	}
	d := pipeline.Date{Column: "since", Part: pipeline.Month, First: "2015-03-01", Last: "2020-12-31"}
	lo, hi := d.Range()
	at := lo + math.Floor(r.Float64()*(hi-lo))
	columns["since.days"] = append(columns["since.days"], d.Number(at))
	columns["since.month"] = append(columns["since.month"], strconv.Itoa(int(d.Code(at))+1))
	return score.Text(strings.Replace(time.Unix(int64(at), 0).UTC().Format(time.RFC3339), "Z", "+00:00", 1))
}
