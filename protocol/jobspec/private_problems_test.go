package jobspec

import (
	"strings"
	"testing"
)

func tenMembers() Options {
	return Options{F: 2, Members: strings.Fields("a b c d e f g h i j"), Seats: 7}
}

func TestPrivateSpecProblemsNameTheirPlaceAndRemedy(t *testing.T) {
	const one, two = "transform: scale} ", "[log1p, scale]"
	tests := map[string]problemTest{
		"standardize order":   {two, "[standardize, log1p]", "features[1].transform", "[standardize, log1p]", "log1p can't follow standardize", "[log1p, standardize]"},
		"both scales":         {two, "[standardize, scale]", "features[1].transform", "[standardize, scale]", "don't go together", "scale, standardize or either after log1p"},
		"scale order":         {two, "[scale, log1p]", "features[1].transform", "[scale, log1p]", "log1p can't follow scale", "[log1p, scale]"},
		"scale and one_hot":   {two, "[scale, one_hot]", "features[1].transform", "[scale, one_hot]", "don't go together", "one_hot alone"},
		"scale misspelt":      {one, "transform: scaled} ", "features[0].transform", "scaled}", "not one of log1p, standardize, one_hot, scale", "did you mean scale?"},
		"clip of a feature":   {one, "transform: scale, clip: 3} ", "features[0].clip", "3} ", "needs standardize", "{quantiles: [0.01, 0.99]}"},
		"min_count":           {"transform: one_hot}", "transform: one_hot, min_count: 20}", "features[2].min_count", "20}", "counts of categories", "remove min_count"},
		"newton":              {"solver: dp_gradient_descent", "solver: newton", "model.solver", "newton", "for exact jobs", "dp_gradient_descent or dp_sgd"},
		"solver misspelt":     {"solver: dp_gradient_descent", "solver: dp_gradient_decent", "model.solver", "dp_gradient_decent", "not one of newton, lbfgs, fedavg, fedprox, fedadam, als, sgd, bpr, dp_gradient_descent, dp_sgd", "did you mean dp_gradient_descent?"},
		"tolerance":           {"solver: dp_gradient_descent", "tolerance: 1e-8", "model.tolerance", "1e-8", "runs all of its rounds", "remove tolerance"},
		"epsilon a number":    {`epsilon: "1.0"`, "epsilon: 1.0", "privacy.epsilon", "1.0, delta", "in quotes", `write "1.0" in quotes`},
		"epsilon zero":        {`epsilon: "1.0"`, `epsilon: "0.0"`, "privacy.epsilon", `"0.0"`, "epsilon 0.0 is not above 0", ""},
		"epsilon large":       {`epsilon: "1.0"`, `epsilon: "100.1"`, "privacy.epsilon", `"100.1"`, "at most 100", ""},
		"epsilon negative":    {`epsilon: "1.0"`, `epsilon: "-1"`, "privacy.epsilon", `"-1"`, "not a decimal number", ""},
		"epsilon missing":     {`epsilon: "1.0", `, "", "privacy.epsilon", "{unit: record", `"epsilon" is missing`, `epsilon: "1.0"`},
		"delta plain":         {`delta: "1e-5"`, "delta: 1e-5", "privacy.delta", "1e-5, c", "in quotes", `write "1e-5" in quotes`},
		"delta large":         {`delta: "1e-5"`, `delta: "0.011"`, "privacy.delta", `"0.011"`, "at most 0.01", ""},
		"delta exponent":      {`delta: "1e-5"`, `delta: "1e-999"`, "privacy.delta", `"1e-999"`, "exponent", ""},
		"clip no decimal":     {`clip: "1.0"`, `clip: "one"`, "privacy.clip", `"one"`, "not a decimal number", ""},
		"clip other":          {`clip: "1.0"`, `clip: "1.01"`, "privacy.clip", `"1.01"`, "clip 1.01 is not 1.0", `write clip: "1.0"`},
		"unit unknown":        {"unit: record", "unit: row", "privacy.unit", "row, e", "not one of record, user, silo", ""},
		"clip of rows":        {`unit: record, epsilon: "1.0", delta: "1e-5", clip: "1.0"`, `unit: user, epsilon: "1.0", delta: "1e-5", clip: "2.5"`, "privacy.clip", `"2.5"`, "not a whole number of rows from 1 to 65536", "more noise"},
		"sampling":            {"solver: dp_gradient_descent", `sampling: {rate: "0.1"}`, "model.sampling", "{rate", "for the solver dp_sgd", "write solver: dp_sgd"},
		"sampling rate":       {"solver: dp_gradient_descent", "solver: dp_sgd\n  sampling: {rate: \"1.1\"}", "model.sampling.rate", `"1.1"`, "not above 0 and at most 1", `"0.05"`},
		"sampling learning":   {"solver: dp_gradient_descent", "solver: dp_sgd\n  sampling: {learning_rate: 0}", "model.sampling.learning_rate", "0}", "not above 0", ""},
		"sampling momentum":   {"solver: dp_gradient_descent", "solver: dp_sgd\n  sampling: {momentum: 1}", "model.sampling.momentum", "1}", "below 1", "momentum: 0.9"},
		"min_participants":    {"min_participants: 9 ", "min_participants: 0 ", "run.min_participants", "0   ", "0 is not within 1 to 1638", ""},
		"min_participants in": {"min_participants: 9 ", "min_participant: 9 ", "run.min_participant", "min_participant:", "unknown key", "did you mean min_participants"},
	}
	text := string(read(t, "private.yaml"))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			edited := edit(t, text, test.old, test.new)
			_, problems := ParseSpec([]byte(edited))
			expectOne(t, edited, problems, test)
		})
	}
}

func TestExactSpecsRefuseWhatPrivateJobsHave(t *testing.T) {
	tests := map[string]problemTest{
		"scale":            {"columns: [age, tenure_days], transform: standardize", "columns: [age, tenure_days], transform: scale", "features[0].transform", "scale}", "scale is for private jobs", "standardize"},
		"log1p scale":      {"[log1p, standardize]", "[log1p, scale]", "features[1].transform", "[log1p, scale]", "for private jobs", "standardize"},
		"sampling":         {"solver: newton", `sampling: {rate: "0.1"}`, "model.sampling", "{rate", "for private jobs", "remove sampling"},
		"dp_sgd":           {"solver: newton", "solver: dp_sgd", "model.solver", "dp_sgd", "for private jobs", "newton"},
		"solver":           {"solver: newton", "solver: dp_gradient_descent", "model.solver", "dp_gradient_descent", "for private jobs", "newton"},
		"min_participants": {"seed: 7 ", "min_participants: 3 ", "run.min_participants", "3   ", "needs all of its participants", "remove min_participants"},
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

func TestAnExactSpecMadePrivateTellsAllThatChangesAtOnce(t *testing.T) {
	text := edit(t, string(read(t, "churn.yaml")), "privacy: exact ", `privacy: {unit: silo, epsilon: "0", delta: "1e-5", clip: "0"} `)
	_, problems := ParseSpec([]byte(text))
	var paths []string
	for _, p := range problems {
		paths = append(paths, p.Path)
		if p.Line < 1 || p.Column < 1 || (p.Hint == "" && p.Path != "privacy.epsilon") {
			t.Errorf("incomplete: %v", p)
		}
	}
	const want = "features[2].min_count model.solver model.tolerance privacy.epsilon privacy.clip"
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("problems %q, want %q", got, want)
	}
}

func TestTheKindIsNotGuessedWherePrivacyIsWrong(t *testing.T) {
	for _, privacy := range []string{"privacy: none ", "# "} {
		text := edit(t, string(read(t, "private.yaml")), `privacy: {unit: record, epsilon: "1.0", delta: "1e-5", clip: "1.0"}`, privacy)
		_, problems := ParseSpec([]byte(text))
		if len(problems) != 1 || problems[0].Path != "privacy" {
			t.Errorf("%s: %v", privacy, problems)
		}
	}
}

func TestResolveNamesWhatAPrivateJobCanNotHave(t *testing.T) {
	tests := map[string]problemTest{
		"noised":         {"mode: sealed", "mode: noised", "run.committee", "{threshold", "a noised job has no committee", "remove committee"},
		"no transform":   {", transform: scale} ", "} ", "features[0].columns[0]", "age", "column age is a number and needs scale or standardize", "use scale or standardize, or [log1p, scale]"},
		"log1p alone":    {"[basket_90d, visits_30d], transform: [log1p, scale]", "[visits_30d], transform: log1p", "features[1].columns[0]", "visits_30d", "needs scale", "[log1p, scale]"},
		"one_hot":        {"[age, tenure_days], transform: scale", "[age], transform: one_hot", "features[0].columns[0]", "age", "one_hot is for categories", "use scale"},
		"scale category": {"[country, device], transform: one_hot", "[country], transform: scale", "features[2].columns[0]", "country", "scale is for numbers", "one_hot"},
		"n_min low":      {"min_participants: 9 ", "min_participants: 3 ", "run.min_participants", "3   ", "3 is not within 4, which is f + 2, to 10", "the default is 9"},
		"n_min high":     {"min_participants: 9 ", "min_participants: 11 ", "run.min_participants", "11  ", "to 10, the number of participants", ""},
		"cohort":         {"min_participants: 9 ", "participants: [a, b, c] ", "run.participants", "[a, b, c]", "a private job with f = 2 takes at least 4", ""},
		"epsilon digits": {`epsilon: "1.0"`, `epsilon: "1.00000000000000000000000001"`, "privacy.epsilon", `"1.000`, "64-bit", "fewer digits"},
		"epsilon small":  {`epsilon: "1.0", delta: "1e-5"`, `epsilon: "0.001", delta: "1e-12"`, "privacy.epsilon", `"0.001"`, "admits no sum at all", "raise epsilon or delta"},
		"bits":           {"round_timeout: 2m", "bits: 24", "run.bits", "24\n", "don't fit lanes of 24 bits at 64 units", "raise bits"},
	}
	text, c := string(read(t, "private.yaml")), mustContract(t, string(read(t, "shop-customers.yaml")))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			edited := edit(t, text, test.old, test.new)
			_, problems := Resolve(mustSpec(t, edited), c, tenMembers())
			if name == "no transform" && len(problems) == 2 {
				problems = problems[:1] // the second is tenure_days'
			}
			expectOne(t, edited, problems, test)
		})
	}
}

func TestPrivateDefaults(t *testing.T) {
	text := string(read(t, "private.yaml"))
	for _, e := range [][2]string{{"  solver: dp_gradient_descent\n", ""}, {`, clip: "1.0"`, ""}, {"  min_participants: 9  ", "#"}, {"  max_rounds: 12  ", "#"}} {
		text = edit(t, text, e[0], e[1])
	}
	s, c := mustSpec(t, text), mustContract(t, string(read(t, "shop-customers.yaml")))
	r := mustResolve(t, s, c, tenMembers())
	if got := string(r.Canonical()); got+"\n" != string(read(t, "private-resolved.json")) {
		t.Errorf("the defaults are not those of the example:\n%s", got)
	}
	for _, test := range []struct{ n, f, want int }{{3, 0, 2}, {3, 1, 3}, {4, 1, 3}, {4, 2, 4}, {10, 2, 9}, {19, 2, 18}, {20, 2, 18}, {100, 20, 90}, {100, 90, 92}} {
		if got := quorum(s, test.n, test.f, nil); got != test.want {
			t.Errorf("n = %d, f = %d: n_min %d, want %d", test.n, test.f, got, test.want)
		}
	}
}
