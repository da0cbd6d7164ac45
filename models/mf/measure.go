package mf

import (
	"fmt"
	"math"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/metrics"
	"tributary/models/optim"
)

// Measure gives the quality of a trained state's recommendations to one table's users, on their held-out pairs. It is of these few
// users alone, and must not leave the participant.
func Measure(p *optim.Program, s *optim.State, t *dataset.Table) (metrics.Summary, error) {
	if s.Kind() != optim.Done && s.Kind() != optim.Evaluate {
		return metrics.Summary{}, fmt.Errorf("%w: its training isn't over", linear.ErrState)
	}
	pairs, err := Prepare(p, t)
	if err != nil {
		return metrics.Summary{}, err
	}
	y, err := newItems(p, s)
	if err != nil {
		return metrics.Summary{}, err
	}
	x, err := y.all(pairs)
	if err != nil {
		return metrics.Summary{}, err
	}
	r := y.ranking(pairs, x)
	out := metrics.Summary{Rows: r.Rows, HeldOut: int64(pairs.held.count()), TopK: p.Model.Recommendation.TopK, Users: r.Users,
		Recall: metrics.Mean(r.Recall, r.Users), NDCG: metrics.Mean(r.NDCG, r.Users), MAP: metrics.Mean(r.AP, r.Users)}
	covered := int64(0)
	for _, n := range r.Recommended {
		covered += n
	}
	out.Coverage = metrics.Mean(float64(covered), int64(p.Items()))
	if y.explicit {
		if out.RMSE = metrics.Mean(r.SquaredError, r.HeldOut); out.RMSE.Known {
			out.RMSE.V = math.Sqrt(out.RMSE.V) * p.HalfRange()
		}
	}
	return out, nil
}
