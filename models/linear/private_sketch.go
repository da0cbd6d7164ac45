package linear

import "tributary/models/pipeline"

// A private program's SKETCH round counts rows by bin before any pipeline is fitted: its design has no columns but slots, one for each
// sketch, with the bin of the row's number.

// sketchDesign tells whether the design is for that round alone.
func (d *Design) sketchDesign() bool { return d.fitted == nil }

// sketched are the features with a sketch.
func (d *Design) sketched() (features []int) {
	spec := d.program.Pipeline()
	for i := range spec.Features() {
		if spec.SketchOf(i) != nil {
			features = append(features, i)
		}
	}
	return features
}

// sketchBlock is block of such a design.
func (e *encoder) sketchBlock() {
	spec := e.program.Pipeline()
	for slot, feature := range e.sketched() {
		c, k := e.columns[feature], spec.SketchOf(feature)
		for at, i := range e.kept {
			bin := none
			switch {
			case c.Codes != nil && c.Codes[i] >= 0: // of buckets: they are bins
				bin = c.Codes[i]
			case c.Codes == nil && c.Numbers[i] == c.Numbers[i]:
				bin = int32(k.Bin(c.Numbers[i]))
			}
			e.slots[slot*e.run+e.runs+at] = bin
		}
	}
}

// rowBins gives a row's 1s in the bins of its numbers and in their blocks: at most two for each sketch, so that their L2 norm is at most
// √(2·sketches).
func (d *Design) rowBins() rowLanes {
	scale := float64(d.program.Privacy().Scale)
	return func(i int, lanes []int, values []float64) ([]int, []float64) {
		for slot := range d.slots {
			bin := d.train.slots.run(i, i+1, slot)[0]
			if bin == none {
				continue
			}
			block, lane := pipeline.NoisedAt(int(bin))
			lanes, values = append(lanes, slot*pipeline.NoisedLanes+block, slot*pipeline.NoisedLanes+lane), append(values, scale, scale)
		}
		return lanes, values
	}
}
