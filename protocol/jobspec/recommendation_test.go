package jobspec

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func purchases(t testing.TB) *Contract { return mustContract(t, string(read(t, "purchases.yaml"))) }

func TestRecommenderResolvesToTheGoldenDocuments(t *testing.T) {
	c := purchases(t)
	r := mustResolve(t, mustSpec(t, string(read(t, "recommend.yaml"))), c, fourMembers())
	golden(t, "recommend-resolved.json", string(r.Canonical())+"\n")
	golden(t, "recommend-approval.txt", ApprovalText(ApprovalInput{Job: r, Cohort: r.Participants, F: 1}))
	rated := mustResolve(t, mustSpec(t, edit(t, string(read(t, "recommend.yaml")), "item: article, ", "item: article, rating: stars, ")), c, fourMembers())
	golden(t, "recommend-rated-approval.txt", ApprovalText(ApprovalInput{Job: rated, Cohort: rated.Participants, F: 1}))
	bpr := mustResolve(t, mustSpec(t, edit(t, string(read(t, "recommend.yaml")), "factors: 8", "factors: 8, solver: bpr")), c, fourMembers())
	golden(t, "recommend-bpr-resolved.json", string(bpr.Canonical())+"\n")
	golden(t, "recommend-bpr-approval.txt", ApprovalText(ApprovalInput{Job: bpr, Cohort: bpr.Participants, F: 1}))
	sgd := mustResolve(t, mustSpec(t, edit(t, string(read(t, "recommend.yaml")), "factors: 8, recommendation: {item: article, ", "factors: 8, solver: sgd, recommendation: {item: article, rating: stars, epochs: 3, learning_rate: 0.05, ")), c, fourMembers())
	golden(t, "recommend-sgd-approval.txt", ApprovalText(ApprovalInput{Job: sgd, Cohort: sgd.Participants, F: 1}))
	for _, r := range []*Resolved{r, rated, bpr, sgd} {
		if err := r.Conforms(c); err != nil {
			t.Error(err)
		}
		again, err := ParseResolved(r.Canonical())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Errorf("the job changed:\n%s", diff)
		}
	}
	if r.Coefficients() != 5*8 || rated.Coefficients() != 5*9 || bpr.Coefficients() != 5*9 {
		t.Errorf("%d, %d and %d coefficients", r.Coefficients(), rated.Coefficients(), bpr.Coefficients())
	}
	if want := []string{"recall", "ndcg", "map", "coverage", "rmse"}; !cmp.Equal(rated.Metrics, want) || !cmp.Equal(r.Metrics, want[:4]) {
		t.Errorf("metrics %v and %v", r.Metrics, rated.Metrics)
	}
}

// A contract without a label reads back as itself, and differs from one with.
func TestContractWithoutALabel(t *testing.T) {
	c := purchases(t)
	if strings.Contains(string(c.Canonical()), "label") || c.HasLabel() {
		t.Errorf("%s", c.Canonical())
	}
	again, err := ParseContractJSON(c.Canonical())
	if err != nil || Difference(c, again) != nil || c.Digest() != again.Digest() {
		t.Errorf("%v", err)
	}
	empty := strings.Replace(string(c.Canonical()), `"columns"`, `"label":{"column":"","positive":"","negative":""},"columns"`, 1)
	if _, err := ParseContractJSON([]byte(empty)); err == nil {
		t.Error("an empty label is read")
	}
	text := edit(t, string(read(t, "purchases.yaml")), "columns:\n", "label: {column: \"\", positive: \"\", negative: \"\"}\ncolumns:\n")
	if _, problems := ParseContract([]byte(text)); len(problems) == 0 {
		t.Error("an empty label is no problem")
	}
}

func TestRecommenderProblemsNameTheirPlaceAndRemedy(t *testing.T) {
	text := string(read(t, "recommend.yaml"))
	for name, test := range map[string]problemTest{
		"no item":          {"item: article, ", "", "model.recommendation.item", "{top_k", `"item" is missing`, "category"},
		"no block":         {", recommendation: {item: article, top_k: 3, patience: 2}", "", "model.recommendation", "{type", "what it recommends", "recommendation: {item: COLUMN}"},
		"features":         {"privacy: exact", "features: [{columns: [stars]}]\nprivacy: exact", "features", "[{columns", "no features", "remove"},
		"solver":           {"factors: 8", "factors: 8, solver: newton", "model.solver", "newton", "not for a matrix_factorization", "als"},
		"averaging":        {"factors: 8", "factors: 8, averaging: {epochs: 2}", "model.averaging", "{epochs", "averaging is for", "remove"},
		"l2":               {"factors: 8", "factors: 8, l2: 0", "model.l2", "0, reco", "undetermined", "l2: 1"},
		"alpha":            {"top_k: 3", "alpha: 0", "model.recommendation.alpha", "0, pat", "not above 0", ""},
		"alpha of ratings": {"top_k: 3", "rating: stars, alpha: 1", "model.recommendation.alpha", "1, pat", "ratings say more", "remove alpha or rating"},
		"patience":         {"evaluate: {holdout: 0.2}\n", "", "model.recommendation.patience", "2}}", "nothing is held out", "holdout"},
		"top_k":            {"top_k: 3", "top_k: 0", "model.recommendation.top_k", "0, pat", "not within 1 to 1000", ""},
		"epochs of als":    {"top_k: 3", "epochs: 2", "model.recommendation.epochs", "2, pat", "for the solvers sgd and bpr", "solver: sgd or bpr"},
		"rate of als":      {"top_k: 3", "learning_rate: 2", "model.recommendation.learning_rate", "2, pat", "for the solvers sgd and bpr", "solver: sgd or bpr"},
		"no such rate":     {"factors: 8, recommendation: {", "factors: 8, solver: bpr, recommendation: {learning_rate: 0, ", "model.recommendation.learning_rate", "0, item", "not above 0", ""},
		"no such epochs":   {"factors: 8, recommendation: {", "factors: 8, solver: bpr, recommendation: {epochs: 0, ", "model.recommendation.epochs", "0, item", "not within 1 to 100", ""},
		"sgd":              {"factors: 8", "factors: 8, solver: sgd", "model.solver", "sgd, reco", "learns from ratings", "solver: bpr"},
		"bpr of ratings":   {"factors: 8, recommendation: {", "factors: 8, solver: bpr, recommendation: {rating: stars, ", "model.recommendation.rating", "stars, item", "not from ratings", "solver: sgd"},
		"bpr with alpha":   {"factors: 8, recommendation: {", "factors: 8, solver: bpr, recommendation: {alpha: 3, ", "model.recommendation.alpha", "3, item", "for the solver als", "remove alpha"},
		"misspelt":         {"top_k: 3", "topk: 3", "model.recommendation.topk", "topk", "unknown key", "top_k"},
		"another model":    {"type: matrix_factorization, factors: 8", "type: logistic_regression", "features", "version", `"features" is missing`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			edited := edit(t, text, test.old, test.new)
			_, problems := ParseSpec([]byte(edited))
			if name == "another model" {
				problems = problems[:1] // the second is the recommendation
			}
			expectOne(t, edited, problems, test)
		})
	}
	for name, test := range map[string]problemTest{
		"no such item": {"item: article", "item: artikel", "model.recommendation.item", "artikel", "no column", "article"},
		"item a split": {"item: article", "item: season", "model.recommendation.item", "season", "is a split", ""},
		"item numeric": {"item: article", "item: stars", "model.recommendation.item", "stars", "not a category", "declare"},
		"rating":       {"item: article", "item: article, rating: article", "model.recommendation.rating", "article, top", "not a number", "declare"},
		"the key":      {"item: article", "item: customer_id", "model.recommendation.item", "customer_id", "is the key", ""},
		"auc":          {"holdout: 0.2", "holdout: 0.2, metrics: [auc]", "evaluate.metrics", "[auc", "not one of this model's", "recall"},
		"rmse":         {"holdout: 0.2", "holdout: 0.2, metrics: [rmse]", "evaluate.metrics", "[rmse", "not one of this model's", "recall"},
	} {
		t.Run(name, func(t *testing.T) {
			edited := edit(t, text, test.old, test.new)
			_, problems := Resolve(mustSpec(t, edited), purchases(t), fourMembers())
			expectOne(t, edited, problems, test)
		})
	}
}

// privateRecommender is the text of a private job of what users took.
func privateRecommender(t *testing.T) string {
	text := edit(t, string(read(t, "recommend.yaml")), "privacy: exact", `privacy: {unit: user, epsilon: "2.0", delta: "1e-5"}`)
	return edit(t, text, "factors: 8, recommendation: {item: article, top_k: 3, patience: 2}", "recommendation: {item: article, top_k: 3}")
}

func TestPrivateRecommenderResolvesToTheGoldenDocuments(t *testing.T) {
	c := purchases(t)
	r := mustResolve(t, mustSpec(t, privateRecommender(t)), c, fourMembers())
	golden(t, "recommend-private-resolved.json", string(r.Canonical())+"\n")
	golden(t, "recommend-private-approval.txt", ApprovalText(ApprovalInput{Job: r, Cohort: r.Participants, F: 1}))
	checkNoisedRecommender(t, r, c, map[uint8]int{kindFit: 6, kindTrain: 5*8 + 36, kindEvaluate: 4})
	if want := []string{"recall", "ndcg", "map"}; !cmp.Equal(r.Metrics, want) || r.Coefficients() != 5*8 {
		t.Errorf("metrics %v, %d coefficients", r.Metrics, r.Coefficients())
	}
}

// checkNoisedRecommender wants a recommender's noised job to survive its encoding, to have sums of so many values, and to use what its ε allows.
func checkNoisedRecommender(t *testing.T, r *Resolved, c *Contract, lanes map[uint8]int) {
	t.Helper()
	if err := r.Conforms(c); err != nil {
		t.Error(err)
	}
	again, err := ParseResolved(r.Canonical())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, again); diff != "" {
		t.Errorf("the job changed:\n%s", diff)
	}
	for kind, lanes := range lanes {
		if o, _, ok := r.Noise(kind); !ok || o.Segments[0].Length != lanes {
			t.Errorf("kind %d: %+v", kind, o)
		}
	}
	cost, err := r.Cost(r.Private.Order)
	limit, err2 := r.Cap()
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if budget, err := limit.BudgetAt(r.Private.Order); err != nil || cost > budget || cost < budget/100*99 {
		t.Errorf("the sums cost %d of %d units (%v)", cost, budget, err)
	}
}

func TestPrivateRecommenderProblemsNameTheirPlaceAndRemedy(t *testing.T) {
	text := privateRecommender(t)
	for name, test := range map[string]problemTest{
		"unit":      {"unit: user", "unit: record", "privacy.unit", "record", "protects users", "unit: user"},
		"solver":    {"recommendation: {item", "solver: als, recommendation: {item", "model.solver", "als, reco", "has the solver dp_als", "leave it out"},
		"patience":  {"top_k: 3", "patience: 3", "model.recommendation.patience", "3}", "all of its rounds", "remove patience"},
		"alpha":     {"top_k: 3", "alpha: 3", "model.recommendation.alpha", "3}", "weighs all pairs alike", "remove alpha"},
		"factors":   {"recommendation: {item: article", "factors: 65, recommendation: {rating: stars, item: article", "model.factors", "65, reco", "at most 64", "factors: 8"},
		"min_users": {"top_k: 3", "min_users: 3", "model.recommendation.min_users", "3}", "doesn't release", "remove min_users"},
		"tolerance": {"recommendation: {item", "tolerance: 0.1, recommendation: {item", "model.tolerance", "0.1", "all of its rounds", "max_rounds"},
		"l2":        {"recommendation: {item", "l2: 0, recommendation: {item", "model.l2", "0, reco", "undetermined", "l2: 1"},
		"no item":   {"item: article, ", "", "model.recommendation.item", "{top_k", `"item" is missing`, "category"},
	} {
		t.Run(name, func(t *testing.T) {
			edited := edit(t, text, test.old, test.new)
			_, problems := ParseSpec([]byte(edited))
			expectOne(t, edited, problems, test)
		})
	}
	for name, metric := range map[string]string{"coverage": "coverage", "rmse": "rmse"} {
		t.Run(name, func(t *testing.T) {
			edited := edit(t, text, "holdout: 0.2", "holdout: 0.2, metrics: ["+metric+"]")
			_, problems := Resolve(mustSpec(t, edited), purchases(t), fourMembers())
			expectOne(t, edited, problems, problemTest{path: "evaluate.metrics", at: "[" + metric, message: "not one of this model's", hint: "recall, ndcg, map"})
		})
	}
	linear := edit(t, string(read(t, "private.yaml")), "dp_gradient_descent", "dp_als")
	_, problems := ParseSpec([]byte(linear))
	expectOne(t, linear, problems, problemTest{path: "model.solver", at: "dp_als", message: "for a matrix_factorization", hint: "dp_sgd"})
}

func TestParseResolvedRefusesOtherPrivateRecommenders(t *testing.T) {
	r := mustResolve(t, mustSpec(t, privateRecommender(t)), purchases(t), fourMembers())
	for name, test := range map[string][2]string{
		"another unit":   {`"unit":"user"`, `"unit":"record"`},
		"less noise":     {`"sigma2_local":"`, `"sigma2_local":"1`},
		"another scale":  {`"scale":16384`, `"scale":8192`},
		"alpha":          {`"explicit":false`, `"explicit":false,"alpha":4`},
		"ratings":        {`"explicit":false`, `"explicit":true`},
		"patience":       {`"patience":0`, `"patience":2`},
		"no penalty":     {`"l2":1`, `"l2":0`},
		"another solver": {`"solver":"dp_als"`, `"solver":"dp_sgd"`},
		"coverage":       {`"map"]`, `"map","coverage"]`},
		"no factors":     {`"factors":8`, `"factors":0`},
		"more factors":   {`"factors":8`, `"factors":9`},
		"epochs":         {`"seed":"7"`, `"seed":"7","epochs":2`},
	} {
		text := strings.Replace(string(r.Canonical()), test[0], test[1], 1)
		if text == string(r.Canonical()) {
			t.Fatalf("%s: nothing to replace", name)
		}
		if _, err := ParseResolved([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Models that recommend need a contract without a label, others one with.
func TestLabelAndModelGoTogether(t *testing.T) {
	labelled := mustContract(t, string(read(t, "shop-customers.yaml")))
	spec := edit(t, edit(t, string(read(t, "recommend.yaml")), "purchases@1", "shop-customers@1"), "item: article", "item: country")
	_, problems := Resolve(mustSpec(t, spec), labelled, fourMembers())
	expectOne(t, spec, problems, problemTest{path: "model.type", at: "matrix_factorization", message: "has a label", hint: "without a label"})
	spec = edit(t, edit(t, string(read(t, "minimal.yaml")), "shop-customers@1", "purchases@1"), "[age]", "[stars]")
	_, problems = Resolve(mustSpec(t, spec), purchases(t), fourMembers())
	expectOne(t, spec, problems, problemTest{path: "model.type", at: "logistic_regression", message: "has no label", hint: "matrix_factorization"})
}

func TestParseResolvedRefusesOtherRecommenders(t *testing.T) {
	r := mustResolve(t, mustSpec(t, string(read(t, "recommend.yaml"))), purchases(t), fourMembers())
	for name, test := range map[string][2]string{
		"no recommendation": {`,"recommendation":{"explicit":false,"alpha":4,"top_k":3,"patience":2,"seed":"7"}`, ``},
		"another seed":      {`"seed":"7"`, `"seed":"8"`},
		"explicit":          {`"explicit":false,"alpha":4`, `"explicit":true`},
		"alpha":             {`"alpha":4`, `"alpha":0`},
		"no penalty":        {`"l2":10`, `"l2":0`},
		"another solver":    {`"solver":"als"`, `"solver":"newton"`},
		"another metric":    {`"metrics":["recall"`, `"metrics":["auc","recall"`},
		"rmse":              {`"coverage"]`, `"coverage","rmse"]`},
		"indicator":         {`"missing_indicator":false`, `"missing_indicator":true`},
		"factors":           {`"factors":8`, `"factors":0`},
		"top_k":             {`"top_k":3`, `"top_k":0`},
	} {
		if _, err := ParseResolved([]byte(edit(t, string(r.Canonical()), test[0], test[1]))); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSchemaKnowsRecommenders(t *testing.T) {
	spec, contract := compile(t, SpecSchema()), compile(t, ContractSchema())
	text := string(read(t, "recommend.yaml"))
	if err := validate(t, spec, text); err != nil {
		t.Error(err)
	}
	if err := validate(t, contract, string(read(t, "purchases.yaml"))); err != nil {
		t.Error(err)
	}
	for _, e := range [][2]string{{"item: article, ", ""}, {"top_k: 3", "top_k: 0"}, {"top_k: 3", "topk: 3"}, {"privacy: exact", "features: [{columns: [stars]}]\nprivacy: exact"}, {"type: matrix_factorization, ", "type: logistic_regression, "}} {
		if validate(t, spec, edit(t, text, e[0], e[1])) == nil {
			t.Errorf("%s: the schema accepts it", e[1])
		}
	}
}

// The documented recommender is a job.
func TestDocumentedRecommenderResolves(t *testing.T) {
	docs, err := os.ReadFile("../../docs/jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(docs), "A recommender's contract has no label")
	blocks := strings.Split(after, "```yaml\n")
	if !found || len(blocks) < 3 {
		t.Fatal("the page has no recommender")
	}
	contract, _, _ := strings.Cut(blocks[1], "```")
	spec, _, _ := strings.Cut(blocks[2], "```")
	r := mustResolve(t, mustSpec(t, spec), mustContract(t, contract), fourMembers())
	if r.Coefficients() != 3*24 {
		t.Errorf("%d coefficients", r.Coefficients())
	}
}

// As many items with as many factors as no state can hold are refused when the job is made, not when it runs.
func TestRecommenderThatNoStateHolds(t *testing.T) {
	var values []string
	for i := range 9000 {
		values = append(values, fmt.Sprintf("A%d", i))
	}
	c := mustContract(t, edit(t, string(read(t, "purchases.yaml")), "A1, A2, A3, A4, A5", strings.Join(values, ", ")))
	for name, text := range map[string]string{
		"bpr":    edit(t, string(read(t, "recommend.yaml")), "factors: 8", "factors: 250, solver: bpr"),
		"dp_als": edit(t, privateRecommender(t), "recommendation: {", "factors: 250, recommendation: {"),
	} {
		if _, problems := Resolve(mustSpec(t, text), c, fourMembers()); len(problems) == 0 || problems[0].Path != "model" {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// The documented contract, with every kind of column, is one.
func TestDocumentedContractParses(t *testing.T) {
	docs, err := os.ReadFile("../../docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(docs), "```yaml\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatal("the page has no contract")
	}
	c := mustContract(t, block)
	kinds := map[Kind]bool{}
	for _, col := range c.Columns {
		kinds[col.Kind] = true
	}
	if len(kinds) != 4 {
		t.Errorf("kinds of columns %v", kinds)
	}
	for _, label := range []string{"{column: grade, classes: [gold, silver, bronze]}", "{column: spent, type: number, min: 0, max: 3000}"} {
		if !strings.Contains(string(docs), label) {
			t.Errorf("no label %s", label)
		}
		mustContract(t, strings.Replace(block, `{column: churned, positive: "yes", negative: "no"}`, label, 1))
	}
}
