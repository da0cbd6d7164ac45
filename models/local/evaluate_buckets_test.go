package local_test

import (
	"math"
	"slices"
	"testing"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/metrics"
	"tributary/models/optim"
)

// A participant measures a model over open categories on its own rows, too: two participants with the same rows find what the job did.
func TestOwnEvaluationOverBuckets(t *testing.T) {
	p, err := optim.ParseProgram([]byte(`{"version":1,"contributors":2,"bits":40,"max_rows":100000,
"features":[{"name":"age","kind":"number","min":0,"max":100,"nullable":false,"log1p":false,"standardize":true,"clip":64,"missing_indicator":false},
{"name":"country","kind":"category","buckets":64,"nullable":false,"missing_indicator":false,"min_count":5}],
"model":{"type":"logistic_regression","l2":1,"solver":"newton","max_rounds":5,"tolerance":1e-8},
"evaluate":{"holdout":true,"metrics":["auc","log_loss","accuracy"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	one := participants(nil)[0]
	one.Columns[1] = dataset.Column{Name: "country", Buckets: 64, Codes: slices.Clone(one.Columns[1].Codes)}
	for i := range one.Columns[1].Codes {
		one.Columns[1].Codes[i] += 61
	}
	s, _ := finish(t, p, [2]*dataset.Table{one, one})
	own, err := local.Evaluate(p, s, one)
	if err != nil {
		t.Fatal(err)
	}
	all, _ := s.Metrics()
	if math.Abs(own.Summary.LogLoss.V-all.LogLoss.V) > 1e-6 || own.Summary.AUC == (metrics.Value{}) || 2*own.Summary.HeldOut != all.HeldOut {
		t.Errorf("own %+v, the job's %+v", own.Summary, all)
	}
}
