package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tributary/participant/internal/source"
)

const example = `version: 1
name: alpen-shop
coordinator: coordinator.example.org:8443
data_dir: state
policy: {contracts: [shop-customers@1], privacy: [exact], modes: [sealed], min_cohort: 3, approve: automatic}
data:
  - contract: shop-customers@1
    id: customers                                    # stable name
    source: {csv: /srv/shop/customers.csv.gz, separator: ";", missing: ["", "NA"]}
    columns: {tenure_days: KUNDE_SEIT}
    values: {churned: {"1": "yes", "0": "no"}}
    where: [{column: consent, in: ["true"]}]
`

func TestExampleIsReadWhole(t *testing.T) {
	c, problems := Parse([]byte(example), "/etc/tributary")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := &Config{Name: "alpen-shop", Coordinator: "coordinator.example.org:8443", DataDir: "/etc/tributary/state",
		Policy: Policy{Contracts: []string{"shop-customers@1"}, Privacy: []string{"exact"}, Modes: []string{"sealed"}, MinCohort: 3, Automatic: true},
		Data: []Binding{{ContractFile: "/etc/tributary/shop-customers.yaml", Binding: source.Binding{Contract: "shop-customers@1", ID: "customers",
			File: "/srv/shop/customers.csv.gz", Separator: ';', Missing: []string{"", "NA"}, Columns: map[string]string{"tenure_days": "KUNDE_SEIT"},
			Values: map[string]map[string]string{"churned": {"1": "yes", "0": "no"}}, Where: []source.Filter{{Column: "consent", In: []string{"true"}}}}}}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestSeatWithoutDataNeedsLittle(t *testing.T) {
	c, problems := Parse([]byte("version: 1\nname: notary\ndata_dir: /tmp/x\npolicy: {contracts: [shop-customers@1]}\n"), "/")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if c.Policy.Automatic || c.Policy.MinCohort != 3 || len(c.Data) != 0 {
		t.Errorf("%+v", c)
	}
}

func TestAllProblemsAreToldWithTheirPlaces(t *testing.T) {
	text := strings.NewReplacer("approve: automatic", "approve: always", "separator: \";\"", "separator: \";;\"", "    id: customers", "    ident: customers",
		"version: 1", "version: 2").Replace(example) + "polcy: {}\n"
	_, problems := Parse([]byte(text), "/")
	want := []struct {
		line int
		text string
	}{{1, "version"}, {5, "automatic, manual"}, {7, "\"id\" is missing"}, {8, "unknown key \"ident\""}, {9, "separator"}, {13, "unknown key \"polcy\""}}
	if len(problems) != len(want) {
		t.Fatalf("%d problems: %v", len(problems), problems)
	}
	for i, w := range want {
		if p := problems[i]; p.Line != w.line || p.Column < 1 || !strings.Contains(p.String(), w.text) {
			t.Errorf("problem %d is %v, want line %d with %q", i, p, w.line, w.text)
		}
	}
}

func TestProblemsOfEveryKind(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"repeated key":     {"name: alpen-shop", "name: alpen-shop\nname: x", "twice"},
		"wrong type":       {"min_cohort: 3", "min_cohort: three", "whole number"},
		"octal":            {"min_cohort: 3", "min_cohort: 010", "whole number"},
		"small cohort":     {"min_cohort: 3", "min_cohort: 0", "within 1"},
		"open":             {"modes: [sealed]", "modes: [open]", "sealed, noised"},
		"no modes":         {"modes: [sealed]", "modes: []", "empty"},
		"bad contract":     {"contracts: [shop-customers@1]", "contracts: [shop-customers]", "not a contract"},
		"bad address":      {"coordinator.example.org:8443", "coordinator.example.org", "not an address"},
		"alias":            {"name: alpen-shop", "name: &a alpen-shop", "anchors"},
		"no YAML":          {"version: 1", "version: [", "not YAML"},
		"missing policy":   {"policy: {contracts: [shop-customers@1], privacy: [exact], modes: [sealed], min_cohort: 3, approve: automatic}", "", "\"policy\" is missing"},
		"list as a string": {"where: [{column: consent, in: [\"true\"]}]", "where: x", "a list"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(example, c.from, c.to, 1)
			if text == example {
				t.Fatal("nothing replaced")
			}
			_, problems := Parse([]byte(text), "/")
			if len(problems) == 0 || !strings.Contains(problems[0].String(), c.want) {
				t.Errorf("%v, want %q", problems, c.want)
			}
		})
	}
}

func TestErrorOfAFileNamesIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "participant.yaml")
	if _, err := Load(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(file, []byte("version: 1\nnme: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(file)
	var problems *Problems
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}

func TestPrivateJobsAreAKindThatAPolicyLists(t *testing.T) {
	c, problems := Parse([]byte(strings.Replace(example, "privacy: [exact]", "privacy: [private, exact]", 1)), "/")
	if len(problems) > 0 || !reflect.DeepEqual(c.Policy.Privacy, []string{"private", "exact"}) {
		t.Errorf("%+v, %v", c, problems)
	}
	if _, problems := Parse([]byte(strings.Replace(example, "privacy: [exact]", "privacy: [secret]", 1)), "/"); len(problems) != 1 {
		t.Errorf("%v", problems)
	}
}

func TestSourcesOfOneFileAreFound(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.csv", "b.csv"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a.csv", filepath.Join(dir, "link.csv")); err != nil {
		t.Fatal(err)
	}
	c := &Config{}
	for id, file := range map[string]string{"one": "a.csv", "two": "x/../a.csv", "three": "link.csv", "four": "b.csv", "five": "none.csv"} {
		c.Data = append(c.Data, Binding{Binding: source.Binding{ID: id, File: dir + "/" + file}})
	}
	for id, want := range map[string]int{"one": 3, "two": 3, "three": 3, "four": 1, "five": 1, "six": 0} {
		if got := c.SameFile(id); len(got) != want {
			t.Errorf("%s: %v, want %d", id, got, want)
		}
	}
}
