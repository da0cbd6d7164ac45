package onnx

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// crossed adds a cross of which every nth cell is kept.
func crossed(r *rand.Rand, k kind, columns *[]map[string]any, name string, of []string, count, every int) {
	kept := []int{}
	for i := every - 1; i < count; i += every {
		kept = append(kept, i)
	}
	b := map[string]any{"count": count, "cross": of, "kept": kept, "coefficients": normal(r, len(kept)*max(k.classes, 1), 0.7)}
	if k.factors > 0 {
		b["factors"] = normal(r, len(kept)*k.factors, 0.3)
	}
	other := map[string]any{"name": name + "=other", "feature": name, "role": "other", "folded": false}
	if k.classes > 0 {
		other["coefficients"] = normal(r, k.classes, 0.7)
	} else {
		other["coefficient"] = 0.5
	}
	if k.factors > 0 {
		other["factor"] = normal(r, k.factors, 0.3)
	}
	*columns = append(*columns, map[string]any{"name": name + "#", "feature": name, "role": "buckets", "folded": false, "buckets": b}, other)
}

// A graph can't hash: what is hashed is refused by name, with what to do.
func TestHashedColumnsHaveNoGraph(t *testing.T) {
	document := string(drawn(rand.New(rand.NewPCG(6, 1)), kind{}))
	for edit, want := range map[[2]string]string{
		{`"cross":["device","country"],`, ``}:                                        `column "device*country" is hashed`,
		{`"count":210,"cross":["device"`, `"count":128,"cross":["device"`}:           `the 210 combinations of "device*country" are hashed into 128 buckets`,
		{`"cross":["device","country"]`, `"cross":["device","age"]`}:                 `"device*country" crosses "age"`,
		{`"cross":["country","v1"]`, `"cross":["country","nothing of these names"]`}: `crosses "nothing of these names"`,
	} {
		text := strings.Replace(document, edit[0], edit[1], 1)
		if text == document {
			t.Fatalf("no %s in the document", edit[0])
		}
		if _, err := Encode([]byte(text), Double); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "hint: ") {
			t.Errorf("%s: %v", want, err)
		}
	}
}
