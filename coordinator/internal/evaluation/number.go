package evaluation

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Bin is a range of predictions of a label that is a number: its held-out rows, and their mean prediction and label, in its unit.
type Bin struct {
	Rows      int64   `json:"rows"`
	Predicted float64 `json:"predicted"`
	Label     float64 `json:"label"`
}

// Bins are those of a job's metrics JSON, by prediction; nil if it opens none.
func Bins(text string) []Bin {
	var told struct {
		Bins []Bin `json:"label_bins"`
	}
	if json.Unmarshal([]byte(text), &told) != nil {
		return nil
	}
	return told.Bins
}

// WriteBins prints them, if there are any.
func WriteBins(w io.Writer, bins []Bin) {
	if len(bins) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(BinHeader(), "\t"))
	for _, b := range bins {
		fmt.Fprintln(t, strings.Join(b.Cells(), "\t"))
	}
	t.Flush()
	fmt.Fprintln(w)
}

// BinHeader names the cells of a bin.
func BinHeader() []string { return []string{"ROWS", "MEAN PREDICTED", "MEAN LABEL"} }

// Cells are a bin's for a table.
func (b Bin) Cells() []string {
	return []string{fmt.Sprint(b.Rows), fmt.Sprintf("%.6g", b.Predicted), fmt.Sprintf("%.6g", b.Label)}
}
