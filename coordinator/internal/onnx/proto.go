package onnx

import (
	"encoding/binary"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Versions of the format: onnx.proto of ONNX 1.12.
const (
	irVersion = 8
	opset     = 17
	mlOpset   = 2
	mlDomain  = "ai.onnx.ml"
)

// dataType is a TensorProto.DataType.
type dataType int64

const (
	typeFloat  dataType = 1
	typeInt64  dataType = 7
	typeString dataType = 8
	typeDouble dataType = 11
)

// message is an encoded protobuf message that grows field by field.
type message []byte

func (m *message) integer(field protowire.Number, v int64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
}

func (m *message) bytes(field protowire.Number, b []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), b)
}

func (m *message) text(field protowire.Number, s string) { m.bytes(field, []byte(s)) }

// tensor is a TensorProto of little-endian raw data.
func tensor(name string, t dataType, values []float64, dims ...int) message {
	var m message
	for _, d := range dims {
		m.integer(1, int64(d))
	}
	m.integer(2, int64(t))
	m.text(8, name)
	raw := make([]byte, 0, 8*len(values))
	for _, v := range values {
		switch t {
		case typeFloat:
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(v)))
		case typeInt64:
			raw = binary.LittleEndian.AppendUint64(raw, uint64(int64(v)))
		default:
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
		}
	}
	m.bytes(9, raw)
	return m
}

// columns is a ValueInfoProto of shape [N, width].
func columns(name string, t dataType, width int) message {
	var rows, across, shape, kind, typed, m message
	rows.text(2, "N")
	across.integer(1, int64(width))
	shape.bytes(1, rows)
	shape.bytes(1, across)
	kind.integer(1, int64(t))
	kind.bytes(2, shape)
	typed.bytes(1, kind)
	m.text(1, name)
	m.bytes(2, typed)
	return m
}

// attribute is an AttributeProto; the field that has its value depends on the type.
func attribute(name string, kind int64, value func(*message)) message {
	var m message
	m.text(1, name)
	value(&m)
	m.integer(20, kind)
	return m
}

func integerAttribute(name string, v int64) message {
	return attribute(name, 2, func(m *message) { m.integer(3, v) })
}

func integersAttribute(name string, list []int64) message {
	return attribute(name, 7, func(m *message) {
		for _, v := range list {
			m.integer(8, v)
		}
	})
}

func textsAttribute(name string, list []string) message {
	return attribute(name, 8, func(m *message) {
		for _, s := range list {
			m.text(9, s)
		}
	})
}

// graph is a GraphProto under construction.
type graph struct {
	real                                 dataType        // of numbers: typeDouble or typeFloat
	taken                                map[string]bool // names of inputs and outputs
	nodes, initializers, inputs, outputs message
	last                                 int
}

// name gives a value a name that no column has.
func (g *graph) name() string {
	for {
		g.last++
		if name := "v" + strconv.Itoa(g.last); !g.taken[name] {
			return name
		}
	}
}

func (g *graph) input(name string, t dataType) { g.inputs.bytes(11, columns(name, t, 1)) }

func (g *graph) output(name string, t dataType, width int) {
	g.outputs.bytes(12, columns(name, t, width))
}

// constant is an initializer of numbers.
func (g *graph) constant(values []float64, dims ...int) string {
	return g.stored(g.real, values, dims...)
}

func (g *graph) scalar(v float64) string { return g.constant([]float64{v}) }

func (g *graph) stored(t dataType, values []float64, dims ...int) string {
	name := g.name()
	g.initializers.bytes(5, tensor(name, t, values, dims...))
	return name
}

// node adds a node with one output and gives the output's name.
func (g *graph) node(op string, inputs []string, attributes ...message) string {
	name := g.name()
	g.nodeTo(name, op, inputs, attributes...)
	return name
}

func (g *graph) nodeTo(output, op string, inputs []string, attributes ...message) {
	var m message
	for _, in := range inputs {
		m.text(1, in)
	}
	m.text(2, output)
	m.text(4, op)
	for _, a := range attributes {
		m.bytes(5, a)
	}
	if op == "LabelEncoder" {
		m.text(7, mlDomain)
	}
	g.nodes.bytes(1, m)
}

// model is the ModelProto of a finished graph.
func (g *graph) model(name, doc string) []byte {
	var body message
	body = append(body, g.nodes...)
	body.text(2, name)
	body = append(body, g.initializers...)
	body = append(body, g.inputs...)
	body = append(body, g.outputs...)
	var m message
	m.integer(1, irVersion)
	m.text(2, "tributary")
	m.text(6, doc)
	m.bytes(7, body)
	for _, set := range []struct {
		domain  string
		version int64
	}{{"", opset}, {mlDomain, mlOpset}} {
		var o message
		o.text(1, set.domain)
		o.integer(2, set.version)
		m.bytes(8, o)
	}
	return m
}
