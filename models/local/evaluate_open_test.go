package local_test

import (
	"strings"
	"testing"

	"tributary/models/local"
)

// A model of open categories and their crosses is evaluated on the own rows as any other is.
func TestOwnEvaluationOfHashedCategories(t *testing.T) {
	p := parse(t, strings.Replace(evaluated, `"values":["DE","FR"]`, `"buckets":4`, 1))
	tables := participants(nil)
	for _, table := range tables {
		table.Columns[1].Values, table.Columns[1].Buckets = nil, 4
	}
	s, report := finish(t, p, tables)
	held := int64(0)
	for _, table := range tables {
		own, err := local.Evaluate(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		held += own.Summary.HeldOut
	}
	if held != report.Metrics.HeldOut {
		t.Errorf("%d held-out rows, the job has %d", held, report.Metrics.HeldOut)
	}
}
