package source

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// spanning takes cells and aggregates.
func spanning(t testing.TB, text string) Binding {
	b := customersBinding(t, text)
	b.Where = nil
	b.Missing = []string{"", "NA"}
	b.Customers = &Customers{Key: "who", Time: "at", Until: b.Customers.Until, WindowDays: 100, Order: "order", Amount: []string{"price"},
		First: []string{"land"}, Last: []string{"land", "way"}, MostFrequent: []string{"land"},
		Aggregates: []Aggregate{{Of: []string{"count", "sum"}, Days: 30}, {Column: "points", Of: []string{"count", "sum", "mean", "min", "max", "distinct"}}, {Column: "way", Of: []string{"distinct"}, Days: 7}}}
	return b
}

const spans = `who,at,order,price,land,way,points
ann,2011-12-01,1,10,FR,shop,3
ann,2011-12-01,1,0.5,DE,web,NA
ann,2011-12-09,2,1,NA,web,-1.5
ann,2011-10-01,3,7,DE,web,3.0
ann,2011-01-01,4,900,IT,web,100
bob,2011-12-10,5,8,IT,web,1
bob,2011-10-20,6,8,,,
`

// Ties are broken by the cells' bytes; missing cells don't count; days are counted back from until; what is before the window counts
// in nothing.
func TestCellsAndAggregatesOfCustomers(t *testing.T) {
	want := strings.Join([]string{"who recency_days frequency tenure_days monetary average_order_value first_land last_land last_way most_frequent_land count_30d sum_amount_30d " +
		"count_points sum_points mean_points min_points max_points distinct_points distinct_way_7d",
		"ann 1 3 343 18.5 6.166666666666667 DE DE web DE 3 11.5 3 4.5 1.5 -1.5 3 3 1",
		"bob 51 1 51 8 8     0 0 0 0    0 0"}, "\n")
	if got := tableText(t, spanning(t, spans)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	b := spanning(t, spans)
	b.Missing = []string{"NA"} // which then stands for a missing value in the rows that are made, too
	b.Customers.Aggregates = b.Customers.Aggregates[:1]
	b.Customers.WindowDays = 5
	if got := strings.Split(tableText(t, b), "\n")[1]; got != "ann 1 1 343 1 1 NA NA web NA 1 1" {
		t.Error(got)
	}
}

// obvious makes one customer's columns from its transactions in the plainest way.
func obvious(rows [][]string, until time.Time) string {
	at := func(r []string) int64 { t, _ := ParseTime("", r[1]); return t.Unix() }
	days := func(r []string) int64 { return (until.Unix() - at(r) + daySeconds - 1) / daySeconds }
	var counted [][]string
	for _, r := range rows {
		if at(r) < until.Unix() && days(r) <= 100 {
			counted = append(counted, r)
		}
	}
	best := func(column int, better func(a, b []string) bool) string {
		var out []string
		for _, r := range counted {
			if r[column] != "" && r[column] != "NA" && (out == nil || better(r, out) || !better(out, r) && r[column] < out[column]) {
				out = r
			}
		}
		if out == nil {
			return ""
		}
		return out[column]
	}
	frequency := func(cell string) (n int) {
		for _, r := range counted {
			if r[4] == cell {
				n++
			}
		}
		return n
	}
	sum, count, points, ways := 0, 0, map[string]bool{}, map[string]bool{}
	total, n, least, most := 0, 0, 1<<30, -1<<30
	for _, r := range counted {
		if days(r) <= 30 {
			v, _ := strconv.Atoi(r[3])
			sum, count = sum+v, count+1
		}
		if v, err := strconv.Atoi(r[6]); err == nil {
			total, n, least, most = total+v, n+1, min(least, v), max(most, v)
			points[r[6]] = true
		}
		if days(r) <= 7 && r[5] != "" && r[5] != "NA" {
			ways[r[5]] = true
		}
	}
	out := fmt.Sprintf("%s %s %s %s %d %d %d %d", best(4, func(a, b []string) bool { return at(a) < at(b) }), best(4, func(a, b []string) bool { return at(a) > at(b) }),
		best(5, func(a, b []string) bool { return at(a) > at(b) }), best(4, func(a, b []string) bool { return frequency(a[4]) > frequency(b[4]) }), count, sum, n, total)
	if n == 0 {
		return out + fmt.Sprintf("    0 %d", len(ways))
	}
	return out + fmt.Sprintf(" %s %d %d %d %d", strconv.FormatFloat(float64(total)/float64(n), 'g', -1, 64), least, most, len(points), len(ways))
}

// Random transactions give what an obvious program makes of them, in any order, and grouped by customer with grouped: true too.
func TestCustomersAreThoseOfAnObviousProgram(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 8))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	for range 60 {
		by, lines := map[string][][]string{}, []string{}
		until := time.Date(2011, 12, 10, 0, 0, 0, 0, time.UTC)
		for range 40 {
			row := []string{pick("ann", "bob", "cid"), until.Add(-time.Duration(r.IntN(130)-3) * 24 * time.Hour).Format(time.DateOnly), pick("1", "2", "3", "4"), strconv.Itoa(r.IntN(50)),
				pick("DE", "FR", "IT", "NA", ""), pick("web", "shop", "NA"), pick("1", "2", "-7", "NA", "")}
			by[row[0]] = append(by[row[0]], row)
			lines = append(lines, strings.Join(row, ","))
		}
		const header = "who,at,order,price,land,way,points\n"
		slices.Sort(lines)
		grouped := spanning(t, header+strings.Join(lines, "\n")+"\n")
		grouped.Customers.Grouped = true
		want := tableText(t, grouped)
		for _, line := range strings.Split(want, "\n")[1:] {
			cells := strings.SplitN(line, " ", 7)
			if expected := obvious(by[cells[0]], until); cells[6] != expected {
				t.Fatalf("%s:\n%q, want\n%q of\n%s", cells[0], cells[6], expected, by[cells[0]])
			}
		}
		r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		got := strings.Split(tableText(t, spanning(t, header+strings.Join(lines, "\n")+"\n")), "\n")
		slices.Sort(got[1:])
		sorted := strings.Split(want, "\n")
		slices.Sort(sorted[1:])
		equal(t, "another order", got, sorted)
	}
}

// A file that says to be grouped and isn't would count orders twice: it is refused.
func TestUngroupedFilesAreRefused(t *testing.T) {
	b := spanning(t, spans+"ann,2011-12-02,1,1,DE,web,3\n")
	b.Customers.Grouped = true
	_, err := OpenRecords(t.Context(), b)
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), `row 9, column who: transactions of "ann" began in row 2, and other customers' are between`) || !strings.Contains(err.Error(), "hint: sort the file by customer, or leave grouped out") {
		t.Error(err)
	}
	// One customer's sights are kept at a time, and the rows' digest is that of the same rows without grouped.
	c := parseContract(t, strings.Replace(customersContract, "label: {column: returned, positive: \"yes\", negative: \"no\"}\n", "", 1))
	plain := spanning(t, spans)
	plain.Columns = map[string]string{"customer": "who", "orders": "frequency"}
	one, err := Read(t.Context(), plain, c, secret())
	if err != nil {
		t.Fatal(err)
	}
	plain.Customers.Grouped = true
	two, err := Read(t.Context(), plain, c, secret())
	if err != nil || one.Digest != two.Digest {
		t.Errorf("another digest, %v", err)
	}
}

func TestWrongAggregatesAreTold(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Customers)
		is     error
		want   string
	}{
		"kind":     {func(c *Customers) { c.Aggregates[0].Of = []string{"median"} }, ErrBinding, `aggregates[0]: "median" is unknown`},
		"near":     {func(c *Customers) { c.Aggregates[0].Of = []string{"summ"} }, ErrBinding, "did you mean sum?"},
		"nothing":  {func(c *Customers) { c.Aggregates[1].Of = nil }, ErrBinding, "aggregates[1]: it asks for nothing"},
		"distinct": {func(c *Customers) { c.Aggregates[0].Of = []string{"distinct"} }, ErrBinding, "distinct needs a column"},
		"amount":   {func(c *Customers) { c.Amount = nil }, ErrBinding, "sum needs a column or an amount"},
		"long":     {func(c *Customers) { c.Aggregates[0].Days = 101 }, ErrBinding, "its 101 days are more than the window's 100"},
		"twice":    {func(c *Customers) { c.Aggregates = append(c.Aggregates, c.Aggregates[0]) }, ErrBinding, `two columns "count_30d"`},
		"column":   {func(c *Customers) { c.Aggregates[1].Column = "pionts" }, ErrHeader, `no column "pionts", of aggregates[1]`},
		"take":     {func(c *Customers) { c.Last = []string{"country"} }, ErrHeader, `no column "country", whose last cell is taken`},
		"number":   {func(c *Customers) { c.Aggregates[1].Column = "land" }, ErrInvalid, `row 2, column land: expected a decimal number, found "FR"`},
		"huge": {func(c *Customers) {
			c.Aggregates[1].Column = "long"
			c.First = []string{"long"}
			c.Aggregates[1].Of = []string{"distinct"}
		}, ErrInvalid, "the value has 2048 bytes, at most 1024"},
	} {
		text := strings.ReplaceAll(spans, "\n", ",x\n")
		text = strings.Replace(strings.Replace(text, ",points,x", ",points,long", 1), "-1.5,x", "-1.5,"+strings.Repeat("y", 2048), 1)
		b := spanning(t, text)
		b.Columns = map[string]string{"customer": "who", "orders": "frequency"}
		test.change(b.Customers)
		c := parseContract(t, strings.Replace(customersContract, "label: {column: returned, positive: \"yes\", negative: \"no\"}\n", "", 1))
		if _, err := Read(t.Context(), b, c, secret()); !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}
