package forecast

import (
	"math"
	"strings"
	"testing"

	"tributary/crypto/dp/accountant"
)

// A sweep costs the sum of its trials, at each account's own order, and an account pays for as many as it can in a row.
func TestSweepAddsUpItsTrials(t *testing.T) {
	var trials []*Forecast
	var one, sum uint64
	for i, rounds := range []int{6, 12, 24} {
		o := standard()
		o.rounds = rounds
		r := resolve(t, o)
		cost, err := r.Cost(r.Private.Order)
		if err != nil {
			t.Fatal(err)
		}
		if sum += uint64(cost); i == 0 {
			one = uint64(cost)
		}
		const rich = 1 << 60
		f, err := For(r, []Remaining{
			{Member: "shop-01", Order: r.Private.Order, Left: accountant.Units(one + one/2), Budget: rich},
			{Member: "shop-00", Order: r.Private.Order, Left: rich, Budget: rich},
		})
		if err != nil {
			t.Fatal(err)
		}
		trials = append(trials, f)
	}
	s, err := Sum(trials)
	if err != nil {
		t.Fatal(err)
	}
	var uploads, sums int64
	for _, f := range trials {
		uploads, sums = uploads+f.UploadBytes, sums+f.Sums
	}
	if s.Trials != 3 || uint64(s.Total) != sum || s.UploadBytes != uploads || s.Sums != sums || len(s.Unknown) != 8 {
		t.Errorf("%+v", s)
	}
	// Three budgets of ε = 1 at the order that is the best for one.
	want := accountant.EpsilonFromRDP(float64(s.Order), s.Total.Nats(), 1e-5)
	if s.Epsilon < want || s.Epsilon > want+1.1e-6 || s.Epsilon < 2*trials[0].EpsilonFilter || s.Epsilon > 3*trials[0].EpsilonFilter {
		t.Errorf("ε %g, want %g; a trial's is %g", s.Epsilon, want, trials[0].EpsilonFilter)
	}
	if a := s.Accounts; len(a) != 2 || a[0].Member != "shop-00" || a[0].Pays != 3 || uint64(a[0].Total) != sum || a[1].Pays != 1 {
		t.Errorf("%+v", a)
	}
	for _, want := range []string{"All 3 trials together", "pays for all trials", "pays for 1 of 3 trials", "No account known of shop-02"} {
		if !strings.Contains(s.Text(), want) {
			t.Errorf("no %q in\n%s", want, s.Text())
		}
	}

	other := standard()
	other.delta = "1e-6"
	f, err := For(resolve(t, other), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sum([]*Forecast{trials[0], f}); err == nil || !strings.Contains(err.Error(), "trial 2") {
		t.Errorf("trials of two kinds: %v", err)
	}
}

// Sums beyond any account stay that, whatever is added.
func TestSweepTotalsDontWrap(t *testing.T) {
	for _, c := range []struct {
		sum, more accountant.Units
		first     bool
		want      accountant.Units
	}{{0, 5, true, 5}, {5, 6, false, 11}, {math.MaxUint64, 1, false, 0}, {0, 5, false, 0}, {5, 0, false, 0}} {
		if got := added(c.sum, c.more, c.first); got != c.want {
			t.Errorf("%d and %d: %d, want %d", c.sum, c.more, got, c.want)
		}
	}
}
