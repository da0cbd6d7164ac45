package config

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"tributary/protocol/jobspec"
)

// tree walks the YAML by hand: nothing is decoded that wasn't asked for by name and type.
type tree struct {
	problems []jobspec.Problem
	broken   map[string]bool
}

// value is one node with its path and place.
type value struct {
	path      string
	node      ast.Node
	line, col int
}

func (t *tree) problem(v value, hint, format string, args ...any) {
	if t.broken[v.path] {
		return
	}
	t.broken[v.path] = true
	t.problems = append(t.problems, jobspec.Problem{Path: v.path, Line: max(v.line, 1), Column: max(v.col, 1), Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (t *tree) sorted() []jobspec.Problem {
	sort.SliceStable(t.problems, func(i, j int) bool {
		a, b := t.problems[i], t.problems[j]
		return a.Line < b.Line || a.Line == b.Line && a.Column < b.Column
	})
	return t.problems
}

// open reads one document.
func (t *tree) open(data []byte) (value, bool) {
	root := value{line: 1, col: 1}
	if !utf8.Valid(data) {
		t.problem(root, "save the file as UTF-8", "this is not UTF-8 text")
		return root, false
	}
	file, err := parse(strings.TrimPrefix(string(data), "\ufeff"))
	var at interface {
		GetToken() *token.Token
		GetMessage() string
	}
	switch {
	case errors.As(err, &at):
		t.problem(placed("", nil, at.GetToken()), "", "not YAML: %s", at.GetMessage())
		return root, false
	case err != nil:
		t.problem(root, "", "not YAML: %v", err)
		return root, false
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	if len(bodies) != 1 {
		t.problem(root, "start from the example in the README", "%d documents, want one", len(bodies))
		return root, false
	}
	return placed("", bodies[0], bodies[0].GetToken()), true
}

// parse turns the library's panics on some malformed texts into errors.
func parse(text string) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			file, err = nil, errors.New("the text can't be read")
		}
	}()
	tokens := lexer.Tokenize(text)
	for _, one := range tokens {
		switch one.Type {
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType, token.MappingKeyType, token.DirectiveType:
			return nil, fmt.Errorf("line %d: anchors, aliases, merge keys, tags and directives are not read: write the values out", one.Position.Line)
		}
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

func placed(path string, n ast.Node, at *token.Token) value {
	v := value{path: path, node: n}
	if at != nil && at.Position != nil {
		v.line, v.col = at.Position.Line, at.Position.Column
	}
	return v
}

// fields reads a mapping; its keys must be among known unless there are none known.
func (t *tree) fields(v value, known ...string) (keys []string, byKey map[string]value) {
	byKey = map[string]value{}
	var entries []*ast.MappingValueNode
	switch n := v.node.(type) {
	case *ast.MappingNode:
		entries = n.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{n}
	default:
		t.problem(v, "", "expected keys with values")
		return nil, byKey
	}
	for _, e := range entries {
		key, ok := scalar(e.Key)
		at := placed(child(v.path, key), e.Value, e.Key.GetToken())
		_, twice := byKey[key]
		switch {
		case !ok:
			t.problem(at, "write keys as words", "this key is not plain text")
		case len(known) > 0 && !slices.Contains(known, key):
			t.problem(at, "the keys here are "+strings.Join(known, ", "), "unknown key %q", key)
		case twice:
			t.broken[at.path] = false
			t.problem(at, "remove one of them", "key %q appears twice", key)
		default:
			keys, byKey[key] = append(keys, key), at
		}
	}
	return keys, byKey
}

func (t *tree) items(v value) []value {
	n, ok := v.node.(*ast.SequenceNode)
	if !ok {
		t.problem(v, "write [a, b]", "expected a list")
		return nil
	}
	var out []value
	for i, node := range n.Values {
		out = append(out, placed(v.path+"["+strconv.Itoa(i)+"]", node, node.GetToken()))
	}
	return out
}

// text reads a scalar as its letters, whatever it looks like.
func (t *tree) text(v value) string {
	s, ok := scalar(v.node)
	if !ok {
		t.problem(v, "", "expected a text")
	}
	return s
}

func (t *tree) filled(v value) string {
	s := t.text(v)
	if s == "" {
		t.problem(v, "", "the text is empty")
	}
	return s
}

func (t *tree) texts(v value) []string {
	out := []string{}
	for _, e := range t.items(v) {
		out = append(out, t.text(e))
	}
	return out
}

func (t *tree) choices(v value, of ...string) []string {
	out := []string{}
	for _, e := range t.items(v) {
		s := t.text(e)
		if !slices.Contains(of, s) {
			t.problem(e, "", "%q is not one of %s", s, strings.Join(of, ", "))
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		t.problem(v, "write ["+of[0]+"]", "the list is empty: no job could be approved")
	}
	return out
}

func (t *tree) integer(v value, low, high int64) int64 {
	s, ok := scalar(v.node)
	n, err := strconv.ParseInt(s, 10, 64)
	_, plain := v.node.(*ast.IntegerNode)
	switch {
	case !ok || !plain || err != nil || strconv.FormatInt(n, 10) != s:
		t.problem(v, "write a plain decimal number", "expected a whole number")
	case n < low || n > high:
		t.problem(v, "", "%d is not within %d to %d", n, low, high)
	}
	return n
}

func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		if n.Value != nil {
			return n.Value.Value, true
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		if at := n.GetToken(); at != nil {
			return at.Value, true
		}
	}
	return "", false
}

func child(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
