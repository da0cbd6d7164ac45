package fit

import (
	"tributary/models/dataset"
	"tributary/models/hashing"
	"tributary/models/pipeline"
)

// cross makes the column of a cross from those of the features before it, which fit the pipeline.
func cross(s *pipeline.Spec, feature int, columns []*dataset.Column) *dataset.Column {
	f := &s.Features()[feature]
	of, levels := s.Crossed(feature)
	function := hashing.NewCross(f.Name, levels, f.HashBuckets)
	out := &dataset.Column{Name: f.Name, Buckets: f.HashBuckets, Codes: make([]int32, len(columns[of[0]].Codes))}
	for row := range out.Codes {
		out.Codes[row] = function.Code(func(k int) int64 {
			return s.Features()[of[k]].Level(columns[of[k]].Codes[row])
		})
	}
	return out
}
