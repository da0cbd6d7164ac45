package audit

import (
	"bytes"
	"fmt"
	"html"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"tributary/protocol/wire"
)

// pdfPages are the texts of an uncompressed PDF by page, one line for each string that is drawn, in cp1252. It checks that the file's
// parts are where its cross-reference table says.
func pdfPages(t *testing.T, file []byte) []string {
	t.Helper()
	if !bytes.HasPrefix(file, []byte("%PDF-1.")) {
		t.Fatalf("no PDF: %.20q", file)
	}
	end := regexp.MustCompile(`trailer\n<<\n/Size (\d+)\n/Root (\d+) 0 R\n/Info (\d+) 0 R\n>>\nstartxref\n(\d+)\n%%EOF\n$`).FindSubmatch(file)
	if end == nil {
		t.Fatalf("no trailer: %.200q", file[max(0, len(file)-200):])
	}
	at, size := whole(t, end[4]), whole(t, end[1])
	table := fmt.Sprintf("xref\n0 %d\n0000000000 65535 f \n", size)
	if !bytes.HasPrefix(file[at:], []byte(table)) {
		t.Fatalf("no cross-reference table at %d: %.60q", at, file[at:])
	}
	for i := 1; i < size; i++ {
		offset := whole(t, file[at+len(table)+20*(i-1):][:10])
		if start := fmt.Sprintf("%d 0 obj\n", i); !bytes.HasPrefix(file[offset:], []byte(start)) {
			t.Fatalf("object %d isn't at %d", i, offset)
		}
	}
	count := regexp.MustCompile(`/Count (\d+)\n/MediaBox \[0 0 595\.28 841\.89\]`).FindSubmatch(file)
	if count == nil {
		t.Fatal("no pages of A4")
	}
	var out []string
	for _, stream := range regexp.MustCompile(`(?s)/Length (\d+)>>\nstream\n(.*?)\nendstream`).FindAllSubmatch(file, -1) {
		if whole(t, stream[1]) != len(stream[2]) {
			t.Errorf("a stream of %s bytes has %d", stream[1], len(stream[2]))
		}
		var text strings.Builder
		for _, drawn := range regexp.MustCompile(`(?s)\(((?:\\.|[^\\()])*)\) ?Tj`).FindAllSubmatch(stream[2], -1) {
			text.WriteString(regexp.MustCompile(`\\([\\()])`).ReplaceAllString(string(drawn[1]), "$1") + "\n")
		}
		out = append(out, text.String())
	}
	if len(out) != whole(t, count[1]) || len(out) != bytes.Count(file, []byte("/Type /Page\n")) {
		t.Fatalf("%d pages with %d contents", whole(t, count[1]), len(out))
	}
	return out
}

func whole(t *testing.T, digits []byte) int {
	t.Helper()
	n, err := strconv.Atoi(string(digits))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func pdfOf(t *testing.T, r *Report) []byte {
	t.Helper()
	return written(t, func(b *bytes.Buffer) error { return r.WritePDF(b) })
}

// counted are a text's words, and how often each occurs.
func counted(text string) map[string]int {
	out := map[string]int{}
	for _, w := range strings.Fields(text) {
		out[w]++
	}
	return out
}

func TestPDFSaysEveryWordOfTheHTMLReport(t *testing.T) {
	bad := map[string]func(wire.Object){"private/3/charge/coast": as(func(o *wire.Charge) { o.Units--; o.Spent-- })}
	for name, changes := range map[string]map[string]func(wire.Object){"verified": nil, "not verified": bad} {
		r := NewReport(story(t, changes).verify())
		page := string(written(t, func(b *bytes.Buffer) error { return r.WriteHTML(b) }))
		page = regexp.MustCompile(`(?s)<head>.*</head>`).ReplaceAllString(page, "")
		page = regexp.MustCompile(`</?(strong|code)>`).ReplaceAllString(page, "")
		page = html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, "\n"))
		got := counted(strings.Join(pdfPages(t, pdfOf(t, r)), ""))
		s := newSheet(frame{})
		missing := 0
		for w, n := range counted(s.shown(strings.Join(strings.Fields(page), " "))) {
			if got[w] < n {
				t.Errorf("%s: %q is %d times in the PDF, %d in the html", name, w, got[w], n)
				missing++
			}
		}
		if len(got) < 300 || missing > 0 {
			t.Errorf("%s: %d different words, %d missing", name, len(got), missing)
		}
	}
}

func TestEveryPageOfThePDFSaysWhetherTheLedgerVerified(t *testing.T) {
	bad := map[string]func(wire.Object){"private/3/charge/coast": as(func(o *wire.Charge) { o.Units--; o.Spent-- })}
	const good, not = "\nVerified: signatures, rosters and charges\n", "\nNOT VERIFIED: this can't be relied on\n"
	for want, changes := range map[string]map[string]func(wire.Object){good: nil, not: bad} {
		r := NewReport(story(t, changes).verify())
		pages := pdfPages(t, pdfOf(t, r))
		if len(pages) < 3 {
			t.Errorf("only %d pages", len(pages))
		}
		for i, text := range pages {
			if strings.Contains(text, good) != (want == good) || strings.Contains(text, not) != (want == not) || !strings.Contains(text, fmt.Sprintf("Page %d of %d\n", i+1, len(pages))) || !strings.Contains(text, "root "+r.Root[:12]) {
				t.Errorf("page %d, want %q:\n%s", i+1, want, text)
			}
		}
	}
}

func TestPDFOfOneLedgerIsTheSameBytesAndDatedByItsLastEntry(t *testing.T) {
	w := story(t, nil)
	r := NewReport(w.verify())
	file := pdfOf(t, r)
	if again := pdfOf(t, NewReport(w.verify())); !bytes.Equal(file, again) {
		t.Error("two files of one ledger differ")
	}
	stamp := strings.NewReplacer("-", "", ":", "", " ", "").Replace(r.To)
	for _, date := range []string{"/CreationDate (D:" + stamp + ")", "/ModDate (D:" + stamp + ")"} {
		if !bytes.Contains(file, []byte(date)) {
			t.Errorf("the file lacks %s", date)
		}
	}
	r.To = "" // no entry
	if !bytes.Contains(pdfOf(t, r), []byte("/CreationDate (D:19700101000000)")) {
		t.Error("without a date the file has today's")
	}
}

func TestPDFShowsWhatItsFontsCanAndNumbersTheRest(t *testing.T) {
	r := NewReport(story(t, nil).verify())
	r.Consortium, r.Members[0].Name, r.Members[1].Name = `Müller (∑) \ {nb}`, "\u4e2d\u884c", "\u519c\x01\u884c"
	text := strings.Join(pdfPages(t, pdfOf(t, r)), "")
	for _, want := range []string{"M\xfcller (\\u2211) \\ {nb}\n", "Member \\u4e2d\\u884c\n", "Member \\u519c \\u884c\n", "R\xe9nyi", "K\xb2", "epsilon = 1, delta = 1e-5;", "Letters that this file's fonts lack"} {
		if !strings.Contains(text, want) {
			t.Errorf("the file lacks %q", want)
		}
	}
	if strings.ContainsAny(text, "\x00\x01") {
		t.Error("the mark for the number of pages is still in the file")
	}
	if plainly := strings.Join(pdfPages(t, pdfOf(t, NewReport(story(t, nil).verify()))), ""); strings.Contains(plainly, "fonts lack") || strings.Contains(plainly, `\u`) {
		t.Error("a letter of the report itself is missing in the fonts")
	}
}

func TestLongTextsGoOverPages(t *testing.T) {
	r := NewReport(story(t, nil).verify())
	before := len(pdfPages(t, pdfOf(t, r)))
	r.Jobs[1].Aborts[0].Text = strings.Repeat("wordy ", 3000) + strings.Repeat("x", 5000) + " end"
	pages := pdfPages(t, pdfOf(t, r))
	text := strings.Join(pages, "")
	if strings.Count(text, "wordy") != 3000 || strings.Count(text, "x") < 5000 || !strings.Contains(text, "end\n") || len(pages) < before+5 {
		t.Errorf("%d pages before, now %d with %d words", before, len(pages), strings.Count(text, "wordy"))
	}
}
