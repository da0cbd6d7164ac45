package source

import (
	"errors"
	"io"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"tributary/protocol/jobspec"
)

const customersContract = `
version: 1
name: customers
revision: 1
key: customer
max_rows: 5000
label: {column: returned, positive: "yes", negative: "no"}
columns:
  recency_days: {type: number, min: 0, max: 3650}
  orders:       {type: number, min: 1, max: 100000}
  monetary:     {type: number, min: 0, max: 1000000000}
`

const transactions = `invoice,item,qty,price,at,who,ok
1,A,2,0.10,2011-12-01 10:00:00,ann,y
1,B,1,0.2,2011-12-01 10:00:00,ann,y
2,A,3,1.005,2011-12-09 23:59:59,ann,y
3,A,1,5,2011-06-01,ann,y
C4,A,-1,5,2011-12-09,ann,y
5,A,1,5,2011-12-09,,y
6,A,one,5,never,ann,n
7,C,1,7.5,2011-12-10,ann,y
8,C,1,7.5,2012-03-09T00:59:59+01:00,bob,y
9,C,1,2.5,2012-03-09T00:00:00Z,bob,y
10,D,4,25,2011-12-02,bob,y
11,D,4,25,2011-06-02,cid,y
`

func customersBinding(t testing.TB, text string) Binding {
	t.Helper()
	return Binding{
		Contract: "customers@1", ID: "shop", File: write(t, "transactions.csv", []byte(text)),
		Columns: map[string]string{"customer": "who", "orders": "frequency"},
		Where:   []Filter{{Column: "ok", In: []string{"y"}}},
		Customers: &Customers{Key: "who", SkipBlank: true, Time: "at", Until: time.Date(2011, 12, 10, 0, 0, 0, 0, time.UTC), WindowDays: 100, OutcomeDays: 90,
			Order: "invoice", Amount: []string{"qty", "price"}, Positive: []string{"qty", "price"}, Distinct: []string{"item"}},
	}
}

func parseContract(t testing.TB, text string) *jobspec.Contract {
	t.Helper()
	c, problems := jobspec.ParseContract([]byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return c
}

// table gives a binding's rows as text, the header first.
func tableText(t *testing.T, b Binding) string {
	t.Helper()
	in, err := OpenRecords(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	lines := []string{strings.Join(in.Header, " ")}
	for {
		record, err := in.Next()
		if errors.Is(err, io.EOF) {
			return strings.Join(lines, "\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Join(record, " "))
	}
}

func TestTransactionsBecomeCustomers(t *testing.T) {
	b := customersBinding(t, transactions)
	// Ann's second order is a second before the end, her first purchase before the window; what she buys at the end is the outcome.
	// Bob's second purchase after it is where the outcome ends. Cid has nothing in the window.
	want := `who recency_days frequency tenure_days monetary average_order_value distinct_item returned spent
ann 1 2 192 3.415 1.7075 2 yes 7.5
bob 8 1 8 100 100 1 yes 7.5`
	if got := tableText(t, b); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	rows, err := Read(t.Context(), b, parseContract(t, customersContract), secret())
	if err != nil {
		t.Fatal(err)
	}
	counts := Transactions{Read: 12, Where: 1, Blank: 1, NotPositive: 1, Before: 2, Counted: 4, Outcome: 2, Later: 1, Absent: 1,
		First: time.Date(2011, 6, 1, 0, 0, 0, 0, time.UTC), Last: time.Date(2012, 3, 9, 0, 0, 0, 0, time.UTC)}
	if *rows.Transactions != counts {
		t.Errorf("got  %+v\nwant %+v", *rows.Transactions, counts)
	}
	table, err := rows.Table(jobspec.Holdout{})
	if err != nil || table.Validate() != nil {
		t.Fatal(err, table.Validate())
	}
	equal(t, "recency", column(t, table, "recency_days").Numbers, []float64{1, 8})
	equal(t, "monetary", column(t, table, "monetary").Numbers, []float64{3.415, 100})
	equal(t, "label", table.Label, []bool{true, true})
	f := newFolds(secret().Secret)
	equal(t, "tenths are the customers'", rows.tenths, []uint8{f.tenth("ann"), f.tenth("bob")})
}

func TestLittleIsNeededToMakeCustomers(t *testing.T) {
	b := customersBinding(t, "who,at\nbob,09.12.2011\nann,1.12.2011\nbob,02.12.2011\n")
	b.Where = nil
	b.Customers = &Customers{Key: "who", Time: "at", Format: "2.1.2006", Until: b.Customers.Until}
	if got, want := tableText(t, b), "who recency_days frequency tenure_days\nbob 1 2 8\nann 9 1 9"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDaysAreNumberedByTheirDates(t *testing.T) {
	for text, want := range map[string]int64{"1970-01-01": 0, "1970-01-01 23:59:59": 0, "1970-01-02": 1, "1969-12-31": -1, "1969-12-31 23:59:59": -1, "1969-12-30 23:59:59": -2,
		"1970-01-02T00:30:00+01:00": 0} {
		at, err := ParseTime("", text)
		if got := day(at.Unix()); err != nil || got != want {
			t.Errorf("%s: %d, want %d (%v)", text, got, want, err)
		}
	}
}

func TestOrderOfTransactionsDoesNotChangeACustomer(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(transactions), "\n")
	reversed := lines[0] + "\n"
	for i := len(lines) - 1; i > 0; i-- {
		reversed += lines[i] + "\n"
	}
	forth := strings.Split(tableText(t, customersBinding(t, transactions)), "\n")
	back := strings.Split(tableText(t, customersBinding(t, reversed)), "\n")
	equal(t, "customers", []string{back[0], back[2], back[1]}, forth)
}

func TestDigestCoversHowCustomersAreMade(t *testing.T) {
	c := parseContract(t, customersContract)
	seen := map[[32]byte]string{}
	for name, change := range map[string]func(*Customers){
		"base":     func(*Customers) {},
		"distinct": func(c *Customers) { c.Distinct = nil }, // a column that the contract doesn't take
		"window":   func(c *Customers) { c.WindowDays = 101 },
		"until":    func(c *Customers) { c.Until = c.Until.Add(time.Hour) },
		"positive": func(c *Customers) { c.Positive = c.Positive[:1] },
	} {
		b := customersBinding(t, transactions)
		change(b.Customers)
		rows, err := Read(t.Context(), b, c, secret())
		if err != nil {
			t.Fatal(name, err)
		}
		if other, same := seen[rows.Digest]; same {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[rows.Digest] = name
	}
}

func TestEveryWrongTransactionNamesItsRowColumnAndRemedy(t *testing.T) {
	long := strings.Repeat("9", 1<<20)
	for name, test := range map[string]struct{ row, column, message, hint string }{
		"amount":         {"20,A,1,five,2011-12-01,ann,y", "price", `expected a decimal number, found "five"`, "12.50"},
		"NaN":            {"20,A,1,NaN,2011-12-01,ann,y", "price", `found "NaN"`, "12.50"},
		"infinite":       {"20,A,inf,1,2011-12-01,ann,y", "qty", `found "inf"`, "12.50"},
		"exponent":       {"20,A,1,1e3,2011-12-01,ann,y", "price", `found "1e3"`, "exponents"},
		"decimal comma":  {`20,A,1,"1,5",2011-12-01,ann,y`, "price", `found "1,5"`, "12.50"},
		"empty amount":   {"20,A,,5,2011-12-01,ann,y", "qty", `found ""`, "12.50"},
		"sign alone":     {"20,A,+,5,2011-12-01,ann,y", "qty", `found "+"`, "12.50"},
		"huge number":    {"20,A,1," + long + ",2011-12-01,ann,y", "price", "too many digits", "correct"},
		"product":        {"20,A,9999999999,9999999999,2011-12-01,ann,y", "price", "beyond", "unit"},
		"millionths":     {"20,A,1,9999999999999,2011-12-01,ann,y", "qty × price", "beyond", "unit"},
		"decimals":       {"20,A,0.0001,0.0001,2011-12-01,ann,y", "qty × price", "more than 6 decimals", "round"},
		"sum":            {"20,A,1,9223372036854,2011-12-01,ann,y", "qty × price", "customer's sum", "unit"},
		"outcome's sum":  {"20,A,1,9223372036854,2011-12-11,ann,y", "qty × price", "customer's sum", "unit"},
		"time":           {"20,A,1,5,yesterday,ann,y", "at", `found "yesterday"`, "format"},
		"no such day":    {"20,A,1,5,2011-02-30,ann,y", "at", `found "2011-02-30"`, "format"},
		"huge time":      {"20,A,1,5," + long + ",ann,y", "at", `found "9999`, "format"},
		"outside counts": {"20,A,1,x,2030-01-01,ann,y", "price", `found "x"`, ""},
		"order":          {",A,1,5,2011-12-01,ann,y", "invoice", "the order is missing", "leave order out"},
		"huge key":       {"20,A,1,5,2011-12-01," + long + ",y", "who", "1048576 bytes", "column"},
		"few cells":      {"20,A,1", "", "not as long as the header", "quotes"},
		"open quote":     {`20,"A,1,5,2011-12-01,ann,y`, "", "not CSV", "quotes"},
	} {
		_, err := OpenRecords(t.Context(), customersBinding(t, transactions+test.row+"\n"))
		var data *DataError
		if !errors.As(err, &data) || len(data.Findings) != 1 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f := data.Findings[0]; f.Row != 14 || f.Column != test.column || !strings.Contains(f.Message, test.message) || !strings.Contains(f.Hint, test.hint) || len(err.Error()) > 500 {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestBlankKeysAreToldUnlessTheyAreSkipped(t *testing.T) {
	b := customersBinding(t, transactions)
	b.Customers.SkipBlank = false
	if _, err := OpenRecords(t.Context(), b); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "row 7, column who: the customer is missing") || !strings.Contains(err.Error(), "hint: write blank_keys: skip") {
		t.Error(err)
	}
}

func TestFilesWithoutCustomersAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		from, to string
		change   func(*Binding)
		is       error
		want     string
	}{
		"column":      {",price,", ",prise,", func(*Binding) {}, ErrHeader, `no column "price", of the amount`},
		"near":        {",price,", ",prise,", func(*Binding) {}, ErrHeader, "hint: did you mean prise?"},
		"filter":      {",ok", ",okay", func(*Binding) {}, ErrHeader, `no column "ok", by which where[0] filters`},
		"twice":       {"invoice,item", "item,item", func(*Binding) {}, ErrHeader, `column "item" appears twice`},
		"none counts": {"", "", func(b *Binding) { b.Customers.Until = b.Customers.Until.AddDate(-1, 0, 0) }, ErrEmpty, "of 12 transactions none counts"},
		"no outcome":  {"", "", func(b *Binding) { b.Customers.Until = b.Customers.Until.AddDate(1, 0, 0); b.Customers.WindowDays = 0 }, ErrEmpty, "hint: the last transaction is of 2012-03-09"},
		"clash":       {"", "", func(b *Binding) { b.Customers.Distinct = []string{"item", "item"} }, ErrBinding, `two columns "distinct_item"`},
		"key":         {"", "", func(b *Binding) { b.Columns["customer"] = "tenure_days" }, ErrBinding, "hint: write columns: {customer: \"who\"}"},
		"feature":     {"", "", func(b *Binding) { b.Customers.Amount = nil }, ErrHeader, `no column "monetary"`},
	} {
		b := customersBinding(t, strings.Replace(transactions, test.from, test.to, 1))
		test.change(&b)
		if _, err := Read(t.Context(), b, parseContract(t, customersContract), secret()); !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A customer that doesn't fit the contract is found by the line on which it first appears.
func TestCustomersOutsideTheContractAreTold(t *testing.T) {
	c := parseContract(t, strings.Replace(customersContract, "max: 1000000000}", "max: 50, outside: reject}", 1))
	_, err := Read(t.Context(), customersBinding(t, transactions), c, secret())
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), `row 10, column monetary: "100" is outside the contract's range`) {
		t.Error(err)
	}
}

// Products and sums are those of rational numbers, or are refused.
func TestAmountsAreExact(t *testing.T) {
	exact := func(quantity int32, mills int32, other int64) bool {
		cell := decimal{int64(mills), 3}
		p, w := decimal{int64(quantity), 0}.times(cell)
		if w != nil {
			return false
		}
		a, w := p.amount()
		product := new(big.Rat).Mul(big.NewRat(int64(quantity), 1), big.NewRat(int64(mills), 1000))
		micro := new(big.Rat).Mul(product, big.NewRat(amountUnit, 1))
		if w != nil {
			return !micro.Num().IsInt64()
		}
		text, ok := new(big.Rat).SetString(a.String())
		if !ok || text.Cmp(product) != 0 {
			return false
		}
		d, w := parseDecimal(a.String())
		back, w2 := d.amount()
		if w != nil || w2 != nil || back != a {
			return false
		}
		sum, ok := a.plus(amount(other))
		want := new(big.Int).Add(big.NewInt(int64(a)), big.NewInt(other))
		return !ok && (!want.IsInt64() || want.Int64() == -1<<63) || ok && want.Cmp(big.NewInt(int64(sum))) == 0
	}
	if err := quick.Check(exact, &quick.Config{MaxCount: 100_000}); err != nil {
		t.Error(err)
	}
	for cell, want := range map[string]decimal{"0": {0, 0}, "-0.00": {0, 0}, ".5": {5, 1}, "7.": {7, 0}, "+1.50": {15, 1}, "000": {0, 0}, "100": {100, 0}} {
		if got, w := parseDecimal(cell); w != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", cell, got, w)
		}
	}
}
