package config

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"tributary/participant/internal/source"
)

const retail = `version: 1
name: alpen-shop
data_dir: state
policy: {contracts: [retail-customers@1]}
data:
  - contract: retail-customers@1
    id: shop
    source:
      csv: transactions.csv
      customers:
        key: CustomerID
        blank_keys: skip
        time: {column: InvoiceDate, format: "02.01.2006 15:04"}
        until: 2011-12-10
        window: 365d
        outcome: 90d
        order: InvoiceNo
        amount: {product: [Quantity, UnitPrice]}
        positive: [Quantity, UnitPrice]
        distinct: [StockCode]
`

func TestCustomersAreReadWhole(t *testing.T) {
	c, problems := Parse([]byte(retail), "/")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := &source.Customers{Key: "CustomerID", SkipBlank: true, Time: "InvoiceDate", Format: "02.01.2006 15:04", Until: time.Date(2011, 12, 10, 0, 0, 0, 0, time.UTC),
		WindowDays: 365, OutcomeDays: 90, Order: "InvoiceNo", Amount: []string{"Quantity", "UnitPrice"}, Positive: []string{"Quantity", "UnitPrice"}, Distinct: []string{"StockCode"}}
	if got := c.Data[0].Customers; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	more := strings.Replace(retail, "        distinct: [StockCode]\n", "        first: [Channel]\n        last: [Country, Channel]\n        most_frequent: [Country]\n        grouped: true\n"+
		"        aggregates:\n          - {of: [count, sum], last: 30d}\n          - {column: Quantity, of: [mean]}\n", 1)
	c, problems = Parse([]byte(more), "/")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want.Distinct, want.First, want.Last, want.MostFrequent, want.Grouped = nil, []string{"Channel"}, []string{"Country", "Channel"}, []string{"Country"}, true
	want.Aggregates = []source.Aggregate{{Of: []string{"count", "sum"}, Days: 30}, {Column: "Quantity", Of: []string{"mean"}}}
	if got := c.Data[0].Customers; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	short := strings.NewReplacer(`{column: InvoiceDate, format: "02.01.2006 15:04"}`, "InvoiceDate", "{product: [Quantity, UnitPrice]}", "Total", "2011-12-10", "2011-12-10T00:00:00+01:00").Replace(retail)
	c, problems = Parse([]byte(short), "/")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := c.Data[0].Customers; got.Time != "InvoiceDate" || got.Format != "" || !reflect.DeepEqual(got.Amount, []string{"Total"}) || got.Until.Hour() != 23 {
		t.Errorf("%+v", got)
	}
}

// The documented example is read.
func TestDocumentedCustomersAreRead(t *testing.T) {
	docs, err := os.ReadFile("../../../docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(docs), "```yaml\nsource:\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatal("the page has no source")
	}
	head, _, _ := strings.Cut(retail, "    source:\n")
	c, problems := Parse([]byte(head+"    source:\n    "+strings.TrimRight(strings.ReplaceAll(block, "\n", "\n    "), " ")), "/")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := c.Data[0].Customers; got.Time != "InvoiceDate" || len(got.Distinct) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestProblemsOfCustomers(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"unknown":       {"order: InvoiceNo", "oder: InvoiceNo", "unknown key \"oder\""},
		"no key":        {"        key: CustomerID\n", "", "\"key\" is missing"},
		"no until":      {"        until: 2011-12-10\n", "", "\"until\" is missing"},
		"until":         {"2011-12-10", "tomorrow", "expected a time such as 2011-12-09"},
		"blank":         {"blank_keys: skip", "blank_keys: drop", "not skip"},
		"format":        {"02.01.2006 15:04", "dd.mm.yyyy", "doesn't say year, month and day"},
		"no year":       {"02.01.2006 15:04", "02.01. 15:04", "doesn't say year, month and day"},
		"window":        {"365d", "1y", "not 1d to 36525d"},
		"no window":     {"365d", "0d", "not 1d to 36525d"},
		"long outcome":  {"90d", "99999999999999999999d", "not 1d to 36525d"},
		"three factors": {"{product: [Quantity, UnitPrice]}", "{product: [A, B, C]}", "3 columns, want two"},
		"list":          {"{product: [Quantity, UnitPrice]}", "[Quantity, UnitPrice]", "a list is no amount"},
		"empty column":  {"distinct: [StockCode]", "distinct: [\"\"]", "empty"},
		"no list":       {"distinct: [StockCode]", "last: Country", "expected a list"},
		"aggregate":     {"distinct: [StockCode]", "aggregates: [{last: 30d}]", "\"of\" is missing"},
		"last":          {"distinct: [StockCode]", "aggregates: [{of: [count], last: 30}]", "not 1d to 36525d"},
		"of":            {"distinct: [StockCode]", "aggregates: [{of: [count], by: day}]", "unknown key \"by\""},
		"grouped":       {"distinct: [StockCode]", "grouped: yes", "neither true nor false"},
	} {
		text := strings.Replace(retail, c.from, c.to, 1)
		_, problems := Parse([]byte(text), "/")
		if text == retail || len(problems) == 0 || !strings.Contains(problems[0].String(), c.want) {
			t.Errorf("%s: %v, want %q", name, problems, c.want)
		}
	}
}

func TestRecordsOfOneFileAreToldApart(t *testing.T) {
	rows, buyers, shops := (*source.Customers)(nil), &source.Customers{Key: "buyer"}, &source.Customers{Key: "shop"}
	for _, test := range []struct {
		a, b *source.Customers
		file string
		one  bool
	}{
		{rows, rows, "x.csv", true}, {buyers, &source.Customers{Key: "buyer", WindowDays: 7}, "x.csv", true},
		{rows, buyers, "x.csv", false}, {buyers, shops, "x.csv", false}, {rows, buyers, "y.csv", true},
	} {
		c := &Config{Data: []Binding{{Binding: source.Binding{ID: "a", File: "x.csv", Customers: test.a}}, {Binding: source.Binding{ID: "b", File: test.file, Customers: test.b}}}}
		if c.OneRecord("a") != test.one {
			t.Errorf("%+v: %v", test, !test.one)
		}
	}
}
