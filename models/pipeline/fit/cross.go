package fit

import (
	"tributary/models/dataset"
	"tributary/models/hashing"
	"tributary/models/pipeline"
)

// cross makes the column of a cross from those of the features before it, which fit the pipeline.
func cross(s *pipeline.Spec, feature int, m dataset.Memory, columns []*dataset.Column) (*dataset.Column, error) {
	f := &s.Features()[feature]
	of, levels := s.Crossed(feature)
	function := hashing.NewCross(f.Name, levels, f.HashBuckets)
	rows := len(columns[of[0]].Codes)
	codes := dataset.Build[int32](m, rows).Grow(rows)
	for from, run := range dataset.Runs(m, columns[of[0]].Codes) {
		for i := range run {
			codes.Append(function.Code(func(k int) int64 {
				return s.Features()[of[k]].Level(columns[of[k]].Codes[from+i])
			}))
		}
		for _, k := range of[1:] {
			columns[k].Done(m, from, from+len(run))
		}
	}
	out := &dataset.Column{Name: f.Name, Buckets: f.HashBuckets}
	var err error
	out.Codes, err = codes.Freeze()
	return out, err
}
