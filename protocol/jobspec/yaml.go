package jobspec

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxYAMLBytes = 1 << 20 // of a spec or a contract
	maxNesting   = 16      // brackets, and dashes or colons in a row; a spec needs 3
)

// document walks a YAML tree by hand: nothing is decoded that wasn't asked for
// by name and type.
type document struct{ *findings }

// value is one node of the tree and its path.
type value struct {
	path string
	node ast.Node // nil: an empty value
	at   place
}

// open parses one YAML document. Its top value has an empty path.
func open(data []byte) (*document, value, bool) {
	d := &document{newFindings(nil)}
	data = []byte(strings.TrimPrefix(string(data), "\ufeff"))
	root := value{at: place{1, 1}}
	if len(data) > maxYAMLBytes {
		d.at("", root.at, fmt.Sprintf("the document has %d bytes, at most %d are read", len(data), maxYAMLBytes), "")
		return d, root, false
	}
	if !utf8.Valid(data) {
		d.at("", invalidAt(data), "this is not UTF-8 text", "save the file as UTF-8")
		return d, root, false
	}
	file, err := parse(data)
	var at interface {
		GetToken() *token.Token
		GetMessage() string
	}
	switch {
	case errors.As(err, &at):
		d.at("", tokenPlace(at.GetToken()), "not YAML: "+at.GetMessage(), "")
		return d, root, false
	case err != nil:
		d.at("", root.at, "not YAML: "+err.Error(), "")
		return d, root, false
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		d.at("", root.at, "the document is empty", "start from the example in the documentation")
		return d, root, false
	case 1:
		root.node, root.at = bodies[0], nodePlace(bodies[0], root.at)
		d.places[""] = root.at
		return d, root, true
	}
	d.at("", nodePlace(bodies[1], root.at), "a second document starts here", "keep one document in a file, without `---` between parts")
	return d, root, false
}

// refusal is an error of ours at a token.
type refusal struct {
	at      *token.Token
	message string
}

func (r *refusal) Error() string          { return r.message }
func (r *refusal) GetToken() *token.Token { return r.at }
func (r *refusal) GetMessage() string     { return r.message }

// parse calls the YAML parser. It stops what would recurse too deeply in it, and
// turns its panics on some malformed texts into errors.
func parse(data []byte) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			file, err = nil, errors.New("the text can't be read")
		}
	}()
	tokens := lexer.Tokenize(string(data))
	brackets, marks, line := 0, 0, 0
	for _, t := range tokens {
		if brackets == 0 && t.Position != nil && t.Position.Line != line {
			line, marks = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			brackets, marks = brackets+1, 0
		case token.MappingEndType, token.SequenceEndType:
			brackets, marks = brackets-1, 0
		case token.CollectEntryType:
			marks = 0
		case token.SequenceEntryType, token.MappingValueType:
			marks++
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType, token.MappingKeyType, token.DirectiveType:
			return nil, &refusal{t, "anchors, aliases, merge keys, tags, directives and `?` are not read: write the values out"}
		}
		if brackets > maxNesting || marks > maxNesting {
			return nil, &refusal{t, fmt.Sprintf("more than %d levels of nesting", maxNesting)}
		}
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// fields reads a mapping whose keys must be among known, if there are any known.
// Keys come back in the order of the text, without duplicates.
func (d *document) fields(v value, known ...string) (keys []string, byKey map[string]value, ok bool) {
	var entries []*ast.MappingValueNode
	switch n := v.node.(type) {
	case *ast.MappingNode:
		entries = n.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{n}
	default:
		d.wrongType(v, "keys with values", "")
		return nil, nil, false
	}
	byKey = make(map[string]value, len(entries))
	for _, e := range entries {
		at := v.at
		if e == nil || e.Key == nil {
			continue
		}
		key, plain := "", false
		if scalar, isScalar := e.Key.(ast.ScalarNode); isScalar {
			at = tokenPlace(scalar.GetToken())
			key, plain = scalarText(scalar)
		}
		switch {
		case !plain:
			d.at(v.path, at, "this key is not plain text", "write keys as words")
			continue
		case len(known) > 0 && !contains(known, key):
			d.at(child(v.path, key), at, "unknown key "+show(key), didYouMean(key, known))
			continue
		}
		if before, twice := byKey[key]; twice {
			d.at(child(v.path, key), at, fmt.Sprintf("key %s appears twice, first near line %d", show(key), before.at.line), "remove one of them")
			continue
		}
		field := value{path: child(v.path, key), node: e.Value, at: at}
		if null, ok := e.Value.(*ast.NullNode); !ok || null.Token.Type != token.ImplicitNullType {
			field.at = nodePlace(e.Value, at)
		}
		d.places[field.path] = field.at
		keys = append(keys, key)
		byKey[key] = field
	}
	return keys, byKey, true
}

// require reports the keys that a mapping lacks.
func (d *document) require(v value, byKey map[string]value, hints map[string]string, keys ...string) bool {
	complete := true
	for _, key := range keys {
		if _, ok := byKey[key]; !ok && !d.broken[child(v.path, key)] {
			d.at(child(v.path, key), v.at, "key "+show(key)+" is missing", hints[key])
			complete = false
		}
	}
	return complete
}

// items reads a list.
func (d *document) items(v value) ([]value, bool) {
	n, ok := v.node.(*ast.SequenceNode)
	if !ok {
		d.wrongType(v, "a list", "write [a, b]")
		return nil, false
	}
	var out []value
	for i, node := range n.Values {
		e := value{path: item(v.path, i), node: node, at: nodePlace(node, v.at)}
		d.places[e.path] = e.at
		out = append(out, e)
	}
	return out, true
}

func isList(v value) bool { _, ok := v.node.(*ast.SequenceNode); return ok }

func isMapping(v value) bool {
	switch v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// nodePlace returns where a node begins: for a block mapping, its first key.
func nodePlace(n ast.Node, otherwise place) place {
	switch n := n.(type) {
	case nil:
		return otherwise
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 && n.Values[0] != nil && n.Values[0].Key != nil {
			return tokenPlace(n.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		if n.Key != nil {
			return tokenPlace(n.Key.GetToken())
		}
	}
	return tokenPlace(n.GetToken())
}

func tokenPlace(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{max(1, t.Position.Line), max(1, t.Position.Column)}
}

func invalidAt(data []byte) place {
	p := place{1, 1}
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			break
		}
		p.column++
		if r == '\n' {
			p = place{p.line + 1, 1}
		}
		data = data[size:]
	}
	return p
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
