package forecast

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/protocol/jobspec"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

const contract = `{version: 1, name: shop, revision: 1, key: id, max_rows: 100000, label: {column: y, positive: 1, negative: 0},
 columns: {age: {type: number, min: 0, max: 120}, spend: {type: number, min: 0, max: 9999, nullable: true}, country: {type: category, values: [DE, FR, NL]}}}`

// options are the parts of a spec that tests change.
type options struct {
	epsilon, delta  string
	rounds, n, nMin int
	f               int
	evaluate        bool
	bits            int
}

func standard() options {
	return options{epsilon: "1.0", delta: "1e-5", rounds: 12, n: 10, nMin: 9, f: 2, evaluate: true, bits: 40}
}

func members(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("shop-%02d", i))
	}
	return list
}

func resolve(t testing.TB, o options) *jobspec.Resolved {
	t.Helper()
	c, problems := jobspec.ParseContract([]byte(contract))
	if problems != nil {
		t.Fatal(problems)
	}
	text := fmt.Sprintf(`version: 1
name: spend-private
contract: shop@1
features: [{columns: [age], transform: scale}, {columns: [spend], transform: [log1p, scale], missing: indicator}, {columns: [country], transform: one_hot}]
model: {type: logistic_regression, max_rounds: %d}
privacy: {unit: record, epsilon: "%s", delta: "%s"}
run: {mode: sealed, min_participants: %d, bits: %d}
`, o.rounds, o.epsilon, o.delta, o.nMin, o.bits)
	if o.evaluate {
		text += "evaluate: {holdout: 0.2}\n"
	}
	s, problems := jobspec.ParseSpec([]byte(text))
	if problems != nil {
		t.Fatal(problems)
	}
	r, problems := jobspec.Resolve(s, c, jobspec.Options{F: o.f, Members: members(o.n), Seats: max(o.n, 3*o.f+1)})
	if problems != nil {
		t.Fatal(problems)
	}
	return r
}

func open(t testing.TB, epsilon, delta string, spent accountant.Units) accountant.Account {
	t.Helper()
	e, err1 := dp.ParseRational(epsilon)
	d, err2 := dp.ParseRational(delta)
	a, err3 := accountant.NewAccount(accountant.Cap{Epsilon: e, Delta: d})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	a, err := accountant.RestoreAccount(a.Cap(), a.Order(), spent)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func remaining(name string, a accountant.Account) Remaining {
	return Remaining{Member: name, Order: a.Order(), Left: a.Left(), Budget: a.Budget()}
}

func mustFor(t testing.TB, r *jobspec.Resolved, accounts ...Remaining) *Forecast {
	t.Helper()
	f, err := For(r, accounts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTheForecastIsGolden(t *testing.T) {
	r := resolve(t, standard())
	three := open(t, "3", "1e-6", 0)
	f := mustFor(t, r,
		remaining("shop-03", three),
		remaining("shop-00", open(t, "1.0", "1e-5", 0)),
		remaining("shop-01", open(t, "0.5", "1e-5", 0)),
		remaining("shop-02", open(t, "3", "1e-6", three.Budget())),
		remaining("shop-04", open(t, "20", "1e-6", 0)),
		remaining("elsewhere", three))
	golden(t, "forecast.txt", f.Text())
	golden(t, "forecast.json", string(f.JSON())+"\n")
	if want := members(10)[5:]; !slices.Equal(f.Unknown, want) {
		t.Errorf("unknown accounts %v, want %v", f.Unknown, want)
	}
}

func TestChargesStayWithinTheBudgetAndEpsilonWithinTheSpecs(t *testing.T) {
	for _, epsilon := range []string{"0.1", "1.0", "5", "50", "100"} {
		for _, evaluate := range []bool{false, true} {
			o := standard()
			o.epsilon, o.evaluate = epsilon, evaluate
			f := mustFor(t, resolve(t, o))
			var total accountant.Units
			for _, k := range f.Kinds {
				total += k.Charge * accountant.Units(k.Rounds)
			}
			if total != f.Total || f.Total > f.Limit {
				t.Errorf("ε = %s: charges %d, total %d, limit %d", epsilon, total, f.Total, f.Limit)
			}
			e, _ := dp.ParseRational(epsilon)
			if f.EpsilonReport > e.Float() || f.EpsilonFilter > e.Float() || f.EpsilonReport > f.EpsilonFilter {
				t.Errorf("ε = %s: %v by the filter, %v reported", epsilon, f.EpsilonFilter, f.EpsilonReport)
			}
			if !(f.EpsilonTwice > f.EpsilonRerun && f.EpsilonRerun > f.EpsilonFilter) {
				t.Errorf("ε = %s: twice %v, rerun %v, once %v", epsilon, f.EpsilonTwice, f.EpsilonRerun, f.EpsilonFilter)
			}
			if want := map[bool]int{false: 2, true: 3}[evaluate]; len(f.Kinds) != want || f.Sums != int64(want-1+12) {
				t.Errorf("%d kinds, %d sums", len(f.Kinds), f.Sums)
			}
		}
	}
}

func TestTheForecastIsWhatTheAccountWillCharge(t *testing.T) {
	r := resolve(t, standard())
	for _, limit := range []string{"0.7", "1.0", "1.5", "4"} {
		for _, spent := range []accountant.Units{0, 1 << 37} {
			a := open(t, limit, "1e-5", spent)
			f := mustFor(t, r, remaining("shop-00", a))
			got, jobs, paid := f.Accounts[0], uint64(0), int64(0)
			for done := false; !done; jobs++ { // play the jobs, charge by charge
				for kind := uint8(1); kind <= 3 && !done; kind++ {
					_, s, _ := r.Noise(kind)
					c, err := accountant.ChargeFor(s, a.Order())
					if err != nil {
						t.Fatal(err)
					}
					n, _ := r.Private.Kind(kind)
					for range n.Rounds {
						next, err := a.Spend(c)
						if done = err != nil; done {
							break
						}
						if a = next; jobs == 0 {
							paid++
						}
					}
				}
			}
			jobs-- // the last one wasn't paid in full
			if got.Affords != (jobs > 0) || got.Affords && got.More != jobs-1 {
				t.Errorf("cap %s, %d spent: %d jobs are paid, forecast %+v", limit, spent, jobs, got)
			}
			if f.Paid(got) != paid {
				t.Errorf("cap %s, %d spent: %d rounds are paid, forecast %d", limit, spent, paid, f.Paid(got))
			}
		}
	}
}

func TestMoreSureContributorsMakeLessNoiseEachAndCostTheSame(t *testing.T) {
	var before *Forecast
	for nMin := 4; nMin <= 10; nMin++ {
		o := standard()
		o.nMin = nMin
		f := mustFor(t, resolve(t, o), remaining("shop-00", open(t, "2", "1e-5", 0)))
		if before != nil {
			for i, k := range f.Kinds {
				if k.Sigma2Local >= before.Kinds[i].Sigma2Local || k.SigmaLocal >= before.Kinds[i].SigmaLocal {
					t.Errorf("n_min = %d: %s has σ_i² = %d, before %d", nMin, k.Kind, k.Sigma2Local, before.Kinds[i].Sigma2Local)
				}
			}
			if change := math.Abs(float64(f.Total)/float64(before.Total) - 1); change > 1e-6 {
				t.Errorf("n_min = %d: the cost changes by %v", nMin, change)
			}
		}
		before = f
	}
}

func TestACheaperJobTakesMoreNoise(t *testing.T) {
	var before *Forecast
	for _, epsilon := range []string{"10", "3", "1", "0.3", "0.1"} {
		o := standard()
		o.epsilon = epsilon
		f := mustFor(t, resolve(t, o), remaining("shop-00", open(t, "10", "1e-5", 0)))
		if before != nil {
			if f.Kinds[1].Sigma <= before.Kinds[1].Sigma || f.Accounts[0].Total >= before.Accounts[0].Total || f.Accounts[0].More < before.Accounts[0].More {
				t.Errorf("ε = %s: %+v, before %+v", epsilon, f, before)
			}
		}
		before = f
	}
}

func TestBytesGrowWithLanesAndSeats(t *testing.T) {
	f := mustFor(t, resolve(t, standard()))
	if f.Kinds[0].PayloadBytes < f.Kinds[1].PayloadBytes || f.Kinds[1].UploadBytes <= f.Kinds[1].PayloadBytes+7*8704 {
		t.Errorf("bytes: %+v", f.Kinds)
	}
	var total int64
	for _, k := range f.Kinds {
		total += k.Rounds * k.UploadBytes
	}
	if total != f.UploadBytes || f.PlannedMs != 14*120_000 {
		t.Errorf("%d bytes in all, want %d; %d ms", f.UploadBytes, total, f.PlannedMs)
	}
}

func TestWhatIsNoForecastIsRefused(t *testing.T) {
	r := resolve(t, standard())
	for name, a := range map[string]Remaining{
		"more left than there was": {"shop-00", 18, 2, 1},
		"no order":                 {"shop-00", 0, 1, 1},
		"order 1":                  {"shop-00", 1, 1, 1},
		"order too high":           {"shop-00", accountant.MaxOrder + 1, 1, 1},
	} {
		if _, err := For(r, []Remaining{a}); !errors.Is(err, ErrAccount) || !strings.Contains(err.Error(), "shop-00") {
			t.Errorf("%s: %v", name, err)
		}
	}
	exact := *r
	exact.Private = nil
	if _, err := For(&exact, nil); !errors.Is(err, ErrExact) {
		t.Errorf("exact: %v", err)
	}
}

func TestAnEmptyAccountPaysNothing(t *testing.T) {
	f := mustFor(t, resolve(t, standard()), Remaining{"shop-00", 18, 0, 1 << 40})
	if a := f.Accounts[0]; a.Affords || a.More != 0 || a.Spare != 0 || f.Paid(a) != 0 {
		t.Errorf("%+v", a)
	}
	if !strings.Contains(f.Text(), "can't pay: enough for 0 of 14 rounds") {
		t.Error(f.Text())
	}
}

func TestRandomForecastsEncodeToThemselves(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 25 {
		f := random.IntN(3)
		n := max(3, 3*f+1) + random.IntN(30)
		r := resolve(t, options{
			epsilon: fmt.Sprintf("%d.%02d", random.IntN(30), 5+random.IntN(90)), delta: fmt.Sprintf("%de-%d", 1+random.IntN(9), 3+random.IntN(8)),
			rounds: 1 + random.IntN(60), n: n, nMin: f + 2 + random.IntN(n-f-1), f: f, evaluate: random.IntN(2) == 0, bits: 34 + random.IntN(7)})
		var accounts []Remaining
		for i := range random.IntN(5) {
			budget := accountant.Units(random.Uint64() >> random.IntN(40))
			accounts = append(accounts, Remaining{fmt.Sprintf("shop-%02d", i%n), accountant.Order(2 + random.IntN(4095)), budget / accountant.Units(1+random.IntN(4)), budget})
		}
		got := mustFor(t, r, accounts...)
		if got.Total > got.Limit || got.Text() == "" {
			t.Errorf("total %d of %d", got.Total, got.Limit)
		}
		again, err := Parse(got.JSON())
		if err != nil || string(again.JSON()) != string(got.JSON()) {
			t.Fatalf("%v: %s", err, got.JSON())
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Fatalf("the forecast changed:\n%s", diff)
		}
		if text := again.Text(); text != got.Text() {
			t.Errorf("the text changed:\n%s", text)
		}
	}
}

func TestParseRefusesWhatJSONDoesNotWrite(t *testing.T) {
	f := mustFor(t, resolve(t, standard()), remaining("shop-00", open(t, "1.0", "1e-5", 0)))
	text := string(f.JSON())
	for _, edited := range []string{
		"", "{}", text + " ", " " + text, strings.Replace(text, `"job"`, `"Job"`, 1), strings.Replace(text, `{"job"`, `{"jib":1,"job"`, 1),
		strings.Replace(text, `"accounts":[`, `"accounts":[null,`, 1), strings.Replace(text, `"unknown":[`, `"unknown":["x",`, 1) + "x",
		strings.Replace(text, `"sums":14`, `"sums":14.0`, 1), strings.Replace(text, `"total":"`, `"total":"0`, 1),
	} {
		if _, err := Parse([]byte(edited)); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%.60q: %v", edited, err)
		}
	}
}
