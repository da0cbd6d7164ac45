// Package shop generates an e-commerce churn data set with known coefficients: several organisations with different sizes
// and customers, mixed numbers and categories, and the files that a consortium needs to train on it. Everything follows
// from the seed.
package shop

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"tributary/models/dataset"
)

// Customer is one row.
type Customer struct {
	ID                                string
	Age, Tenure, Visits, Returns      float64
	Basket                            float64 // NaN: unknown
	Discount                          float64
	Country, Device, Channel, Loyalty int
	Churned, Test                     bool
}

// Organisation is one data holder with its own mix of customers and its own way of writing them down.
type Organisation struct {
	Name      string
	Company   string
	Customers []Customer
	German    bool // column names, separators and values as a German shop would have them, compressed
}

// Values of the categories, in the contract's order; Country may be one more than its values: other.
var (
	countries = []string{"DE", "FR", "NL", "PL", "AT"}
	devices   = []string{"mobile", "desktop", "tablet"}
	channels  = []string{"search", "social", "email", "partner", "direct"}
	loyalties = []string{"none", "silver", "gold"}
)

// Effect is the truth about one number: churn's logit rises by PerUnit for each unit of the transformed value.
type Effect struct {
	Column  string
	Centre  float64
	PerUnit float64
	Log1p   bool
}

// Numbers are the true effects of the numbers, and Groups those of the categories' values.
var (
	Numbers = []Effect{
		{"age", 42, -0.030, false},
		{"tenure_days", 6.2, -0.55, true},
		{"basket_90d", 4.5, -0.40, true},
		{"visits_30d", 1.8, -0.62, true},
		{"returns_90d", 0.6, 0.48, true},
		{"discount_share", 0.3, 1.10, false},
	}
	Groups = map[string][]float64{
		"country": {0, 0.22, -0.15, 0.31, -0.08, 0.45},
		"device":  {0.18, -0.12, 0},
		"channel": {0, 0.35, -0.40, 0.15, -0.22},
		"loyalty": {0.30, -0.10, -0.65},
	}
	missingBasket = 0.50
	intercept     = -0.95
)

// Sizes are the demo's: 43,000 customers in four shops.
var Sizes = []int{20_000, 12_000, 7_500, 3_500}

var names = [][2]string{{"alpen", "Alpen Handel AG"}, {"baltic", "Baltic Stores"}, {"coast", "Coast Retail"}, {"delta", "Delta Outlet"}}

// Generate draws as many organisations as there are sizes, at most four.
func Generate(seed uint64, sizes []int) []Organisation {
	out := make([]Organisation, len(sizes))
	for i, size := range sizes {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		out[i] = Organisation{Name: names[i][0], Company: names[i][1], German: i == 0}
		for row := range size {
			out[i].Customers = append(out[i].Customers, draw(random, i, row))
		}
	}
	return out
}

// draw makes one customer; shop is what makes the organisations differ.
func draw(r *rand.Rand, shop, row int) Customer {
	pick := func(weights ...float64) int {
		u := r.Float64()
		for i, w := range weights {
			if u < w {
				return i
			}
			u -= w
		}
		return len(weights)
	}
	whole := func(v, most float64) float64 { return math.Min(math.Max(math.Round(v), 0), most) }
	c := Customer{ID: fmt.Sprintf("%c%06d", 'A'+shop, row)}
	c.Age = math.Max(16, whole(38+4*float64(shop)+13*r.NormFloat64(), 110))
	c.Tenure = whole(math.Exp(6.4-0.4*float64(shop)+0.9*r.NormFloat64()), 6000)
	c.Visits = whole(math.Exp(1.9-0.2*float64(shop)+0.8*r.NormFloat64()), 400)
	c.Returns = whole(math.Exp(0.2*r.NormFloat64())*r.ExpFloat64()*(1+0.3*float64(shop)), 100)
	c.Discount = math.Round(100*math.Min(0.95, 0.1*float64(shop+1)+0.25*r.Float64())) / 100
	c.Basket = math.Round(100*math.Min(5000, math.Exp(4.6+0.7*r.NormFloat64()))) / 100
	if r.Float64() < 0.04+0.03*float64(shop) {
		c.Basket = math.NaN()
	}
	mixes := [][]float64{{.78, .04, .02, .02, .12}, {.10, .05, .15, .66, .01}, {.06, .55, .32, .03, .02}, {.35, .20, .15, .20, .05}}
	c.Country = pick(mixes[shop]...)
	c.Device = pick(0.45+0.1*float64(shop), 0.35-0.05*float64(shop), 1)
	c.Channel = pick(0.3, 0.15+0.05*float64(shop), 0.2, 0.1, 1)
	c.Loyalty = pick(0.5+0.1*float64(shop), 0.3-0.05*float64(shop), 1)
	c.Churned = r.Float64() < 1/(1+math.Exp(-Logit(&c)))
	c.Test = r.Float64() < 0.2
	return c
}

func (c *Customer) number(column string) float64 {
	return map[string]float64{"age": c.Age, "tenure_days": c.Tenure, "basket_90d": c.Basket, "visits_30d": c.Visits, "returns_90d": c.Returns, "discount_share": c.Discount}[column]
}

// Logit is the true log odds of churn.
func Logit(c *Customer) float64 {
	z := intercept + Groups["country"][c.Country] + Groups["device"][c.Device] + Groups["channel"][c.Channel] + Groups["loyalty"][c.Loyalty]
	for _, e := range Numbers {
		v := c.number(e.Column)
		switch {
		case math.IsNaN(v):
			z += missingBasket
		case e.Log1p:
			z += e.PerUnit * (math.Log1p(v) - e.Centre)
		default:
			z += e.PerUnit * (v - e.Centre)
		}
	}
	return z
}

// File is the name of the organisation's customer file.
func (o *Organisation) File() string {
	if o.German {
		return "customers.csv.gz"
	}
	return "customers.csv"
}

// Write writes the customers as the organisation keeps them.
func (o *Organisation) Write(file string) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	if !o.German {
		return o.rows(f)
	}
	zipped := gzip.NewWriter(f)
	if err := o.rows(zipped); err != nil {
		return err
	}
	return zipped.Close()
}

func (o *Organisation) rows(w io.Writer) error {
	out := csv.NewWriter(w)
	header := "customer_id,age,tenure_days,basket_90d,visits_30d,returns_90d,discount_share,country,device,channel,loyalty,fold,churned,consent"
	yes, no := "yes", "no"
	if o.German {
		out.Comma = ';'
		header = "kunde,age,kunde_seit,basket_90d,visits_30d,returns_90d,discount_share,land,device,channel,loyalty,fold,weg,einwilligung"
		yes, no = "1", "0"
	}
	if err := out.Write(strings.Split(header, ",")); err != nil {
		return err
	}
	number := func(v float64) string {
		if math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	either := func(b bool, yes, no string) string {
		if b {
			return yes
		}
		return no
	}
	for i := range o.Customers {
		c := &o.Customers[i]
		country := "SE"
		if c.Country < len(countries) {
			country = countries[c.Country]
		}
		if err := out.Write([]string{c.ID, number(c.Age), number(c.Tenure), number(c.Basket), number(c.Visits), number(c.Returns), number(c.Discount),
			country, devices[c.Device], channels[c.Channel], loyalties[c.Loyalty], either(c.Test, "test", "train"), either(c.Churned, yes, no), "true"}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// Table is the organisations' customers as the models see them, in order: the pooled data if there are several.
func Table(organisations ...Organisation) *dataset.Table {
	t := &dataset.Table{}
	numbers := make([][]float64, len(Numbers))
	codes := make([][]int32, 4)
	for _, o := range organisations {
		for i := range o.Customers {
			c := &o.Customers[i]
			t.Rows++
			for j, e := range Numbers {
				numbers[j] = append(numbers[j], c.number(e.Column))
			}
			for j, code := range []int{c.Country, c.Device, c.Channel, c.Loyalty} {
				codes[j] = append(codes[j], int32(code))
			}
			t.Label = append(t.Label, c.Churned)
			t.HeldOut = append(t.HeldOut, c.Test)
		}
	}
	for j, e := range Numbers {
		t.Columns = append(t.Columns, dataset.Column{Name: e.Column, Numbers: numbers[j]})
	}
	for j, values := range [][]string{countries, devices, channels, loyalties} {
		t.Columns = append(t.Columns, dataset.Column{Name: []string{"country", "device", "channel", "loyalty"}[j], Codes: codes[j], Values: values})
	}
	return t
}
