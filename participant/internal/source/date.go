package source

import (
	"fmt"

	"tributary/models/pipeline"
	"tributary/protocol/jobspec"
)

// date reads a cell of a column of dates as Unix seconds, within the contract's dates.
func (f *field) date(cell string) (float64, *wrong) {
	at, err := pipeline.ParseTime(cell)
	if err != nil {
		return 0, &wrong{fmt.Sprintf("%v, found %s", err, show(cell)), "correct it in the source, or list it under missing if it stands for a missing value"}
	}
	if low, high := f.column.Min, f.column.Max; at < low || at > high {
		if f.column.Outside == jobspec.OutsideReject {
			return 0, &wrong{fmt.Sprintf("%s is outside the contract's dates from %s to %s", show(cell), f.column.First, f.column.Last),
				"the contract rejects such rows (outside: reject); correct the date or leave the row out with where"}
		}
		at = min(max(at, low), high)
	}
	return at, nil
}
