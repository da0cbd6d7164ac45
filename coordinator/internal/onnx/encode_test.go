package onnx

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields reads one message: its length-delimited fields by number, in order.
func fields(t *testing.T, b []byte) map[protowire.Number][][]byte {
	t.Helper()
	out := map[protowire.Number][][]byte{}
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		if kind == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(b)
			out[field] = append(out[field], v)
		}
		if n = protowire.ConsumeFieldValue(field, kind, b); n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
	}
	return out
}

// The graph is well-formed, is the same bytes each time, has an input for each column of a record, and each value is made once,
// before it is used. That the values are right is TestRuntimeGivesTheSameScores.
func TestGraphIsInOrder(t *testing.T) {
	for _, kind := range []kind{{unitNorm: true}, {factors: 3}, {classes: 3}, {offset: true}, {number: true}, {factors: 2, number: true}} {
		document := drawn(rand.New(rand.NewPCG(5, 1)), kind)
		model, err := Encode(document, Double)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Encode(document, Double)
		if err != nil || !slices.Equal(model, again) {
			t.Errorf("encoded anew it differs: %v", err)
		}
		graph := fields(t, fields(t, model)[7][0])
		known, inputs := map[string]bool{}, []string{}
		for _, in := range graph[11] {
			inputs = append(inputs, string(fields(t, in)[1][0]))
			known[inputs[len(inputs)-1]] = true
		}
		want := "age basket share visits constant income debt v2 since.days since.month country v1 device straße"
		if kind.offset {
			want += " prior"
		}
		if got := strings.Join(inputs, " "); got != want {
			t.Errorf("inputs %s", got)
		}
		for _, c := range graph[5] {
			name := string(fields(t, c)[8][0])
			if known[name] {
				t.Errorf("%s twice", name)
			}
			known[name] = true
		}
		for _, n := range graph[1] {
			node := fields(t, n)
			for _, in := range node[1] {
				if !known[string(in)] {
					t.Errorf("%s uses %s, which isn't there", node[4][0], in)
				}
			}
			if out := string(node[2][0]); known[out] {
				t.Errorf("%s twice", out)
			} else {
				known[out] = true
			}
		}
		for _, out := range graph[12] {
			if name := string(fields(t, out)[1][0]); !known[name] {
				t.Errorf("no output %s", name)
			}
		}
	}
}

func TestModelsWithoutAGraphAreRefused(t *testing.T) {
	document, classes := string(drawn(rand.New(rand.NewPCG(6, 1)), kind{})), string(drawn(rand.New(rand.NewPCG(6, 1)), kind{classes: 2}))
	for _, text := range []string{strings.Replace(document, "logistic_regression", "poisson", 1), strings.ReplaceAll(document, `"age"`, `"logit"`), strings.ReplaceAll(classes, `"age"`, `"label"`),
		strings.ReplaceAll(string(drawn(rand.New(rand.NewPCG(6, 1)), kind{number: true})), `"age"`, `"prediction"`)} {
		if _, err := Encode([]byte(text), Double); !errors.Is(err, ErrUnsupported) {
			t.Error(err)
		}
	}
	if _, err := Encode([]byte("{"), Double); err == nil {
		t.Error("half a document has a graph")
	}
}
