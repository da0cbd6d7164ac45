package jobspec

import (
	"bytes"
	"errors"
	"testing"
)

func checkProblems(t *testing.T, problems []Problem) {
	t.Helper()
	for _, p := range problems {
		if p.Line < 1 || p.Column < 1 || p.Message == "" {
			t.Errorf("incomplete problem %+v", p)
		}
	}
}

func FuzzParseSpec(f *testing.F) {
	f.Add(read(f, "churn.yaml"))
	f.Add(read(f, "minimal.yaml"))
	f.Add(read(f, "private.yaml"))
	f.Add(read(f, "recommend.yaml"))
	f.Add(bytes.Replace(read(f, "crosses.yaml"), []byte("shop-open"), []byte("shop-customers"), 1))
	private := bytes.Replace(read(f, "private.yaml"), []byte("metrics: ["), []byte("groups: [country]\n  metrics: ["), 1)
	f.Add(bytes.Replace(private, []byte("transform: scale"), []byte("transform: scale, clip: {quantiles: [0.01, 0.99]}"), 1))
	f.Add([]byte("a: {b: [c, {d: e}]}\n- x"))
	c := mustContract(f, string(read(f, "shop-customers.yaml")))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, problems := ParseSpec(data)
		if (s == nil) != (len(problems) > 0) {
			t.Fatalf("spec %v with problems %v", s, problems)
		}
		checkProblems(t, problems)
		if s == nil {
			return
		}
		r, problems := Resolve(s, c, fourMembers())
		if (r == nil) != (len(problems) > 0) {
			t.Fatalf("job %v with problems %v", r, problems)
		}
		checkProblems(t, problems)
		if r != nil {
			if again, err := ParseResolved(r.Canonical()); err != nil || again.Digest() != r.Digest() {
				t.Fatalf("%v: %s", err, r.Canonical())
			}
		}
	})
}

func FuzzParseContract(f *testing.F) {
	f.Add(read(f, "shop-customers.yaml"))
	f.Add(read(f, "purchases.yaml"))
	f.Add(read(f, "open.yaml"))
	f.Add([]byte("version: 1\ncolumns:\n  a: {type: category, values: [1, 010, \"x\\ty\"]}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := ParseContract(data)
		if (c == nil) != (len(problems) > 0) {
			t.Fatalf("contract %v with problems %v", c, problems)
		}
		checkProblems(t, problems)
		if c != nil {
			if again, err := ParseContractJSON(c.Canonical()); err != nil || again.Digest() != c.Digest() || Difference(c, again) != nil {
				t.Fatalf("%v: %s", err, c.Canonical())
			}
		}
	})
}

func FuzzParseResolved(f *testing.F) {
	f.Add(bytes.TrimSpace(read(f, "resolved.json")))
	f.Add(bytes.TrimSpace(read(f, "private-resolved.json")))
	for _, name := range []string{"recommend-resolved.json", "recommend-bpr-resolved.json", "recommend-private-resolved.json", "recommend-private-rated-resolved.json"} {
		f.Add(bytes.TrimSpace(read(f, name)))
	}
	for _, spec := range []string{transformsSpec, sketchesPrivate} {
		f.Add(mustResolve(f, mustSpec(f, spec), mustContract(f, transformsContract), four).Canonical())
	}
	dates, c := crossingDates(f)
	f.Add(mustResolve(f, mustSpec(f, dates), c, fourMembers()).Canonical())
	f.Add(bytes.TrimSpace(read(f, "contract.json")))
	f.Add([]byte(`{"program":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseResolved(data)
		switch {
		case err == nil && !bytes.Equal(r.Canonical(), data):
			t.Fatalf("encodes again to %s", r.Canonical())
		case err == nil && !bytes.Contains(data, r.Program()):
			t.Fatal("the program is not part of the job")
		case err != nil && !errors.Is(err, ErrNotCanonical):
			t.Fatalf("another error: %v", err)
		}
		c, err := ParseContractJSON(data)
		switch {
		case err == nil && !bytes.Equal(c.Canonical(), data):
			t.Fatalf("encodes again to %s", c.Canonical())
		case err != nil && !errors.Is(err, ErrNotCanonical):
			t.Fatalf("another error: %v", err)
		}
	})
}
