package jobspec

import (
	"strings"
	"testing"
)

// edit replaces one piece of a golden example.
func edit(t testing.TB, text, old, replacement string) string {
	t.Helper()
	if strings.Count(text, old) != 1 {
		t.Fatalf("%q occurs %d times", old, strings.Count(text, old))
	}
	return strings.Replace(text, old, replacement, 1)
}

type problemTest struct {
	old, new string // the edit of the worked example
	path     string
	at       string // the text in the edited document at which the problem is shown
	message  string
	hint     string
}

// expectOne checks a single problem with its place.
func expectOne(t *testing.T, text string, problems []Problem, want problemTest) {
	t.Helper()
	if len(problems) != 1 {
		t.Fatalf("%d problems, want 1: %v", len(problems), problems)
	}
	p := problems[0]
	before, _, found := strings.Cut(text, want.at)
	if !found {
		t.Fatalf("%q is not in the text", want.at)
	}
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndex(before, "\n")
	if p.Line != line || p.Column != column {
		t.Errorf("at %d:%d, want %d:%d: %v", p.Line, p.Column, line, column, p)
	}
	if p.Path != want.path {
		t.Errorf("path %q, want %q", p.Path, want.path)
	}
	if !strings.Contains(p.Message, want.message) {
		t.Errorf("message %q lacks %q", p.Message, want.message)
	}
	if !strings.Contains(p.Hint, want.hint) {
		t.Errorf("hint %q lacks %q", p.Hint, want.hint)
	}
}

func TestSpecProblemsNameTheirPlaceAndRemedy(t *testing.T) {
	tests := map[string]problemTest{
		"unknown key":          {"solver: newton", "solvr: newton", "model.solvr", "solvr", `unknown key "solvr"`, "did you mean solver?"},
		"unknown top key":      {"privacy: exact ", "privacy: exact\nprivcy: exact ", "privcy", "privcy", "unknown key", "did you mean privacy?"},
		"duplicate key":        {"  seed: 7", "  seed: 7\n  seed: 8", "run.seed", "seed: 8", "appears twice, first near line", "remove"},
		"missing privacy":      {"privacy: exact ", "# ", "privacy", "version", `key "privacy" is missing`, "there is no default"},
		"version":              {"version: 1", "version: 2", "version", "2\n", "2 is not within 1 to 1", ""},
		"name":                 {"name: churn-2026q4", "name: Churn", "name", "Churn", "is not a name", "lower-case"},
		"name a number":        {"name: churn-2026q4", "name: 2026", "name", "2026", `expected a text, found "2026"`, "quotes"},
		"contract":             {"shop-customers@1 ", "shop-customers ", "contract", "shop-customers", "NAME@REVISION", "shop-customers@1"},
		"contract revision":    {"shop-customers@1 ", "shop-customers@9999999999 ", "contract", "shop-customers", "revision 9999999999", ""},
		"columns not a list":   {"columns: [age, tenure_days]", "columns: age", "features[0].columns", "age,", `expected a list, found "age"`, "[a, b]"},
		"no columns":           {"columns: [age, tenure_days]", "columns: []", "features[0].columns", "[], t", "at least one column", ""},
		"columns missing":      {"{columns: [age, tenure_days], transform", "{transform", "features[0].columns", "{transform: standardize}", `"columns" is missing`, "list"},
		"transform misspelt":   {"transform: standardize}", "transform: standardise}", "features[0].transform", "standardise", "not one of log1p, standardize, one_hot", "did you mean standardize?"},
		"transform order":      {"[log1p, standardize]", "[standardize, log1p]", "features[1].transform", "[standardize, log1p]", "can't follow", "[log1p, standardize]"},
		"transforms together":  {"[log1p, standardize]", "[log1p, one_hot]", "features[1].transform", "[log1p, one_hot]", "don't go together", "one_hot alone"},
		"missing word":         {"missing: indicator", "missing: indicate", "features[1].missing", "indicate}", "not one of none, indicator", "did you mean indicator"},
		"clip zero":            {"transform: standardize}", "transform: standardize, clip: 0}", "features[0].clip", "0}", "clip 0 is not above 0", ""},
		"clip infinite":        {"transform: standardize}", "transform: standardize, clip: .inf}", "features[0].clip", ".inf", "not a finite number", ""},
		"clip without":         {"min_count: 20}", "clip: 3}", "features[2].clip", "3}", "needs standardize", "remove clip"},
		"min_count without":    {"transform: standardize}", "transform: standardize, min_count: 3}", "features[0].min_count", "3}", "needs one_hot", "remove min_count"},
		"min_count octal":      {"min_count: 20", "min_count: 010", "features[2].min_count", "010", `a whole number, found "010"`, "leading zeros"},
		"min_count zero":       {"min_count: 20", "min_count: 0", "features[2].min_count", "0}", "0 is not within 1 to", ""},
		"min_count quoted":     {"min_count: 20", `min_count: "20"`, "features[2].min_count", `"20"`, "a whole number", "remove the quotes"},
		"model type":           {"type: logistic_regression", "type: linear", "model.type", "linear", "not one of logistic_regression", ""},
		"l2 negative":          {"l2: 1.0 ", "l2: -1.0 ", "model.l2", "-1.0", "l2 -1 is not within", ""},
		"l2 NaN":               {"l2: 1.0 ", "l2: .nan ", "model.l2", ".nan", "not a finite number", ""},
		"l2 overflow":          {"l2: 1.0 ", "l2: 1e999 ", "model.l2", "1e999", "too large", ""},
		"l2 text":              {"l2: 1.0 ", "l2: much ", "model.l2", "much", `a number, found "much"`, "decimal number"},
		"l2 underscore":        {"l2: 1.0 ", "l2: 1_000 ", "model.l2", "1_000", "a number", "decimal number"},
		"max_rounds":           {"max_rounds: 10", "max_rounds: 10000", "model.max_rounds", "10000", "not within 1 to 1000", ""},
		"max_rounds float":     {"max_rounds: 10", "max_rounds: 1.5", "model.max_rounds", "1.5", "a whole number", ""},
		"tolerance":            {"tolerance: 1.0e-8", "tolerance: 0", "model.tolerance", "0\nevaluate", "tolerance 0", "1e-8"},
		"holdout":              {"holdout: 0.2 ", "holdout: 0.25 ", "evaluate.holdout", "0.25", "whole number of tenths", "0.1"},
		"holdout all":          {"holdout: 0.2 ", "holdout: 1.00 ", "evaluate.holdout", "1.00", "whole number of tenths", ""},
		"holdout negative":     {"holdout: 0.2 ", "holdout: -0.2 ", "evaluate.holdout", "-0.2", "whole number of tenths", ""},
		"holdout half a split": {"holdout: 0.2 ", "holdout: {column: fold} ", "evaluate.holdout.equals", "{column: fold}", `"equals" is missing`, ""},
		"metric":               {"log_loss, accuracy", "logloss, accuracy", "evaluate.metrics[1]", "logloss", "not one of", "did you mean log_loss?"},
		"metric twice":         {"log_loss, accuracy", "auc, accuracy", "evaluate.metrics[1]", "auc, accuracy", "listed twice", ""},
		"privacy word":         {"privacy: exact ", "privacy: none ", "privacy", "none ", "neither exact nor", "exact"},
		"mode":                 {"mode: sealed ", "mode: seald ", "run.mode", "seald ", "not one of sealed, noised", "did you mean sealed?"},
		"participants":         {"participants: all", "participants: everyone", "run.participants", "everyone", "neither all", ""},
		"participants twice":   {"participants: all", "participants: [a, b, a]", "run.participants[2]", "a]\n", "listed twice", ""},
		"participants none":    {"participants: all", "participants: []", "run.participants", "[]\n", "no participants", ""},
		"threshold":            {"threshold: 3", "threshold: 300", "run.committee.threshold", "300", "not within 1 to 64", ""},
		"committee half":       {"{threshold: 3, of: 4}", "{threshold: 3}", "run.committee.of", "{threshold: 3}", `"of" is missing`, ""},
		"timeout short":        {"round_timeout: 2m", "round_timeout: 10ms", "run.round_timeout", "10ms", "not within 1s to 24h", ""},
		"timeout long":         {"round_timeout: 2m", "round_timeout: 25h", "run.round_timeout", "25h", "not within 1s to 24h", ""},
		"timeout bare":         {"round_timeout: 2m", "round_timeout: 120", "run.round_timeout", "120", "not a duration", "2m"},
		"timeout negative":     {"round_timeout: 2m", "round_timeout: -2m", "run.round_timeout", "-2m", "not within", ""},
		"timeout fine":         {"round_timeout: 2m", "round_timeout: 1.0000001s", "run.round_timeout", "1.00", "milliseconds", ""},
		"expires long":         {"round_timeout: 2m", "expires: 31d", "run.expires", "31d", "not within 1s to 30d", ""},
		"expires first":        {"round_timeout: 2m", "expires: 1m\n  round_timeout: 2m", "run.expires", "1m\n", "before its first round", "shorten"},
		"seed negative":        {"seed: 7 ", "seed: -7 ", "run.seed", "-7", "-7 is not within 0 to 18446744073709551615", ""},
		"seed large":           {"seed: 7 ", "seed: 18446744073709551616 ", "run.seed", "18446744073709551616", "not within", ""},
		"bits":                 {"seed: 7 ", "bits: 41 ", "run.bits", "41 ", "not within 8 to 40", ""},
		"empty value":          {"mode: sealed ", "mode: ", "run.mode", "mode: ", "expected a text, found nothing", ""},
		"mapping for a text":   {"mode: sealed ", "mode: {a: b} ", "run.mode", "{a: b}", "found keys with values", ""},
		"anchor":               {"seed: 7 ", "seed: &x 7 ", "", "&x", "anchors", ""},
		"merge":                {"  seed: 7 ", "  <<: {seed: 7} ", "", "<<", "anchors", ""},
		"syntax":               {"[auc, log_loss, accuracy]", "[auc, log_loss, accuracy", "", "privacy", "not YAML", ""},
		"second document":      {"run:\n", "---\nrun:\n", "", "run:\n", "second document", "one document"},
	}
	text := string(read(t, "churn.yaml"))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			edited := edit(t, text, test.old, test.new)
			_, problems := ParseSpec([]byte(edited))
			expectOne(t, edited, problems, test)
		})
	}
}

func TestContractProblemsNameTheirPlaceAndRemedy(t *testing.T) {
	long := strings.Repeat("x", 257)
	tests := map[string]problemTest{
		"unknown key":        {"max_rows: 5000000", "maxrows: 1\nmax_rows: 5000000", "maxrows", "maxrows", "unknown key", "did you mean max_rows?"},
		"revision":           {"revision: 1", "revision: 0", "revision", "0\n", "0 is not within 1", ""},
		"key missing":        {"key: customer_id ", "# ", "key", "version", `"key" is missing`, "never leaves"},
		"key empty":          {"key: customer_id ", `key: "" `, "key", `""`, "not a column name", ""},
		"rows":               {"max_rows: 5000000", "max_rows: 2147483649", "max_rows", "2147483649", "not within 1 to 2147483648", ""},
		"label alike":        {`negative: "no"`, `negative: "yes"`, "label.negative", `"yes"}`, "both label values", "differ"},
		"label null":         {`negative: "no"`, `negative: null`, "label.negative", "null", "found nothing", ""},
		"label a column":     {"  fold: ", "  churned: {type: number, min: 0, max: 1}\n  fold: ", "columns.churned", "{type: number, min: 0, max: 1}", "label can't be a column", "remove"},
		"label the key":      {"{column: churned", "{column: customer_id", "label.column", "customer_id, p", "are one column", ""},
		"key a column":       {"  fold: ", "  customer_id: {type: number, min: 0, max: 1}\n  fold: ", "columns.customer_id", "{type: number, min: 0, max: 1}", "key can't be a column", "remove"},
		"column twice":       {"  fold: ", "  age: {type: number, min: 0, max: 1}\n  fold: ", "columns.age", "age: {type: number, min: 0, ", "appears twice", ""},
		"column name":        {"  fold: ", `  "a=b": `, `columns.a=b`, "{type: split", "not a column name", "letters"},
		"type":               {"type: split", "type: splitt", "columns.fold.type", "splitt", "not one of number, date, category, split", "did you mean split?"},
		"type missing":       {"{type: split, ", "{", "columns.fold.type", "{values: [train", `"type" is missing`, ""},
		"not a mapping":      {"{type: split, values: [train, test]}", "split", "columns.fold", "split ", "expected keys", "{type: number"},
		"min missing":        {"min: 16, ", "", "columns.age.min", "{type: number, max: 110}", `"min" is missing`, "bounds every sum"},
		"min above max":      {"max: 110", "max: 16", "columns.age.max", "16}", "min 16 is not below max 16", ""},
		"max infinite":       {"max: 110", "max: .inf", "columns.age.max", ".inf", "not a finite number", ""},
		"bound too large":    {"max: 110", "max: 1.1e18", "columns.age.max", "1.1e18", "not within ±1e+18", "larger unit"},
		"range too narrow":   {"min: 16, max: 110", "min: 0, max: 1e-19", "columns.age.max", "1e-19", "narrower than", "smaller unit"},
		"outside":            {"outside: reject", "outside: drop", "columns.basket_90d.outside", "drop", "not one of clip, reject", ""},
		"nullable yes":       {"nullable: true", "nullable: yes", "columns.basket_90d.nullable", "yes, o", "true or false", ""},
		"values of a number": {"max: 110", "max: 110, values: [a]", "columns.age.values", "[a]", `a number column has no "values"`, "remove"},
		"nullable split":     {"{type: split, ", "{type: split, nullable: true, ", "columns.fold.nullable", "true, values: [train", `a split column has no "nullable"`, ""},
		"values missing":     {"values: [mobile, desktop, tablet]", "nullable: true", "columns.device.values", "{type: category, nullable: true}", `"values" is missing`, ""},
		"values empty":       {"[mobile, desktop, tablet]", "[]", "columns.device.values", "[]", "0 values", ""},
		"value twice":        {"[mobile, desktop, tablet]", "[mobile, desktop, mobile]", "columns.device.values[2]", "mobile]", "listed twice, first as number 1", ""},
		"value empty":        {"[mobile, desktop, tablet]", `[mobile, ""]`, "columns.device.values[1]", `""]`, "is empty", "nullable"},
		"value long":         {"[mobile, desktop, tablet]", "[" + long + "]", "columns.device.values[0]", "xxx", "has 257 bytes", ""},
		"value control":      {"[mobile, desktop, tablet]", `["a\tb"]`, "columns.device.values[0]", `"a\tb"`, "control characters", ""},
		"value other":        {"[mobile, desktop, tablet]", "[other]", "columns.device.values[0]", "other]}\n", "unlisted", "binding"},
		"value null":         {"[mobile, desktop, tablet]", "[~]", "columns.device.values[0]", "~", "found nothing", ""},
		"other":              {"other: keep", "other: true", "columns.country.other", "true}\n  device", "expected a text", "quotes"},
	}
	text := string(read(t, "shop-customers.yaml"))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			edited := edit(t, text, test.old, test.new)
			_, problems := ParseContract([]byte(edited))
			expectOne(t, edited, problems, test)
		})
	}
}

func TestAllProblemsComeAtOnceInTheOrderOfTheText(t *testing.T) {
	text := "version: 1\nname: X\ncontract: c@1\nfeatures: []\nmodel: {type: logistic_regression, l2: -1, depth: 3}\nrun: {mode: sealed, bits: 7, seed: x}\n"
	_, problems := ParseSpec([]byte(text))
	var paths []string
	for _, p := range problems {
		paths = append(paths, p.Path)
		if p.Line < 1 || p.Column < 1 {
			t.Errorf("no place: %v", p)
		}
	}
	if got, want := strings.Join(paths, " "), "privacy name features model.l2 model.depth run.bits run.seed"; got != want {
		t.Errorf("problems %q, want %q", got, want)
	}
}

func TestDocumentsThatAreNoMappingAreRefusedWithAPlace(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "comment": "# nothing\n", "list": "- a\n", "text": "hello", "not UTF-8": "a: \xff", "NUL": "\x00", "large": strings.Repeat("#", maxYAMLBytes+1),
		"deep": strings.Repeat("[", 100_000), "dashes": strings.Repeat("- ", 100_000), "colons": strings.Repeat("a: ", 100_000),
		"deep in flow": "{" + strings.Repeat("a: ", 100_000) + "}", "tags": strings.Repeat("!a\n", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			s, problems := ParseSpec([]byte(text))
			c, more := ParseContract([]byte(text))
			if s != nil || c != nil || len(problems) == 0 || len(more) == 0 {
				t.Fatalf("accepted: %v %v", problems, more)
			}
			for _, p := range append(problems, more...) {
				if p.Line < 1 || p.Column < 1 || p.Message == "" {
					t.Errorf("incomplete problem %+v", p)
				}
			}
		})
	}
}

func TestBOMAndCRLFAreRead(t *testing.T) {
	text := "\ufeff" + strings.ReplaceAll(string(read(t, "churn.yaml")), "\n", "\r\n")
	if _, problems := ParseSpec([]byte(text)); problems != nil {
		t.Errorf("problems: %v", problems)
	}
}

func TestNumbersAreReadFromTheirText(t *testing.T) {
	s := mustSpec(t, edit(t, string(read(t, "churn.yaml")), "tolerance: 1.0e-8", "tolerance: 1e-5"))
	if s.Model.Tolerance != 1e-5 {
		t.Errorf("tolerance = %v: 1e-5 without a point must be a number", s.Model.Tolerance)
	}
	c := mustContract(t, edit(t, string(read(t, "shop-customers.yaml")), `positive: "yes", negative: "no"`, "positive: 010, negative: no"))
	if c.Label.Positive != "010" || c.Label.Negative != "no" {
		t.Errorf("label values %q and %q: they are the letters that were written", c.Label.Positive, c.Label.Negative)
	}
	c = mustContract(t, edit(t, string(read(t, "shop-customers.yaml")), "[DE, FR, NL, PL]", "[NO, true, 1.0, 007]"))
	col, _ := c.Column("country")
	if got := strings.Join(col.Values, " "); got != "NO true 1.0 007" {
		t.Errorf("values %q", got)
	}
}
