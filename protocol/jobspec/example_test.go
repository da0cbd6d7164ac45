package jobspec

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", name), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(read(t, name)), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

func mustContract(t testing.TB, text string) *Contract {
	t.Helper()
	c, problems := ParseContract([]byte(text))
	if len(problems) > 0 {
		t.Fatalf("contract: %v", problems)
	}
	return c
}

func mustSpec(t testing.TB, text string) *Spec {
	t.Helper()
	s, problems := ParseSpec([]byte(text))
	if len(problems) > 0 {
		t.Fatalf("spec: %v", problems)
	}
	return s
}

func mustResolve(t testing.TB, s *Spec, c *Contract, o Options) *Resolved {
	t.Helper()
	r, problems := Resolve(s, c, o)
	if len(problems) > 0 {
		t.Fatalf("resolve: %v", problems)
	}
	return r
}

func fourMembers() Options {
	return Options{F: 1, Members: []string{"nord-markt", "alpen-shop", "west-mode", "ost-handel"}, Seats: 4}
}

func example(t testing.TB) (*Resolved, *Contract) {
	t.Helper()
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	return mustResolve(t, mustSpec(t, string(read(t, "churn.yaml"))), c, fourMembers()), c
}

func TestTheWorkedExampleResolvesToTheGoldenDocuments(t *testing.T) {
	r, c := example(t)
	golden(t, "contract.json", string(c.Canonical())+"\n")
	golden(t, "resolved.json", string(r.Canonical())+"\n")
	golden(t, "program.json", string(r.Program())+"\n")
	if err := r.Conforms(c); err != nil {
		t.Error(err)
	}
	// 4 numbers, one indicator, 4+1 countries, 3+1 devices, the intercept.
	if got := r.Outputs(); got != 15 {
		t.Errorf("outputs = %d, want 15", got)
	}
}

func TestCanonicalDocumentsParseToThemselves(t *testing.T) {
	r, c := example(t)
	c2, err := ParseContractJSON(c.Canonical())
	if err != nil {
		t.Fatal(err)
	}
	if d := Difference(c, c2); d != nil || c.Digest() != c2.Digest() {
		t.Errorf("contract changed: %v", d)
	}
	r2, err := ParseResolved(r.Canonical())
	if err != nil {
		t.Fatal(err)
	}
	if r.Digest() != r2.Digest() {
		t.Error("the job's digest changed")
	}
	if diff := cmp.Diff(r, r2); diff != "" {
		t.Errorf("the job changed:\n%s", diff)
	}
}

func TestDigestIgnoresTheOrderOfKeysAndColumns(t *testing.T) {
	a := mustContract(t, "{version: 1, name: c, revision: 1, key: id, max_rows: 9, label: {column: y, positive: 1, negative: 0}, columns: {a: {type: number, min: 0, max: 1.50}, b: {type: number, min: -0, max: 1}}}")
	b := mustContract(t, "{columns: {b: {min: 0, max: 1e0, outside: clip, nullable: false, type: number}, a: {type: number, max: 1.5, min: 0}}, name: c, revision: 1, key: id, max_rows: 9, label: {column: y, positive: \"1\", negative: \"0\"}, version: 1}")
	if a.Digest() != b.Digest() {
		t.Errorf("digests differ:\n%s\n%s", a.Canonical(), b.Canonical())
	}
}

func TestApprovalTextIsGolden(t *testing.T) {
	r, _ := example(t)
	golden(t, "approval.txt", ApprovalText(ApprovalInput{
		Job: r, Cohort: r.Participants, Seats: []string{"alpen-shop", "nord-markt", "ost-handel", "west-mode"}, F: 1,
		Expires: "2026-12-31 12:00 UTC"}))

	three := mustResolve(t, mustSpec(t, string(read(t, "minimal.yaml"))), mustContract(t, string(read(t, "shop-customers.yaml"))),
		Options{F: 1, Members: []string{"c", "a", "b"}})
	golden(t, "approval-three.txt", ApprovalText(ApprovalInput{
		Job: three, Cohort: three.Participants, F: 1, RosterBytes: 65 << 20,
		Earlier: []EarlierDifference{{Job: "3f2a", Organisation: "d"}}}))
}
