package jobspec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Variation is a field in which resolved jobs differ: its path, and its value in
// each job as JSON, empty where a job doesn't have it. An entry of a list that only
// some jobs have is true in those.
type Variation struct {
	Path   string   `json:"path"`
	Values []string `json:"values"`
}

// Variations lists every field of the resolved jobs that isn't the same in all of
// them, by path. Features are told apart by their names, wherever they stand. It
// is empty exactly if all jobs are equal but for the order of their features.
func Variations(jobs ...*Resolved) []Variation {
	fields := make([]map[string]string, len(jobs))
	paths := make(map[string]bool)
	for i, r := range jobs {
		fields[i] = make(map[string]string)
		var tree any
		d := json.NewDecoder(bytes.NewReader(r.Canonical()))
		d.UseNumber() // a seed has 64 bits
		if err := d.Decode(&tree); err != nil {
			panic("jobspec: a canonical document isn't JSON: " + err.Error())
		}
		flatten(fields[i], "", tree)
		for path := range fields[i] {
			paths[path] = true
		}
	}
	var out []Variation
	for path := range paths {
		v := Variation{Path: path}
		differs := false
		for i := range jobs {
			v.Values = append(v.Values, fields[i][path])
			differs = differs || v.Values[i] != v.Values[0]
		}
		if differs {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b Variation) int { return strings.Compare(a.Path, b.Path) })
	// What a job doesn't have at all is told once.
	var lacking []string
	return slices.DeleteFunc(out, func(v Variation) bool {
		for _, path := range lacking {
			if strings.HasPrefix(v.Path, path+".") {
				return true
			}
		}
		if strings.HasSuffix(v.Path, "]") {
			lacking = append(lacking, v.Path)
		}
		return false
	})
}

// flatten gives every leaf its path. A list of objects with names is a mapping by
// name, whose entries have a path themselves; any other list is a leaf.
func flatten(out map[string]string, path string, tree any) {
	switch v := tree.(type) {
	case map[string]any:
		for key, value := range v {
			flatten(out, strings.TrimPrefix(path+"."+key, "."), value)
		}
		return
	case []any:
		named := make(map[string]any)
		for _, e := range v {
			if object, ok := e.(map[string]any); ok {
				if name, ok := object["name"].(string); ok {
					named[name] = object
				}
			}
		}
		if len(named) == len(v) && len(v) > 0 {
			for name, object := range named {
				entry := fmt.Sprintf("%s[%s]", path, name)
				out[entry] = "true"
				flatten(out, entry, object)
			}
			return
		}
	}
	text, err := json.Marshal(tree)
	if err != nil {
		panic("jobspec: a JSON value can't be written: " + err.Error())
	}
	out[path] = string(text)
}
