package onnx

import (
	"fmt"
	"slices"
)

// buckets are the encoded columns of an open category or a cross.
type buckets struct {
	Count        int64
	Cross        []string
	Kept         []int64
	Coefficients []float64 // of each as many as there are classes, one without
	Factors      []float64
}

// cross adds a cross of categories with listed values, numbers in buckets and parts of dates, of which every combination has a number:
// the place of its first value, times the second's places, plus the place of the second, and so on. There is no operator for the hash
// of anything else.
func (e *encoder) cross(f []encoded) error {
	b, name := f[0].Buckets, f[0].Feature
	if b.Cross == nil {
		return fmt.Errorf("%w: column %q is hashed, and there is no operator for the hash\nhint: score with the JSON model, by `tributary-participant score` or the Go package models/score", ErrUnsupported, name)
	}
	code, product := "", int64(1)
	for _, feature := range b.Cross {
		level, levels, listed := e.level(feature)
		if !listed {
			return fmt.Errorf("%w: %q crosses %q, which is hashed, and there is no operator for the hash\nhint: score with the JSON model, by `tributary-participant score` or the Go package models/score", ErrUnsupported, name, feature)
		}
		if code == "" {
			code = level
		} else {
			code = e.node("Add", []string{e.node("Mul", []string{code, e.stored(typeInt64, []float64{float64(levels)})}), level})
		}
		product *= levels
	}
	if product != b.Count {
		return fmt.Errorf("%w: the %d combinations of %q are hashed into %d buckets, and there is no operator for the hash\nhint: score with the JSON model, or train with buckets: %d or more", ErrUnsupported, product, name, b.Count, product)
	}
	n := len(b.Kept)
	if n == 0 { // all are other
		e.parts, e.kept = append(e.parts, e.node("Cast", []string{e.node("Equal", []string{code, code})}, integerAttribute("to", int64(e.real)))), append(e.kept, f[1])
		return nil
	}
	numbers := make([]float64, n)
	classes, factors := len(b.Coefficients)/n, len(b.Factors)/n
	for i, number := range b.Kept {
		numbers[i] = float64(number)
		w := b.Coefficients[i*classes : (i+1)*classes]
		e.kept = append(e.kept, encoded{Coefficient: w[0], Coefficients: w, Factor: b.Factors[i*factors : (i+1)*factors]})
	}
	hot := e.node("Cast", []string{e.node("Equal", []string{code, e.stored(typeInt64, numbers, 1, n)})}, integerAttribute("to", int64(e.real)))
	other := e.node("Sub", []string{e.scalar(1), e.node("MatMul", []string{hot, e.constant(ones(n), n, 1)})})
	e.parts, e.kept = append(e.parts, hot, other), append(e.kept, f[1])
	return nil
}

// nowhere is the place of what the model has none for, so that every combination with it counts as other: with places below 2^18 all
// three, its number is below 0, and above -2^63.
const nowhere = -1 << 26

// level is the place of a feature's value among those that it has; then comes other if a contract lists them, then missing if it may
// be. listed is false for an open category.
func (e *encoder) level(feature string) (level string, levels int64, listed bool) {
	i := slices.IndexFunc(e.features, func(f []encoded) bool { return f[0].Feature == feature })
	if i < 0 {
		return "", 0, false
	}
	f := e.features[i]
	if f[0].Role == "bucket" {
		return e.bucketLevel(f)
	}
	var keys []string
	var values []int64
	var last encoded
	for _, c := range f {
		switch c.Role {
		case "value":
			keys, values = append(keys, c.Value), append(values, int64(len(values)))
		case "other":
			last = c
		}
	}
	if len(keys) == 0 {
		return "", 0, false
	}
	levels = int64(len(keys))
	other := levels
	if last.Date != nil {
		other = nowhere
	} else {
		levels++
	}
	if last.Nullable {
		keys, values, levels = append(keys, ""), append(values, levels), levels+1
	}
	return e.node("LabelEncoder", []string{feature}, textsAttribute("keys_strings", keys), integersAttribute("values_int64s", values), integerAttribute("default_int64", other)), levels, true
}

// bucketLevel is level of a number in buckets: how many edges it reaches.
func (e *encoder) bucketLevel(f []encoded) (level string, levels int64, listed bool) {
	var edges []float64
	missing := int64(nowhere)
	for _, c := range f {
		switch c.Role {
		case "bucket":
			if levels++; c.Bucket.To != nil {
				edges = append(edges, *c.Bucket.To)
			}
		case "other":
			if c.Nullable {
				missing = levels
			}
		}
	}
	absent, x := e.clipped(f)
	reached := e.node("Cast", []string{e.node("GreaterOrEqual", []string{x, e.constant(edges, 1, len(edges))})}, integerAttribute("to", int64(e.real)))
	count := e.node("Cast", []string{e.node("MatMul", []string{reached, e.constant(ones(len(edges)), len(edges), 1)})}, integerAttribute("to", int64(typeInt64)))
	level = e.node("Where", []string{absent, e.stored(typeInt64, []float64{float64(missing)}), count})
	if missing >= 0 {
		levels++
	}
	return level, levels, true
}
