package jobspec

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Every scalar is read from its text, never from the type that the YAML library
// gives it: there `1e-5` is a string and `010` is 8.
var (
	integerText = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	numberText  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,4})?$`)
	nameText    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	columnText  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$`)
	daysText    = regexp.MustCompile(`^[0-9]{1,4}d$`)
)

const (
	nameRule   = "lower-case letters, digits and '-', at most 63, not starting with '-'"
	columnRule = "letters, digits, '_', '.' and '-', at most 63, not starting with '.' or '-'"
)

// scalarText returns the text of a plain, quoted or literal scalar. A null is no
// text; anchors, aliases, tags and merge keys were refused before.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		if n.Value == nil {
			return "", false
		}
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		if t := n.GetToken(); t != nil {
			return t.Value, true
		}
	}
	return "", false
}

// quoted reports whether a scalar is a string whatever it looks like.
func quoted(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.LiteralNode:
		return true
	case *ast.StringNode:
		return n.Token != nil && (n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType)
	}
	return false
}

func (d *document) wrongType(v value, want, hint string) {
	got := "something else"
	switch n := v.node.(type) {
	case nil, *ast.NullNode:
		got = "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		got = "keys with values"
	case *ast.SequenceNode:
		got = "a list"
	default:
		if text, ok := scalarText(n); ok {
			got = show(text)
		}
	}
	d.at(v.path, v.at, "expected "+want+", found "+got, hint)
}

// text reads a string that is plain or quoted, whatever it looks like: a label
// `yes`, a code 010 and `true` are those very letters.
func (d *document) text(v value) (string, bool) {
	s, ok := scalarText(v.node)
	if !ok {
		d.wrongType(v, "a text", "")
		return "", false
	}
	return s, true
}

// word reads a text that no YAML reader takes for a number or a truth value.
func (d *document) word(v value) (string, bool) {
	switch v.node.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return d.text(v)
	}
	d.wrongType(v, "a text", "put it in quotes if it is one")
	return "", false
}

// choice reads one of a few words.
func (d *document) choice(v value, of ...string) (string, bool) {
	s, ok := d.word(v)
	if !ok {
		return "", false
	}
	if !contains(of, s) {
		d.at(v.path, v.at, show(s)+" is not one of "+strings.Join(of, ", "), didYouMean(s, of))
		return "", false
	}
	return s, true
}

func (d *document) name(v value) (string, bool) {
	s, ok := d.word(v)
	if ok && !nameText.MatchString(s) {
		d.at(v.path, v.at, show(s)+" is not a name", "use "+nameRule)
		return "", false
	}
	return s, ok
}

func (d *document) boolean(v value) (yes, ok bool) {
	if n, isBool := v.node.(*ast.BoolNode); isBool {
		return n.Value, true
	}
	d.wrongType(v, "true or false", "")
	return false, false
}

// integer reads a whole number within bounds.
func (d *document) integer(v value, low, high int64) (int64, bool) {
	s, ok := scalarText(v.node)
	if !ok || quoted(v.node) || !integerText.MatchString(s) {
		hint := "write a plain decimal number without leading zeros"
		if quoted(v.node) {
			hint = "remove the quotes"
		}
		d.wrongType(v, "a whole number", hint)
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < low || n > high {
		d.at(v.path, v.at, fmt.Sprintf("%s is not within %d to %d", s, low, high), "")
		return 0, false
	}
	return n, true
}

// seed reads a whole number of 64 bits.
func (d *document) seed(v value) uint64 {
	s, ok := scalarText(v.node)
	if !ok || quoted(v.node) || !integerText.MatchString(s) {
		d.wrongType(v, "a whole number", "write a plain decimal number")
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		d.at(v.path, v.at, s+" is not within 0 to 18446744073709551615", "")
	}
	return n
}

// numeral reads the text of a finite decimal number.
func (d *document) numeral(v value) (string, bool) {
	s, ok := scalarText(v.node)
	switch v.node.(type) {
	case *ast.InfinityNode, *ast.NanNode:
		d.at(v.path, v.at, s+" is not a finite number", "write a finite decimal number")
		return "", false
	}
	if !ok || quoted(v.node) || !numberText.MatchString(s) {
		hint := "write a decimal number such as 12, 0.5 or 1e-8"
		if quoted(v.node) {
			hint = "remove the quotes"
		}
		d.wrongType(v, "a number", hint)
		return "", false
	}
	return s, true
}

// number reads a finite number; -0 becomes 0.
func (d *document) number(v value) (float64, bool) {
	s, ok := d.numeral(v)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		d.at(v.path, v.at, s+" is too large for a 64-bit number", "")
		return 0, false
	}
	return f + 0, true
}

// decimal reads a quoted decimal number, kept exactly.
func (d *document) decimal(v value) (Decimal, *big.Rat) {
	s, ok := scalarText(v.node)
	if !ok || !quoted(v.node) {
		hint := ""
		if ok {
			hint = "write " + show(s) + " in quotes"
		}
		d.wrongType(v, "a decimal number in quotes, which is kept exactly", hint)
		return "", nil
	}
	r, err := Decimal(s).Rat()
	if err != nil {
		d.at(v.path, v.at, err.Error(), `write it like "1.0" or "1e-5"`)
		return "", nil
	}
	return Decimal(s), r
}

// duration reads 90s, 2m, 24h, 1h30m or 30d, in whole milliseconds.
func (d *document) duration(v value, low, high time.Duration) (time.Duration, bool) {
	s, ok := scalarText(v.node)
	if !ok {
		d.wrongType(v, "a duration", "write it like 90s, 2m, 24h or 30d")
		return 0, false
	}
	got, err := time.ParseDuration(s)
	if daysText.MatchString(s) {
		days, _ := strconv.Atoi(strings.TrimSuffix(s, "d"))
		got, err = time.Duration(days)*24*time.Hour, nil
	}
	switch {
	case err != nil:
		d.at(v.path, v.at, show(s)+" is not a duration", "write it like 90s, 2m, 24h or 30d")
		return 0, false
	case got < low || got > high:
		d.at(v.path, v.at, fmt.Sprintf("%s is not within %s to %s", s, durationText(low), durationText(high)), "")
		return 0, false
	case got%time.Millisecond != 0:
		d.at(v.path, v.at, s+" is not a whole number of milliseconds", "")
		return 0, false
	}
	return got, true
}

// durationText writes a duration as a person would: 2m, 1h30m, 30d.
func durationText(t time.Duration) string {
	if t >= 48*time.Hour && t%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", t/(24*time.Hour))
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// printable reports whether s is non-empty UTF-8 without control characters.
func printable(s string) bool {
	if s == "" || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return false
		}
	}
	return true
}
