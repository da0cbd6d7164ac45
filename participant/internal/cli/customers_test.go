package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A source of transactions is checked as its customers: counts of what was left out, and bad lines by their row.
func TestCheckTellsOfWhatCustomersAreMade(t *testing.T) {
	config := folder(t, "alpen")
	dir := filepath.Dir(config)
	replace := func(file, from, to string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.Contains(string(text), from) {
			t.Fatalf("%s: %v, no %q", file, err, from)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replace("participant.yaml", `missing: ["", NA]`, "customers: {key: id, blank_keys: skip, time: at, until: 2011-12-10, outcome: 30d, amount: total, positive: [total]}")
	replace("participant.yaml", "customers.csv,", "transactions.csv,")
	replace("shop-customers.yaml", "label: {column: churned", "label: {column: returned")
	replace("shop-customers.yaml", "age: {type: number, min: 16, max: 110, nullable: true}", "frequency: {type: number, min: 1, max: 2}")
	replace("shop-customers.yaml", "  country: {type: category, values: [DE, FR], other: keep}\n", "  spent: {type: number, min: 0, max: 1000}\n")
	file := filepath.Join(dir, "transactions.csv")
	if err := os.WriteFile(file, []byte("id,at,total\na,2011-12-01,5\na,2011-12-02,5\n,2011-12-02,5\nb,2011-12-03,-5\nb,2011-12-04,0.25\na,2011-12-11,7\nc,2011-12-31,7\nc,2012-02-01,7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, config, "check").expect(t, exitUnauthorised, "2 rows fit the contract", "made of 3 of 8 transactions, from 2011-12-01 to 2012-02-01; 2 more decide the outcome",
		"left out: 0 by where, 1 without a customer, 1 not positive, 0 before the window, 1 too late; and 1 customers, who have none that counts", "at the contract's bounds 2")
	replace("transactions.csv", "c,2012-02-01,7\n", "")
	run(t, config, "check").expect(t, exitUnauthorised, "made of 3 of 7 transactions", "note: no transaction is later than the outcome's period")
	replace("transactions.csv", "2011-12-11,7", "11.12.2011,7")
	a := run(t, config, "check", "--output", "json")
	var told struct{ Error failure }
	if err := json.Unmarshal([]byte(a.out), &told); err != nil || told.Error.Code != "data" || !strings.Contains(told.Error.Message, `row 7, column at: expected a time such as 2011-12-09`) {
		t.Errorf("%s: %v", a.out, err)
	}
}

// Two ways to make customers of one file have one privacy account.
func TestCustomersOfOneFileHaveOneAccount(t *testing.T) {
	config := folder(t, "alpen")
	text, _ := os.ReadFile(config)
	more := "  - {contract: other@1, id: again, source: {csv: ./customers.csv, customers: {key: id, time: age, until: 2011-12-10}}}\n" +
		"  - {contract: third@1, id: once-more, source: {csv: customers.csv, customers: {key: country, time: age, until: 2011-12-11}}}\n"
	if err := os.WriteFile(config, append(text, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, config, "budget", "open", "again", "--epsilon", "10", "--delta", "1e-5").expect(t, exitOK)
	for _, id := range []string{"customers", "once-more"} {
		run(t, config, "budget", "open", id, "--epsilon", "10", "--delta", "1e-5").expect(t, exitRefused, "has a privacy account: again")
	}
}

func TestUntilOfScoresIsForTransactions(t *testing.T) {
	config := folder(t, "alpen")
	run(t, config, "score", "--model", "m.json", "--data", "customers", "--out", "x.csv", "--until", "2011-12-10").expect(t, exitUsage, "--until needs a source that makes customers of transactions, which customers doesn't")
	run(t, config, "score", "--model", "m.json", "--in", "customers.csv", "--out", "x.csv", "--until", "2011-12-10").expect(t, exitUsage, "--until needs --data")
	text, _ := os.ReadFile(config)
	if err := os.WriteFile(config, []byte(strings.Replace(string(text), `missing: ["", NA]`, "customers: {key: id, time: age, until: 2011-12-10}", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, config, "score", "--model", "m.json", "--data", "customers", "--out", "x.csv", "--until", "soon").expect(t, exitUsage, `--until: expected a time such as 2011-12-09`)
	run(t, config, "score", "--model", "m.json", "--data", "customers", "--out", "x.csv", "--until", "2012-01-01").expect(t, exitUsage, "m.json")
}
