package jobspec

import (
	"bytes"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compile(t *testing.T, schema []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("tributary:test", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("tributary:test")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate reads YAML as an editor does, untyped.
func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	j, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(j))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func TestSchemaAcceptsTheExamples(t *testing.T) {
	spec, contract := compile(t, SpecSchema()), compile(t, ContractSchema())
	text := string(read(t, "churn.yaml"))
	for name, doc := range map[string]string{
		"example":   text,
		"minimal":   string(read(t, "minimal.yaml")),
		"split":     edit(t, text, "holdout: 0.2 ", "holdout: {column: fold, equals: test} "),
		"private":   string(read(t, "private.yaml")),
		"no clip":   edit(t, string(read(t, "private.yaml")), `, clip: "1.0"`, ""),
		"list":      edit(t, text, "participants: all", "participants: [a, b, c]"),
		"tolerance": edit(t, text, "tolerance: 1.0e-8", "tolerance: 1e-8"),
		"expires":   edit(t, text, "seed: 7 ", "expires: 7d "),
	} {
		if err := validate(t, spec, doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mustSpec(t, doc)
	}
	text = string(read(t, "shop-customers.yaml"))
	for name, doc := range map[string]string{
		"example": text,
		"numbers": edit(t, text, "[DE, FR, NL, PL]", "[1, 2, 3.5, true]"),
	} {
		if err := validate(t, contract, doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mustContract(t, doc)
	}
}

func TestSchemaRefusesWhatTheParserRefuses(t *testing.T) {
	spec, contract := compile(t, SpecSchema()), compile(t, ContractSchema())
	text := string(read(t, "churn.yaml"))
	for name, e := range map[string][2]string{
		"unknown key":      {"solver: newton", "solvr: newton"},
		"no privacy":       {"privacy: exact ", "# "},
		"quarter":          {"holdout: 0.2 ", "holdout: 0.25 "},
		"transform order":  {"[log1p, standardize]", "[standardize, log1p]"},
		"epsilon a number": {"privacy: exact ", `privacy: {unit: record, epsilon: 1.0, delta: "1e-5", clip: "1.0"} `},
		"unit":             {"privacy: exact ", `privacy: {unit: household, epsilon: "1.0", delta: "1e-5", clip: "1.0"} `},
		"clip":             {"privacy: exact ", `privacy: {unit: record, epsilon: "1.0", delta: "1e-5", clip: "2.0"} `},
		"scale order":      {"[log1p, standardize]", "[scale, log1p]"},
		"min_participants": {"seed: 7 ", "min_participants: 0 "},
		"bits":             {"seed: 7 ", "bits: 41 "},
		"bare timeout":     {"round_timeout: 2m", "round_timeout: 120"},
		"mode":             {"mode: sealed ", "mode: open "},
		"l2":               {"l2: 1.0 ", "l2: -1 "},
	} {
		doc := edit(t, text, e[0], e[1])
		if validate(t, spec, doc) == nil {
			t.Errorf("%s: the schema accepts it", name)
		}
		if _, problems := ParseSpec([]byte(doc)); problems == nil {
			t.Errorf("%s: the parser accepts it", name)
		}
	}
	text = string(read(t, "shop-customers.yaml"))
	for name, e := range map[string][2]string{
		"no max":           {", max: 110", ""},
		"values of number": {"max: 110", "max: 110, values: [a]"},
		"nullable split":   {"{type: split, ", "{type: split, nullable: true, "},
		"type":             {"type: split", "type: fold"},
		"empty value":      {"[mobile, desktop, tablet]", `[""]`},
		"twice":            {"[mobile, desktop, tablet]", `[a, a]`},
		"outside":          {"outside: reject", "outside: drop"},
	} {
		doc := edit(t, text, e[0], e[1])
		if validate(t, contract, doc) == nil {
			t.Errorf("%s: the schema accepts it", name)
		}
		if _, problems := ParseContract([]byte(doc)); problems == nil {
			t.Errorf("%s: the parser accepts it", name)
		}
	}
}
