package jobspec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestResolveNamesWhatDoesNotFitTheContract(t *testing.T) {
	tests := map[string]problemTest{
		"unknown column":        {"[age, tenure_days]", "[agee, tenure_days]", "features[0].columns[0]", "agee", `no column "agee"`, "did you mean age?"},
		"unknown far column":    {"[age, tenure_days]", "[zzz, tenure_days]", "features[0].columns[0]", "zzz", `no column "zzz"`, "known are age, basket_90d"},
		"label":                 {"[age, tenure_days]", "[churned, tenure_days]", "features[0].columns[0]", "churned", "is the label", "remove"},
		"key":                   {"[age, tenure_days]", "[age, customer_id]", "features[0].columns[1]", "customer_id", "is the key", "remove"},
		"split":                 {"[age, tenure_days]", "[age, fold]", "features[0].columns[1]", "fold]", "is a split", "remove"},
		"twice":                 {"[age, tenure_days]", "[age, age]", "features[0].columns[1]", "age], t", "already a feature, at features[0].columns[0]", "remove"},
		"number one_hot":        {"[country, device]", "[country, device, age2]", "features[2].columns[2]", "age2", "no column", "did you mean age?"},
		"category standardised": {"[age, tenure_days]", "[age, country]", "features[0].columns[1]", "country]", "country is a category; standardize is for numbers", "one_hot"},
		"few bits":              {"seed: 7 ", "bits: 23 ", "run.bits", "23 ", "max_rows 5000000 doesn't fit a lane of 23 bits, which counts to 4194303", "raise bits"},
		"contract":              {"shop-customers@1 ", "shop-customers@2 ", "contract", "shop-customers@2", "not for shop-customers@1", "write contract: shop-customers@1"},
		"noised":                {"mode: sealed ", "mode: noised ", "run.mode", "noised ", "only with mode sealed", "mode: sealed"},
		"no such split":         {"holdout: 0.2 ", "holdout: {column: folds, equals: test} ", "evaluate.holdout.column", "folds", "no column", "did you mean fold?"},
		"holdout by a number":   {"holdout: 0.2 ", "holdout: {column: age, equals: test} ", "evaluate.holdout.column", "age, equals", "is a number, not a split", "tenths"},
		"holdout value":         {"holdout: 0.2 ", "holdout: {column: fold, equals: tset} ", "evaluate.holdout.equals", "tset", `no value "tset"`, "did you mean test?"},
		"metrics alone":         {"holdout: 0.2 ", "", "evaluate.metrics", "[auc", "need a hold-out", "add holdout"},
		"metrics at zero":       {"holdout: 0.2 ", "holdout: 0 ", "evaluate.metrics", "[auc", "need a hold-out", "add holdout"},
		"holdout alone":         {"[auc, log_loss, accuracy]", "[]", "evaluate.metrics", "[]", "without metrics", "list metrics"},
		"threshold low":         {"{threshold: 3, of: 4}", "{threshold: 2, of: 4}", "run.committee", "{threshold: 2", "threshold 2 of 4 is too low: with f = 1 it takes at least 3", "{threshold: 3, of: 4} or {threshold: 3, of: 3}"},
		"threshold high":        {"{threshold: 3, of: 4}", "{threshold: 4, of: 4}", "run.committee", "{threshold: 4", "too high: with f = 1 it may be at most 3", ""},
		"committee large":       {"{threshold: 3, of: 4}", "{threshold: 5, of: 7}", "run.committee.of", "7}", "needs 7 members that may hold a seat, the charter has 4", ""},
		"unknown member":        {"participants: all", "participants: [alpen-shop, nord-markt, ost-handle]", "run.participants[2]", "ost-handle", "no data member", "did you mean ost-handel?"},
		"small cohort":          {"participants: all", "participants: [alpen-shop, nord-markt]", "run.participants", "[alpen", "2 participants are too few: an exact job with f = 1 takes at least 3", "add"},
	}
	text, c := string(read(t, "churn.yaml")), mustContract(t, string(read(t, "shop-customers.yaml")))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			edited := edit(t, text, test.old, test.new)
			_, problems := Resolve(mustSpec(t, edited), c, fourMembers())
			expectOne(t, edited, problems, test)
		})
	}
}

func TestTransformsMustFitTheColumnsType(t *testing.T) {
	c := mustContract(t, "{version: 1, name: c, revision: 1, key: id, max_rows: 9, label: {column: y, positive: 1, negative: 0}, columns: {a: {type: number, min: -1, max: 1}, z: {type: number, min: 1000000, max: 1000000.0000000001}, k: {type: category, values: [u, v]}}}")
	for features, want := range map[string]string{
		"{columns: [a], transform: log1p}":                "log1p needs values above -1, but the contract allows a down to -1",
		"{columns: [a], transform: [log1p, standardize]}": "log1p needs values above -1",
		"{columns: [z], transform: log1p}":                "the range of z from 1e+06 to 1.0000000000000001e+06 is a single number under log1p",
		"{columns: [a], transform: one_hot}":              "column a is a number; one_hot is for categories",
		"{columns: [k]}":                                  "column k is a category and needs a transform",
		"{columns: [k], transform: [log1p, standardize]}": "log1p and standardize is for numbers",
	} {
		s := mustSpec(t, "version: 1\nname: j\ncontract: c@1\nfeatures: ["+features+"]\nmodel: {type: logistic_regression}\nprivacy: exact\nrun: {mode: sealed}\n")
		_, problems := Resolve(s, c, Options{F: 1, Contributors: 4})
		if len(problems) != 1 || !strings.Contains(problems[0].Message, want) || problems[0].Line != 4 {
			t.Errorf("%s: %v, want %q", features, problems, want)
		}
	}
}

func TestDefaultsAreWrittenOut(t *testing.T) {
	r := mustResolve(t, mustSpec(t, string(read(t, "minimal.yaml"))), mustContract(t, string(read(t, "shop-customers.yaml"))), Options{F: 1, Contributors: 4})
	if r.RoundTimeout != 2*time.Minute || r.Expires != 30*24*time.Hour || r.Seed != 0 || r.Bits != 40 || !r.Holdout.None() || len(r.Metrics) != 0 {
		t.Errorf("run defaults: %+v", r)
	}
	if r.Model != (Model{Type: "logistic_regression", L2: 1, Solver: "newton", MaxRounds: 10, Tolerance: 1e-8}) {
		t.Errorf("model defaults: %+v", r.Model)
	}
	if f := r.Features[0]; f.Clip != 64 || f.Standardize || f.Log1p || f.MissingIndicator {
		t.Errorf("feature defaults: %+v", f)
	}
	if r.Committee != (Committee{3, 4}) || r.Contributors != 4 || r.Participants != nil {
		t.Errorf("cohort defaults: %+v", r)
	}
	if got := string(r.Canonical()); !strings.Contains(got, `"participants":[],"committee":{"threshold":3,"of":4},"round_timeout_ms":120000,"expires_ms":2592000000,"seed":0`) {
		t.Errorf("canonical: %s", got)
	}
}

func TestCommitteeRule(t *testing.T) {
	// By hand from ⌈(m+f+1)/2⌉ ≤ t ≤ m−f.
	allowed := map[int]string{
		0: "1/1 2/2 2/3 3/3 3/4 4/4 3/5 4/5 5/5 4/6 5/6 6/6 4/7 5/7 6/7 7/7",
		1: "3/3 3/4 4/5 4/6 5/6 5/7 6/7",
		2: "5/7",
	}
	for f, want := range allowed {
		var got []string
		for m := 1; m <= 7; m++ {
			for threshold := 0; threshold <= m+1; threshold++ {
				if CheckCommittee(Committee{threshold, m}, f) == nil {
					got = append(got, fmt.Sprintf("%d/%d", threshold, m))
				}
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("f = %d allows %s, want %s", f, strings.Join(got, " "), want)
		}
	}
	for _, test := range []struct {
		f, seats int
		want     Committee
	}{{0, 3, Committee{2, 3}}, {1, 3, Committee{3, 3}}, {1, 4, Committee{3, 4}}, {1, 9, Committee{3, 4}}, {2, 7, Committee{5, 7}}, {3, 10, Committee{7, 10}}, {2, 6, Committee{}}, {-1, 9, Committee{}}} {
		if got, ok := DefaultCommittee(test.f, test.seats); got != test.want || ok != (test.want.Of > 0) {
			t.Errorf("f = %d with %d seats: %v, want %v", test.f, test.seats, got, test.want)
		}
	}
}

func TestTooManyOutputColumnsAreRefused(t *testing.T) {
	spec := mustSpec(t, "version: 1\nname: j\ncontract: c@1\nfeatures: [{columns: [k], transform: one_hot}]\nmodel: {type: logistic_regression}\nprivacy: exact\nrun: {mode: sealed}\n")
	contract := func(values int) *Contract {
		var list []string
		for i := range values {
			list = append(list, fmt.Sprintf("v%d", i))
		}
		return mustContract(t, "{version: 1, name: c, revision: 1, key: id, max_rows: 9, label: {column: y, positive: 1, negative: 0}, columns: {k: {type: category, values: ["+strings.Join(list, ", ")+"]}}}")
	}
	mustResolve(t, spec, contract(1998), Options{F: 1, Contributors: 4}) // with other and the intercept: 2000
	_, problems := Resolve(spec, contract(1999), Options{F: 1, Contributors: 4})
	if len(problems) != 1 || problems[0].Path != "features" || !strings.Contains(problems[0].Message, "2001 output columns") || problems[0].Hint == "" {
		t.Errorf("problems: %v", problems)
	}
}

func TestCohortBounds(t *testing.T) {
	spec, c := mustSpec(t, string(read(t, "minimal.yaml"))), mustContract(t, string(read(t, "shop-customers.yaml")))
	for _, test := range []struct {
		f, n int
		ok   bool
	}{{0, 2, false}, {0, 3, true}, {1, 2, false}, {1, 3, true}, {2, 7, true}, {2, 3, false}, {1, 1638, true}, {1, 1639, false}} {
		_, problems := Resolve(spec, c, Options{F: test.f, Contributors: test.n})
		if (len(problems) == 0) != test.ok {
			t.Errorf("f = %d, n = %d: %v", test.f, test.n, problems)
		}
	}
}

func TestIndicatorsExistOnlyForNullableColumns(t *testing.T) {
	r, _ := example(t)
	var with []string
	for _, f := range r.Features {
		if f.MissingIndicator {
			with = append(with, f.Name)
		}
	}
	if !slices.Equal(with, []string{"basket_90d"}) {
		t.Errorf("indicators for %v: visits_30d can't be missing", with)
	}
}
