package jobspec

import (
	"cmp"
	"slices"
)

// Bounds of a contract.
const (
	maxColumns       = 10_000
	maxRows          = 1 << 31
	maxValues        = 10_000 // of one category or split column
	maxValueBytes    = 256
	maxMagnitude     = 1e18 // of a number's bounds: products of two columns keep their meaning
	maxRevision      = 1<<31 - 1
	MaxDocumentBytes = 1 << 20 // of a canonical document
)

// Kind is the type of a contract's column.
type Kind string

// The kinds of column.
const (
	Number   Kind = "number"
	Category Kind = "category"
	Date     Kind = "date"
	Split    Kind = "split" // only says which rows a job evaluates on
)

// What happens to a number outside its range, and to an unlisted value.
const (
	OutsideClip   = "clip"   // it becomes the nearest bound
	OutsideReject = "reject" // the row is an error
	OtherKeep     = "keep"   // it becomes "other"
	OtherReject   = "reject" // the row is an error
)

// Contract is what a consortium agreed its tables look like. Its declared ranges
// bound every integer of a sealed sum. The zero value is invalid: contracts come
// from ParseContract and ParseContractJSON only.
type Contract struct {
	Name     string
	Revision int64
	Key      string   // the source column that identifies a unit; never sent
	MaxRows  int64    // per participant
	Label    Label    // zero: there is none
	Columns  []Column // sorted by name

	places map[string]place
}

// Label is the column that a model predicts and its two values, its classes, or a number's range.
type Label struct {
	Column   string   `json:"column"`
	Positive string   `json:"positive,omitempty"`
	Negative string   `json:"negative,omitempty"`
	Classes  []string `json:"classes,omitempty"` // in the contract's order, which is that of the codes; nil: two values, or a number

	*NumberLabel // of a label that is a number; nil: it has values
}

// Column is one column of a contract. Min, Max and Outside are set for numbers,
// and for dates, whose bounds are Unix seconds; First and Last for dates; Values for categories and splits, Other for categories.
type Column struct {
	Name     string
	Kind     Kind
	Min, Max float64 // finite, Min < Max
	Outside  string
	First    string // 2006-01-02, the first and the last day
	Last     string
	Nullable bool     // numbers, dates and categories
	Values   []string // in the contract's order, which is that of the codes
	Buckets  int64    // of a category without Values and Other, whose values are hashed: see Open
	Other    string
}

// HasLabel reports whether the contract has a label. One without is of what users took or rated: a row is an interaction, and
// the key is the user.
func (c *Contract) HasLabel() bool { return c.Label.Column != "" }

// ID returns "name@revision", as a spec or a binding refers to the contract.
func (c *Contract) ID() string { return ContractRef{c.Name, c.Revision}.String() }

// Column returns the column of that name.
func (c *Contract) Column(name string) (*Column, bool) {
	i, ok := slices.BinarySearchFunc(c.Columns, name, func(c Column, name string) int { return cmp.Compare(c.Name, name) })
	if !ok {
		return nil, false
	}
	return &c.Columns[i], true
}

// ParseContract reads a contract's YAML. It returns either a contract or
// every problem found, in the order of the text.
func ParseContract(data []byte) (*Contract, []Problem) {
	d, root, ok := open(data)
	if !ok {
		return nil, d.sorted()
	}
	_, keys, ok := d.fields(root, "version", "name", "revision", "key", "max_rows", "label", "columns")
	if !ok {
		return nil, d.sorted()
	}
	d.require(root, keys, map[string]string{
		"version":  "write version: 1",
		"key":      "name the column that identifies a person or customer; it never leaves a participant",
		"max_rows": "the most rows that one participant may bring",
	}, "version", "name", "revision", "key", "max_rows", "columns")
	c := new(Contract)
	if v, ok := keys["version"]; ok {
		d.integer(v, 1, 1)
	}
	if v, ok := keys["name"]; ok {
		c.Name, _ = d.name(v)
	}
	if v, ok := keys["revision"]; ok {
		c.Revision, _ = d.integer(v, 1, maxRevision)
	}
	if v, ok := keys["key"]; ok {
		c.Key, _ = d.text(v)
	}
	if v, ok := keys["max_rows"]; ok {
		c.MaxRows, _ = d.integer(v, 1, maxRows)
	}
	if v, ok := keys["label"]; ok {
		if c.Label = d.label(v); !c.HasLabel() {
			c.checkLabel(d.report)
		}
	}
	if v, ok := keys["columns"]; ok {
		d.columns(v, c)
	}
	slices.SortFunc(c.Columns, func(a, b Column) int { return cmp.Compare(a.Name, b.Name) })
	c.places = d.places
	c.check(d.report)
	if len(d.problems) == 0 {
		if n := len(c.Canonical()); n > MaxDocumentBytes {
			d.at("", root.at, "the contract is too large", "list fewer values")
		}
	}
	if len(d.problems) > 0 {
		return nil, d.sorted()
	}
	return c, nil
}

func (d *document) columns(v value, c *Contract) {
	names, byName, ok := d.fields(v)
	if !ok {
		return
	}
	for _, name := range names {
		c.Columns = append(c.Columns, d.column(name, byName[name]))
	}
}

// column reads one column; which keys it may have depends on its type.
func (d *document) column(name string, v value) Column {
	c := Column{Name: name}
	if !isMapping(v) {
		d.wrongType(v, "keys with values", "write {type: number, min: 0, max: 1}")
		return c
	}
	known := []string{"type", "min", "max", "outside", "nullable", "values", "buckets", "other"}
	_, keys, _ := d.fields(v, known...)
	if !d.require(v, keys, map[string]string{"type": "one of number, date, category, split"}, "type") {
		return c
	}
	kind, ok := d.choice(keys["type"], string(Number), string(Date), string(Category), string(Split))
	if !ok {
		return c
	}
	c.Kind = Kind(kind)
	var allowed []string
	switch c.Kind {
	case Number:
		allowed = []string{"type", "min", "max", "outside", "nullable"}
		d.require(v, keys, map[string]string{"min": "the range bounds every sum; declare it", "max": "the range bounds every sum; declare it"}, "min", "max")
		c.Outside = OutsideClip
	case Date:
		allowed = []string{"type", "min", "max", "outside", "nullable"}
		d.require(v, keys, map[string]string{"min": "the first date, such as 2015-01-01", "max": "the last date, such as 2030-12-31"}, "min", "max")
		c.Outside = OutsideClip
	case Category:
		allowed = []string{"type", "values", "buckets", "other", "nullable"}
		d.openOrListed(&c, v, keys)
	case Split:
		allowed = []string{"type", "values"}
		d.require(v, keys, map[string]string{"values": "list the values, such as [train, test]"}, "values")
	}
	for _, key := range known {
		field, ok := keys[key]
		if !ok {
			continue
		}
		if !contains(allowed, key) {
			d.at(field.path, field.at, "a "+kind+" column has no "+show(key), "remove it")
			continue
		}
		d.columnField(&c, key, field)
	}
	if c.Kind == Date {
		c.dates(c.First, c.Last)
	}
	return c
}

func (d *document) columnField(c *Column, key string, v value) {
	switch {
	case c.Kind == Date && key == "min":
		c.First = d.date(v)
		return
	case c.Kind == Date && key == "max":
		c.Last = d.date(v)
		return
	}
	switch key {
	case "min":
		c.Min, _ = d.number(v)
	case "max":
		c.Max, _ = d.number(v)
	case "outside":
		c.Outside, _ = d.choice(v, OutsideClip, OutsideReject)
	case "nullable":
		c.Nullable, _ = d.boolean(v)
	case "other":
		c.Other, _ = d.choice(v, OtherKeep, OtherReject)
	case "buckets":
		var ok bool
		if c.Buckets, ok = d.integer(v, minHashBuckets, maxHashBuckets); !ok {
			c.Buckets = -1 // open all the same
		}
	case "values":
		list, _ := d.items(v)
		for _, e := range list {
			s, _ := d.text(e)
			c.Values = append(c.Values, s)
		}
	}
}
