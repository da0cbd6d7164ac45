package trial

import (
	"cmp"
	"context"
	"slices"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/protocol/jobspec"
)

// Quality is a model's area under the ROC curve over the test rows.
type Quality struct {
	AUC    float64 // exact, as nobody in the job could compute it
	Noised float64 // by the job's own noised histograms
}

// Run deals the rows by the seed, runs the job and judges its model.
func (d *Data) Run(ctx context.Context, r *jobspec.Resolved, seed uint64) (Quality, error) {
	tables, err := d.Deal(Participants, seed)
	if err != nil {
		return Quality{}, err
	}
	p, s, err := Train(ctx, r, tables)
	if err != nil {
		return Quality{}, err
	}
	all, err := d.Deal(1, 0)
	if err != nil {
		return Quality{}, err
	}
	scores, err := linear.Score(p, s, all[0])
	if err != nil {
		return Quality{}, err
	}
	m, _ := s.Metrics()
	return Quality{AUC: exactAUC(scores, all[0]), Noised: m.AUC.V}, nil
}

// exactAUC is the area under the ROC curve over the held-out rows, by ranks.
func exactAUC(scores []float64, t *dataset.Table) float64 {
	type scored struct {
		p float64
		y bool
	}
	var rows []scored
	for i, p := range scores {
		if t.HeldOut[i] {
			rows = append(rows, scored{p, t.Label[i]})
		}
	}
	slices.SortFunc(rows, func(a, b scored) int { return cmp.Compare(a.p, b.p) })
	ranks, positives := 0.0, 0.0
	for i := 0; i < len(rows); {
		j := i
		for j < len(rows) && rows[j].p == rows[i].p {
			j++
		}
		for k := i; k < j; k++ {
			if rows[k].y {
				ranks += float64(i+j+1) / 2
				positives++
			}
		}
		i = j
	}
	negatives := float64(len(rows)) - positives
	return (ranks - positives*(positives+1)/2) / (positives * negatives)
}
