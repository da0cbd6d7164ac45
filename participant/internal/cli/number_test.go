package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What customers spend is a label, and `check` counts how many labels are at the bounds of its range.
func TestCheckCountsLabelsAtTheBounds(t *testing.T) {
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
	replace("participant.yaml", `missing: ["", NA]`, "customers: {key: id, time: at, until: 2011-12-10, outcome: 30d, amount: total}")
	replace("participant.yaml", "customers.csv,", "transactions.csv,")
	contract, err := os.ReadFile(filepath.Join(dir, "shop-customers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(contract)
	from := strings.Index(text, "label:")
	text = text[:from] + "label: {column: spent, type: number, min: 0, max: 6}\ncolumns:\n  frequency: {type: number, min: 1, max: 9}\n"
	if err := os.WriteFile(filepath.Join(dir, "shop-customers.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := "id,at,total\na,2011-12-01,5\nb,2011-12-02,5\nc,2011-12-03,5\na,2011-12-11,7\nb,2011-12-11,2.5\n"
	if err := os.WriteFile(filepath.Join(dir, "transactions.csv"), []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, config, "check").expect(t, exitUnauthorised, "3 rows fit the contract", "spent                    missing 0, other 0, at the contract's bounds 2")
}
