package onnx

import "fmt"

// buckets are the encoded columns of an open category or a cross.
type buckets struct {
	Count        int64
	Cross        []string
	Kept         []int64
	Coefficients []float64 // of each as many as there are classes, one without
	Factors      []float64
}

// cross adds a cross of categories with listed values, of which every combination has a number: the place of its first value, times
// the second's places, plus the place of the second, and so on. There is no operator for the hash of anything else.
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

// level is the place of a category's value among those that it lists, then other, then missing if it may be. listed is false for
// an open category.
func (e *encoder) level(feature string) (level string, levels int64, listed bool) {
	var keys []string
	var values []int64
	nullable := false
	for _, f := range e.features {
		if f[0].Feature != feature {
			continue
		}
		for _, c := range f {
			switch c.Role {
			case "value":
				keys, values = append(keys, c.Value), append(values, int64(len(values)))
			case "other":
				nullable = c.Nullable
			}
		}
	}
	if len(keys) == 0 {
		return "", 0, false
	}
	other := int64(len(keys))
	levels = other + 1
	if nullable {
		keys, values, levels = append(keys, ""), append(values, levels), levels+1
	}
	return e.node("LabelEncoder", []string{feature}, textsAttribute("keys_strings", keys), integersAttribute("values_int64s", values), integerAttribute("default_int64", other)), levels, true
}
