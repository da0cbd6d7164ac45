package linear_test

import (
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// counted is a memory in the heap that counts how often something is given back.
type counted struct{ done int }

type countedArray struct{ data []byte }

func (c *counted) Array(int64) (dataset.Array, error) { return &countedArray{}, nil }
func (c *counted) Done([]byte)                        { c.done++ }

func (a *countedArray) Write(p []byte) (int, error) {
	a.data = append(a.data, p...)
	return len(p), nil
}

func (a *countedArray) Bytes() ([]byte, error) { return a.data, nil }

// A user's rows may lie anywhere, so all rows are given back now and then: that must not take a call for each run of them, or a pass
// over n rows takes n² calls, an afternoon of 10 million rows.
func TestPassOverUsersGivesRowsBackInCallsThatGrowWithTheRows(t *testing.T) {
	p := withUnit(t, privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 3), optim.UnitUser, 3)
	calls := func(rows int) int {
		table, memory := owned(synthetic(rows, 5)), &counted{}
		table.Memory = memory
		d, err := linear.Prepare(p, p.Initial(), table)
		if err != nil {
			t.Fatal(err)
		}
		before := memory.done
		units, err := d.SparseContributions(p.Initial(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for range units {
		}
		return memory.done - before
	}
	few, many := calls(12_000), calls(96_000)
	if few == 0 || many > 10*few {
		t.Errorf("%d calls for 12,000 rows, %d for 8 times as many", few, many)
	}
}
