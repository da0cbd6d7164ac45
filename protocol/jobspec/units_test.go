package jobspec

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
)

// variant resolves the private example after edits.
func variant(t *testing.T, edits ...string) *Resolved {
	t.Helper()
	text := string(read(t, "private.yaml"))
	for i := 0; i < len(edits); i += 2 {
		text = edit(t, text, edits[i], edits[i+1])
	}
	r := mustResolve(t, mustSpec(t, text), mustContract(t, string(read(t, "shop-customers.yaml"))), tenMembers())
	again, err := ParseResolved(r.Canonical())
	if err != nil {
		t.Fatalf("%v\n%s", err, r.Canonical())
	}
	if diff := cmp.Diff(r, again, cmp.Comparer(func(a, b dp.Rational) bool { return a == b })); diff != "" {
		t.Errorf("the job changed:\n%s", diff)
	}
	return r
}

const privacyLine = `privacy: {unit: record, epsilon: "1.0", delta: "1e-5", clip: "1.0"}`

// A user or a silo that counts as C rows moves a sum by C times what a record does, and the noise is as much larger.
func TestNoiseGrowsWithTheRowsThatAUnitCountsAs(t *testing.T) {
	record := variant(t)
	for _, unit := range []string{"user", "silo"} {
		for _, clip := range []uint64{1, 3, 1000, 65536} {
			r := variant(t, privacyLine, fmt.Sprintf(`privacy: {unit: %s, epsilon: "1.0", delta: "1e-5", clip: "%d.0"}`, unit, clip))
			p := r.Private
			if p.Unit != unit || p.Clip != clip {
				t.Fatalf("unit %s, clip %d", p.Unit, p.Clip)
			}
			checkBudget(t, r)
			for kind := kindFit; kind <= kindEvaluate; kind++ {
				o, sum, _ := r.Noise(kind)
				params, err := dp.NewParams(o)
				if err != nil {
					t.Fatal(err)
				}
				least := float64(p.Scale) * float64(clip)
				if sum.Sensitivity2 != params.Sensitivity2() || float64(sum.Sensitivity2) < least*least || o.Segments[0].Clip != p.Scale*clip {
					t.Errorf("%s, clip %d, kind %d: Δ² = %d", unit, clip, kind, sum.Sensitivity2)
				}
				k, _ := p.Kind(kind)
				old, _ := record.Private.Kind(kind)
				if got, want := p.Sigma(k), float64(clip)*record.Private.Sigma(old); math.Abs(got/want-1) > 0.05 {
					t.Errorf("%s, clip %d, kind %d: σ = %g, of a record %g", unit, clip, kind, got, want)
				}
			}
			if text := ApprovalText(ApprovalInput{Job: r, Cohort: r.Participants, F: 2}); !strings.Contains(text, "for "+protected[unit]) || !strings.Contains(text, fmt.Sprintf("one %s adds %d at most", unit, clip)) {
				t.Errorf("the approval hides the unit:\n%s", text)
			}
		}
	}
}

// dp_sgd's sums are charged as Poisson samples, and its forecast for K units is no less than for one.
func TestSampledJobsAreChargedForTheirRate(t *testing.T) {
	r := variant(t, "solver: dp_gradient_descent", "solver: dp_sgd\n  sampling: {rate: \"0.02\", momentum: 0.5}", "max_rounds: 12", "max_rounds: 100")
	checkBudget(t, r)
	s := r.Model.Sampling
	if s.Rate.String() != "1/50" || s.Momentum != 0.5 || s.LearningRate != defaultSampledRate {
		t.Errorf("sampling %+v", s)
	}
	_, fit, _ := r.Noise(kindFit)
	_, train, _ := r.Noise(kindTrain)
	if fit.Rate != dp.Integer(1) || train.Rate != s.Rate {
		t.Errorf("rates %s and %s", fit.Rate, train.Rate)
	}
	whole := train
	whole.Rate = dp.Integer(1)
	a, err := accountant.ChargeFor(train, r.Private.Order)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := accountant.ChargeFor(whole, r.Private.Order); err == nil && b.Units() <= a.Units() {
		t.Errorf("a sample costs %d, everything %d", a.Units(), b.Units())
	}
	one, err := r.GroupEpsilon(1, 1)
	two, err2 := r.GroupEpsilon(2, 1)
	again, err3 := r.GroupEpsilon(1, 3)
	if err != nil || err2 != nil || err3 != nil || !(one <= 1 && one > 0.3 && two > 1.5*one && again > one) {
		t.Errorf("ε = %g for one, %g for two, %g at three tries: %v, %v, %v", one, two, again, err, err2, err3)
	}
	text := ApprovalText(ApprovalInput{Job: r, Cohort: r.Participants, F: 2})
	for _, want := range []string{"each record takes part in a training round with probability 1/50", "gradients of secret samples"} {
		if !strings.Contains(text, want) {
			t.Errorf("the approval lacks %q:\n%s", want, text)
		}
	}
	if o, _, _ := r.Noise(kindFit); o.Segments[0].Length != 1 || o.Segments[1] != dp.Canary() {
		t.Errorf("fit segments %+v", o.Segments)
	}
}

// In a noised job each contribution carries by itself what a sealed job's sum carries.
func TestNoisedJobsPutAllTheNoiseOnEachContribution(t *testing.T) {
	text := string(read(t, "private.yaml"))
	committee := text[strings.Index(text, "  committee:"):]
	committee = committee[:strings.Index(committee, "\n")+1]
	sealed, r := variant(t), variant(t, committee, "", "mode: sealed", "mode: noised")
	checkBudget(t, r)
	if r.Committee != (Committee{}) || r.Honest() != 1 || sealed.Honest() != 7 {
		t.Errorf("committee %+v, h = %d and %d", r.Committee, r.Honest(), sealed.Honest())
	}
	for kind := kindFit; kind <= kindEvaluate; kind++ {
		k, _ := r.Private.Kind(kind)
		old, _ := sealed.Private.Kind(kind)
		if k.Sigma2Local != k.SumSigma2 || k.SumSigma2 > old.SumSigma2 || 7*k.SumSigma2 < 6*old.SumSigma2 {
			t.Errorf("kind %d: σ_i² = %d, σ² = %d; a sealed sum has %d", kind, k.Sigma2Local, k.SumSigma2, old.SumSigma2)
		}
	}
	for _, n := range []int{1, 2} {
		small := edit(t, edit(t, edit(t, text, committee, ""), "mode: sealed", "mode: noised"), "min_participants: 9 ", "#")
		r := mustResolve(t, mustSpec(t, small), mustContract(t, string(read(t, "shop-customers.yaml"))), Options{F: 2, Contributors: n})
		if _, err := ParseResolved(r.Canonical()); err != nil || r.NMin != 1 {
			t.Errorf("%d participants: n_min %d, %v", n, r.NMin, err)
		}
	}
	approval := ApprovalText(ApprovalInput{Job: r, Cohort: r.Participants, F: 2})
	for _, want := range []string{"private and noised: what you send is not sealed", "Committee   none: the coordinator reads each participant's noised values", "your node adds all of the noise itself"} {
		if !strings.Contains(approval, want) {
			t.Errorf("the approval lacks %q:\n%s", want, approval)
		}
	}
}
