package jobspec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing to correct in a spec or a contract.
type Problem struct {
	Path    string // "features[0].columns[1]"; empty for the document
	Line    int    // from 1
	Column  int    // from 1, in characters
	Message string // what is wrong, with the value and its bound
	Hint    string // what to do; may be empty
}

// String returns the problem on one line, the hint on a second if there is one.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "line %d, column %d: ", p.Line, p.Column)
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("\nhint: " + p.Hint)
	}
	return b.String()
}

// place is a position in a YAML document, from 1.
type place struct{ line, column int }

// report takes one problem; the first path says where it is, all of them what it
// follows from: a problem that follows from a value that was itself wrong is not
// worth telling.
type report func(message, hint string, paths ...string)

// maxProblems of one document are told; a document with more is no attempt.
const maxProblems = 1000

// findings collects the problems of one document.
type findings struct {
	places   map[string]place
	broken   map[string]bool // paths that have a problem
	around   map[string]bool // paths that have one inside them
	problems []Problem
}

func newFindings(places map[string]place) *findings {
	if places == nil {
		places = make(map[string]place)
	}
	return &findings{places: places, broken: make(map[string]bool), around: make(map[string]bool)}
}

// at records a problem at a known place and marks its path as broken.
func (f *findings) at(path string, where place, message, hint string) {
	f.broken[path] = true
	for up := path; up != ""; up = parent(up) {
		f.around[parent(up)] = true
	}
	if len(f.problems) >= maxProblems {
		return
	}
	if len(f.problems) == maxProblems-1 {
		message, hint = "there are more problems than are told here", "correct these first"
	}
	f.problems = append(f.problems, Problem{
		Path: path, Line: max(where.line, 1), Column: max(where.column, 1), Message: message, Hint: hint})
}

// report is the [report] of f: it drops problems that follow from broken values.
func (f *findings) report(message, hint string, paths ...string) {
	for _, path := range paths {
		if path != "" && (f.broken[path] || f.around[path]) {
			return
		}
		for up := path; up != ""; up = parent(up) {
			if f.broken[parent(up)] {
				return
			}
		}
	}
	f.at(paths[0], f.where(paths[0]), message, hint)
}

// where returns the place of a path or of the nearest thing around it.
func (f *findings) where(path string) place {
	for {
		if p, ok := f.places[path]; ok {
			return p
		}
		if path == "" {
			return place{1, 1}
		}
		path = parent(path)
	}
}

// sorted returns the problems in the order of the document.
func (f *findings) sorted() []Problem {
	slices.SortStableFunc(f.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return f.problems
}

// parent returns the path of the thing that contains a path; "" contains all.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// child and item return the path of a key and of a list's element.
func child(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// show quotes a value for a message, at most 40 bytes of it.
func show(s string) string {
	if len(s) > 40 {
		return strconv.Quote(strings.ToValidUTF8(s[:40], "")) + "…"
	}
	return strconv.Quote(s)
}
