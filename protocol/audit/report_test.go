package audit

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/protocol/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update rewrites it); got:\n%s", name, got)
	}
}

func written(t *testing.T, write func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTextReportAsPeopleReadIt(t *testing.T) {
	r := NewReport(story(t, nil).verify())
	golden(t, "report.txt", written(t, func(b *bytes.Buffer) error { return r.WriteText(b) }))
	golden(t, "report.csv", written(t, func(b *bytes.Buffer) error { return r.WriteCSV(b) }))
}

func TestReportAddsUpToTheLedger(t *testing.T) {
	r := NewReport(story(t, nil).verify())
	a := r.Members[0].Accounts[0] // alpen: 1 fit, 3 train of which one aborted, 1 evaluate, 1 in the cancelled job
	per := a.Jobs[0].Spent.Units / uint64(a.Jobs[0].Charges)
	if a.Spent.Units != 6*per || a.Jobs[0].Charges != 5 || a.Jobs[0].Sums != 4 || a.Jobs[1].Charges != 1 || a.Jobs[1].Sums != 0 || a.Refills != 1 {
		t.Errorf("%+v", a)
	}
	if a.Spent.Units+a.Left.Units != a.Budget.Units {
		t.Errorf("spent %d and left %d aren't the budget %d", a.Spent.Units, a.Left.Units, a.Budget.Units)
	}
	want, err := accountant.Epsilon([]accountant.Release{{Mechanism: accountant.Sum{Sensitivity2: cost, Sigma2: dp.Integer(600 * cost), Rate: dp.Integer(1)}, Count: 4}}, 1e-5)
	if err != nil || math.Abs(float64(a.Opened)-want.Epsilon) > 1e-4 || float64(a.Opened) < want.Epsilon {
		t.Errorf("ε of four sums %v, want %v (%v)", a.Opened, want.Epsilon, err)
	}
	if a.Bound < a.Opened {
		t.Errorf("charges bound ε by %v, below the %v of what was opened", a.Bound, a.Opened)
	}
	total := uint64(0)
	for _, m := range a.Periods {
		total += m.Spent.Units
	}
	if total != a.Spent.Units || len(a.Periods) < 2 {
		t.Errorf("months %+v add up to %d of %d", a.Periods, total, a.Spent.Units)
	}
	if len(r.Several) != 2 || r.Several[0].Epsilon <= a.Opened || r.Several[1].Epsilon <= r.Several[0].Epsilon {
		t.Errorf("records at several members: %+v", r.Several)
	}
	if r.Members[0].ExactSums != 3 || len(r.Jobs) != 3 || len(r.Jobs[1].Refusals) != 1 || len(r.Jobs[1].Aborts) != 1 {
		t.Errorf("%+v", r.Jobs)
	}
}

func TestReportOfOneMember(t *testing.T) {
	r := NewReport(story(t, nil).verify())
	if r.Only("nobody") {
		t.Error("a report of nobody")
	}
	if !r.Only("edel") || len(r.Members) != 1 || len(r.Jobs) != 1 || r.Jobs[0].Kind != "private" {
		t.Errorf("%+v", r)
	}
}

func TestHTMLIsSelfContainedAndEscapesWhatMembersWrote(t *testing.T) {
	evil := `</td><script>alert(1)</script>`
	w := story(t, map[string]func(wire.Object){
		"private/2/abort": as(func(o *wire.Abort) { o.Reason = evil + "\nverified: 99 entries" }),
		"enrol/edel":      as(func(o *wire.Enrolment) { o.Card = wire.NewCard(memberKeys()[4], "=cmd", evil) }),
		"charter/2":       as(func(o *wire.Charter) { o.Members[4].Card = wire.NewCard(memberKeys()[4], "=cmd", evil) }),
	})
	b := w.verify()
	if !b.Verified() {
		t.Fatal(b.Findings)
	}
	r := NewReport(b)
	html := string(written(t, func(b *bytes.Buffer) error { return r.WriteHTML(b) }))
	for _, not := range []string{"<script", "http:", "https:", "src=", "<link", "@import", "url("} {
		if strings.Contains(html, not) {
			t.Errorf("the page contains %q", not)
		}
	}
	for _, want := range []string{"alpen", "What the figures mean", r.Members[0].Accounts[0].Opened.String(), "&lt;script&gt;", "verified: 99"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	text := string(written(t, func(b *bytes.Buffer) error { return r.WriteText(b) }))
	if regexp.MustCompile(`(?m)^verified: 99`).MatchString(text) {
		t.Error("a reason forged a line of its own")
	}
	rows, err := csv.NewReader(bytes.NewReader(written(t, func(b *bytes.Buffer) error { return r.WriteCSV(b) }))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if strings.HasPrefix(row[1], "=") {
			t.Errorf("a spreadsheet would run %q", row[1])
		}
	}
}

func TestReportOfALedgerThatDoesNotVerifySaysSoInEveryForm(t *testing.T) {
	w := story(t, map[string]func(wire.Object){"private/3/charge/coast": as(func(o *wire.Charge) { o.Units--; o.Spent-- })})
	entry := fmt.Sprintf("entry %d: ", w.index("private/3/charge/coast"))
	r := NewReport(w.verify())
	if r.Verified {
		t.Fatal("verified")
	}
	for name, content := range map[string][]byte{
		entry:                written(t, func(b *bytes.Buffer) error { return r.WriteText(b) }),
		"doesn&#39;t verify": written(t, func(b *bytes.Buffer) error { return r.WriteHTML(b) }),
		"false,alpen":        written(t, func(b *bytes.Buffer) error { return r.WriteCSV(b) }),
		`"verified":false`:   written(t, func(b *bytes.Buffer) error { return json.NewEncoder(b).Encode(r) }),
	} {
		if !strings.Contains(strings.ReplaceAll(string(content), "This ledger doesn't", "This ledger doesn&#39;t"), name) {
			t.Errorf("%q isn't in\n%.600s", name, content)
		}
	}
}

func TestExplainSaysWhoWasInASum(t *testing.T) {
	w := story(t, nil)
	b := w.verify()
	x, err := Explain(b, fmt.Sprint(w.index("exact/finish")))
	if err == nil || !errors.Is(err, ErrNoRelease) {
		t.Errorf("a finish: %v %v", x, err)
	}
	entry := w.index("private/4/release")
	release := w.rows[entry].o.(*wire.Release).Digest()
	if x, err = Explain(b, hexOf(release[:4])); err != nil {
		t.Fatal(err)
	}
	if x.Entry != int64(entry) || len(x.Contributors) != 3 || strings.Join(x.Absent, " ") != "coast edel" || x.Noise.Sigma2 != dp.Integer(600*cost).String() {
		t.Errorf("%+v", x)
	}
	golden(t, "explain-private.txt", written(t, func(b *bytes.Buffer) error { return x.WriteText(b) }))
	if x, err = Explain(b, fmt.Sprint(w.index("exact/1/release"))); err != nil || x.Noise != nil || len(x.Contributors) != 3 {
		t.Fatalf("%+v %v", x, err)
	}
	golden(t, "explain-exact.txt", written(t, func(b *bytes.Buffer) error { return x.WriteText(b) }))
	for _, wrong := range []string{"", "12ab", "-1", "9999", "ffffffffffff", "0x12"} {
		if _, err := Explain(b, wrong); !errors.Is(err, ErrNoRelease) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestCompareNamesTheForkAndWhatIsNew(t *testing.T) {
	whole, start, other := story(t, nil), story(t, nil), story(t, nil)
	start.rows = start.rows[:30]
	other.rows[25].o = &wire.Approval{Job: wire.Digest{5}, Member: other.member(1)}
	a, b, c := whole.read(), start.read(), other.read()
	if d := Compare(a, a); d.Relation != Same || len(d.New) != 0 {
		t.Errorf("%+v", d)
	}
	if d := Compare(b, a); d.Relation != Longer || d.Common != 30 || len(d.New) != len(a.Entries)-30 || d.New[0].Index != 30 {
		t.Errorf("%+v", d)
	}
	if d := Compare(a, b); d.Relation != Behind || len(d.New) != len(a.Entries)-30 {
		t.Errorf("%+v", d)
	}
	d := Compare(a, c)
	if d.Relation != Fork || d.Common != 25 || d.ForkA.Index != 25 || d.ForkA.Text == d.ForkB.Text {
		t.Errorf("%+v", d)
	}
	if text := string(written(t, func(b *bytes.Buffer) error { return d.WriteText(b, "mine", "theirs") })); !strings.Contains(text, "FORK at entry 25") {
		t.Error(text)
	}
}

// An evaluation that sums second derivatives says so: they are of rows that aren't held out.
func TestStandardErrorsAreToldOfARelease(t *testing.T) {
	x := &Explanation{Kind: "evaluate", Segments: []Part{{Name: "held_out_rows", Length: 1}}}
	if strings.Contains(x.purpose(), "standard errors") {
		t.Error(x.purpose())
	}
	if x.Segments = append(x.Segments, Part{Name: "hessian", Length: 6}); !strings.Contains(x.purpose(), "for standard errors") {
		t.Error(x.purpose())
	}
}
