package attack

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"tributary/crypto/dp"
	"tributary/crypto/secagg"
	"tributary/protocol/jobspec"
)

// The cohort of the tests: ten members, two of which collude, one may drop out.
const (
	members   = 10
	colluders = 2
	quorum    = 9
	honest    = quorum - colluders // h: whose noise a charge counts on
)

// cohort seals contributions to a committee and opens their sums.
type cohort struct {
	threshold int
	keys      []*secagg.SeatKey
	seats     []secagg.Seat
	rounds    uint64
}

func newCohort(t testing.TB, threshold, seats int) *cohort {
	t.Helper()
	c := &cohort{threshold: threshold}
	for i := range seats {
		key, err := secagg.GenerateSeatKey()
		if err != nil {
			t.Fatal(err)
		}
		c.keys = append(c.keys, key)
		c.seats = append(c.seats, secagg.Seat{Index: uint16(i + 1), Member: secagg.Member{1, byte(i)}, PublicKey: key.Public()})
	}
	return c
}

// round returns the codec and the context of the next round.
func (c *cohort) round(t testing.TB, bits, length int) (secagg.Params, secagg.Context) {
	t.Helper()
	p, err := secagg.NewParams(secagg.Options{Contributors: members, Bits: bits, Threshold: c.threshold, Seats: len(c.seats),
		Segments: []secagg.Segment{{Name: "all", Length: length, ScaleNum: 1, ScaleDen: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	c.rounds++
	var ctx secagg.Context
	binary.BigEndian.PutUint64(ctx[:], c.rounds)
	return p, ctx
}

// seal is what member i sends.
func (c *cohort) seal(t testing.TB, p secagg.Params, ctx secagg.Context, i int, lanes []int64) *secagg.Upload {
	t.Helper()
	upload, err := secagg.Encrypt(p, ctx, sender(i), c.seats, lanes)
	if err != nil {
		t.Fatal(err)
	}
	return upload
}

func sender(i int) secagg.Member { return secagg.Member{2, byte(i >> 8), byte(i)} }

// sum runs one round over the lanes of its contributors and returns what the coordinator opens.
func (c *cohort) sum(t testing.TB, bits int, lanes [][]int64) []int64 {
	t.Helper()
	p, ctx := c.round(t, bits, len(lanes[0]))
	total := secagg.NewAccumulator(p, ctx)
	shares := make([][]secagg.Share, c.threshold)
	for i, own := range lanes {
		upload := c.seal(t, p, ctx, i, own)
		if err := total.Add(upload.Payload); err != nil {
			t.Fatal(err)
		}
		for j := range shares {
			share, err := c.keys[j].OpenShare(ctx, sender(i), c.seats[j].Member, c.seats[j].Index, upload.Shares[j])
			if err != nil {
				t.Fatal(err)
			}
			shares[j] = append(shares[j], share)
		}
	}
	var replies []secagg.Reply
	for j := range shares {
		replies = append(replies, secagg.Reply{Index: c.seats[j].Index, Sum: secagg.SumShares(shares[j])})
	}
	opened, err := total.Open(replies)
	if err != nil {
		t.Fatal(err)
	}
	return opened.Values
}

// noised is what a member seals: the clipped sum of its units, with noise.
func noised(t testing.TB, o dp.Options, units iter.Seq[[]float64]) []int64 {
	t.Helper()
	p, err := dp.NewParams(o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := dp.Draw(p)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for unit := range units {
		for i := len(numbers); i < len(unit); i++ {
			numbers = append(numbers, i)
		}
		if err := s.AddSparse(numbers[:len(unit)], unit); err != nil {
			t.Fatal(err)
		}
	}
	released, err := s.Release()
	if err != nil {
		t.Fatal(err)
	}
	lanes, err := released.Take()
	if err != nil {
		t.Fatal(err)
	}
	return lanes
}

// nothing is the units of a member without data.
func nothing(func([]float64) bool) {}

// weaker is o with its noise's variance divided by n.
func weaker(t testing.TB, o dp.Options, n uint64) dp.Options {
	t.Helper()
	local, err := dp.NewRational(o.Local.Num(), o.Local.Den()*n)
	if err != nil {
		t.Fatal(err)
	}
	o.Local = local
	return o
}

// job resolves a private job of the cohort over the columns, all of them features.
func job(t testing.TB, epsilon, columns, features string) *jobspec.Resolved {
	t.Helper()
	contract, problems := jobspec.ParseContract([]byte(`version: 1
name: people
revision: 1
key: id
max_rows: 1000000
label: {column: left, positive: "yes", negative: "no"}
columns:
` + columns))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	spec, problems := jobspec.ParseSpec(fmt.Appendf(nil, `version: 1
name: attacked
contract: people@1
features:
%s
model: {type: logistic_regression, solver: dp_gradient_descent}
privacy: {unit: record, epsilon: "%s", delta: "1e-5"}
run: {mode: sealed, participants: all, min_participants: %d, committee: {threshold: 5, of: 7}}
`, features, epsilon, quorum))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r, problems := jobspec.Resolve(spec, contract, jobspec.Options{F: colluders, Contributors: members, Seats: members})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return r
}

// peopleJob is the job whose rows person and tableOf make.
func peopleJob(t testing.TB) *jobspec.Resolved {
	t.Helper()
	return job(t, "1.0", `  age: {type: number, min: 16, max: 110}
  income: {type: number, min: 0, max: 200000}
  hours: {type: number, min: 0, max: 100}
  region: {type: category, values: [`+strings.Join(regions(), ", ")+`]}
  sector: {type: category, values: [`+strings.Join(sectors(), ", ")+`]}
`, `  - {columns: [age, income, hours], transform: scale}
  - {columns: [region, sector], transform: one_hot}`)
}

func regions() []string { return []string{"north", "east", "south", "west", "abroad"} }
func sectors() []string { return []string{"farm", "factory", "shop", "office", "school", "clinic"} }

// subtract returns opened less what the attacker knows of it.
func subtract(opened []int64, known ...[]int64) []int64 {
	out := slices.Clone(opened)
	for _, lanes := range known {
		for i, v := range lanes {
			out[i] -= v
		}
	}
	return out
}
