package config

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"tributary/participant/internal/source"
	"tributary/protocol/invite"
	"tributary/protocol/jobspec"
)

// Parse reads a config whose relative paths belong to folder. It returns either a config or every problem found.
func Parse(data []byte, folder string) (*Config, []jobspec.Problem) {
	t := &tree{broken: map[string]bool{}}
	root, ok := t.open(data)
	if !ok {
		return nil, t.sorted()
	}
	_, keys := t.fields(root, "version", "name", "coordinator", "data_dir", "policy", "data")
	c := &Config{}
	within := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(folder, path)
	}
	t.require(root, keys, "version", "write version: 1")
	t.require(root, keys, "name", "the name in your invitation")
	t.require(root, keys, "data_dir", "a folder for keys and state, such as /var/lib/tributary")
	t.require(root, keys, "policy", "write policy: {contracts: [name@1]}")
	if v, ok := keys["version"]; ok {
		t.integer(v, 1, 1)
	}
	if v, ok := keys["name"]; ok {
		c.Name = t.text(v)
		if err := invite.CheckName(c.Name); err != nil {
			t.problem(v, "letters, digits, '.', '_' and '-', beginning with a letter or digit", "%q is not a name", c.Name)
		}
	}
	if v, ok := keys["coordinator"]; ok {
		c.Coordinator = t.text(v)
		host, port, err := net.SplitHostPort(c.Coordinator)
		n, portErr := strconv.ParseUint(port, 10, 16)
		if err != nil || portErr != nil || n == 0 || host == "" {
			t.problem(v, "write host:port, such as coordinator.example.org:8443", "%q is not an address", c.Coordinator)
		}
	}
	if v, ok := keys["data_dir"]; ok {
		c.DataDir = within(t.filled(v))
	}
	if v, ok := keys["policy"]; ok {
		c.Policy = t.policy(v)
	}
	if v, ok := keys["data"]; ok {
		t.data(v, c, within)
	}
	if len(t.problems) > 0 {
		return nil, t.sorted()
	}
	return c, nil
}

func (t *tree) require(v value, keys map[string]value, key, hint string) {
	at := value{path: child(v.path, key), line: v.line, col: v.col}
	if _, ok := keys[key]; !ok && !t.broken[at.path] {
		t.problem(at, hint, "key %q is missing", key)
	}
}

func (t *tree) policy(v value) Policy {
	p := Policy{Privacy: []string{jobspec.KindExact}, Modes: []string{jobspec.ModeSealed}, MinCohort: 3}
	_, keys := t.fields(v, "contracts", "privacy", "modes", "min_cohort", "min_count_floor", "quantiles", "approve")
	t.require(v, keys, "contracts", "list the contracts whose jobs may be approved, such as [shop-customers@1]")
	if v, ok := keys["contracts"]; ok {
		for _, e := range t.items(v) {
			p.Contracts = append(p.Contracts, t.contract(e))
		}
	}
	if v, ok := keys["privacy"]; ok {
		p.Privacy = t.choices(v, jobspec.KindExact, jobspec.KindPrivate)
	}
	if v, ok := keys["modes"]; ok {
		p.Modes = t.choices(v, jobspec.ModeSealed, jobspec.ModeNoised)
	}
	if v, ok := keys["min_cohort"]; ok {
		p.MinCohort = int(t.integer(v, 1, 1638)) // a sealed job has 3 at least whatever it says
	}
	if v, ok := keys["quantiles"]; ok {
		word := t.text(v)
		if word != "allow" && word != "refuse" {
			t.problem(v, "by default they are allowed", "%q is neither allow nor refuse", word)
		}
		p.NoQuantiles = word == "refuse"
	}
	if v, ok := keys["min_count_floor"]; ok {
		p.MinCountFloor = t.integer(v, 0, 1<<31)
	}
	if v, ok := keys["approve"]; ok {
		switch s := t.text(v); s {
		case "automatic":
			p.Automatic = true
		case "manual":
		default:
			t.problem(v, "manual waits for `approve JOB`", "%q is not one of automatic, manual", s)
		}
	}
	return p
}

func (t *tree) contract(v value) string {
	s := t.text(v)
	if _, err := jobspec.ParseContractRef(s); err != nil {
		t.problem(v, "write name@revision, such as shop-customers@1", "%q is not a contract", s)
	}
	return s
}

func (t *tree) data(v value, c *Config, within func(string) string) {
	contracts, ids := map[string]bool{}, map[string]bool{}
	for _, e := range t.items(v) {
		b := t.binding(e, within)
		at := func(key string) value { return value{path: child(e.path, key), line: e.line, col: e.col} }
		if contracts[b.Contract] && b.Contract != "" {
			t.problem(at("contract"), "keep one binding for a contract", "contract %s is bound twice", b.Contract)
		}
		if ids[b.ID] && b.ID != "" {
			t.problem(at("id"), "give each source its own id", "id %q is used twice", b.ID)
		}
		contracts[b.Contract], ids[b.ID] = true, true
		c.Data = append(c.Data, b)
	}
}

func (t *tree) binding(v value, within func(string) string) Binding {
	b := Binding{Binding: source.Binding{Separator: ',', Missing: []string{""}, Columns: map[string]string{}, Values: map[string]map[string]string{}}}
	_, keys := t.fields(v, "contract", "contract_file", "id", "source", "columns", "values", "where")
	t.require(v, keys, "contract", "name@revision")
	t.require(v, keys, "id", "a stable name for this source, such as customers")
	t.require(v, keys, "source", "write source: {csv: FILE}")
	if v, ok := keys["contract"]; ok {
		b.Contract = t.contract(v)
		name, _, _ := strings.Cut(b.Contract, "@")
		b.ContractFile = within(name + ".yaml")
	}
	if v, ok := keys["contract_file"]; ok {
		b.ContractFile = within(t.filled(v))
	}
	if v, ok := keys["id"]; ok {
		b.ID = t.text(v)
		if err := invite.CheckName(b.ID); err != nil {
			t.problem(v, "letters, digits, '.', '_' and '-'", "%q is not an id", b.ID)
		}
	}
	if v, ok := keys["source"]; ok {
		t.source(v, &b, within)
	}
	if v, ok := keys["columns"]; ok {
		b.Columns = t.pairs(v)
	}
	if v, ok := keys["values"]; ok {
		names, columns := t.fields(v)
		for _, name := range names {
			b.Values[name] = t.pairs(columns[name])
		}
	}
	if v, ok := keys["where"]; ok {
		for _, e := range t.items(v) {
			b.Where = append(b.Where, t.filter(e))
		}
	}
	return b
}

func (t *tree) source(v value, b *Binding, within func(string) string) {
	_, keys := t.fields(v, "csv", "parquet", "separator", "missing", "customers")
	file, isParquet := keys["parquet"]
	text, isCSV := keys["csv"]
	switch {
	case isParquet && isCSV:
		t.problem(file, "remove csv or parquet", "a source is one file")
	case isParquet:
		b.File = within(t.filled(file))
	case isCSV:
		b.File = within(t.filled(text))
	default:
		t.problem(v, "write csv: the path of a CSV file (.gz is read too), or parquet: that of a Parquet file", "the source names no file")
	}
	if v, ok := keys["separator"]; ok && isParquet {
		t.problem(v, "remove it", "a Parquet file has no separator")
	} else if ok {
		s := t.text(v)
		r, size := utf8.DecodeRuneInString(s)
		if size == 0 || size != len(s) || r == '"' || r == '\n' || r == '\r' || r == utf8.RuneError {
			t.problem(v, `write one character in quotes, such as ";" or "\t"`, "%q is not a separator", s)
		}
		b.Separator = r
	}
	if v, ok := keys["missing"]; ok {
		b.Missing = t.texts(v)
	}
	if v, ok := keys["customers"]; ok {
		b.Customers = t.customers(v)
	}
}

func (t *tree) filter(v value) (c source.Filter) {
	_, keys := t.fields(v, "column", "in")
	t.require(v, keys, "column", "the source's column")
	t.require(v, keys, "in", "the texts that keep a row")
	if v, ok := keys["column"]; ok {
		c.Column = t.filled(v)
	}
	if v, ok := keys["in"]; ok {
		c.In = t.texts(v)
	}
	return c
}

func (t *tree) pairs(v value) map[string]string {
	out := map[string]string{}
	names, keys := t.fields(v)
	for _, name := range names {
		out[name] = t.text(keys[name])
	}
	return out
}
