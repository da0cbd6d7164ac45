package audit

import (
	"fmt"
	"io"
	"strings"
)

// purposes say what a kind of round's sum is for.
var purposes = map[string]string{
	"sketch":   "about how many rows lie in each bin of some columns' ranges, for quantiles, means and deviations",
	"fit":      "counts and sums over the rows, from which features are scaled and the training starts",
	"train":    "how the model's numbers should move, summed over all rows that took part",
	"evaluate": "how well the model scores rows that were held out",
}

// purpose says what the release's sum is for.
func (x *Explanation) purpose() string {
	for _, s := range x.Segments {
		if x.Kind == "evaluate" && s.Name == "hessian" {
			return purposes[x.Kind] + ", and the loss's second derivatives over the others, for standard errors"
		}
	}
	return purposes[x.Kind]
}

// oneUnit says whose contribution is bounded.
var oneUnit = map[string]string{"record": "One record changes", "user": "All records of one user at one member change", "silo": "All of one member's records change"}

// WriteText says the release in plain words.
func (x *Explanation) WriteText(out io.Writer) error {
	w := &sticky{w: out}
	say := func(format string, args ...any) { w.f("%s\n", wrapped(fmt.Sprintf(format, args...), 2, 118)) }
	w.f("Release %s, entry %d\n\nWhat was opened\n", x.Digest[:12], x.Entry)
	var parts []string
	for _, s := range x.Segments {
		parts = append(parts, fmt.Sprintf("%s (%d)", s.Name, s.Length))
	}
	say("One sum of %d numbers, %s. Round %d, step %d, kind %s: %s. On %s UTC by the coordinator's clock.", x.Numbers, strings.Join(parts, ", "), x.Round, x.Step, x.Kind, x.purpose(), x.At)
	say("It belongs to the %s job %s, proposed in entry %d, spec %s, contract %s. Its round was begun in entry %d.", x.JobKind, x.Job[:12], x.JobEntry, x.Spec[:12], x.Contract[:12], x.PlanEntry)
	if x.Noise == nil {
		say("The job is exact: the sum carries no noise, ε is infinite. Everybody who holds the job's result learns this sum; the approval said what it tells.")
	}
	noised := x.JobMode == "noised"
	if noised {
		say("The job is noised: nothing was encrypted. The coordinator reads each contribution, which carries all of its noise by itself; the sum tells no more than they do.")
	} else {
		say("No single contribution was opened: each stays encrypted under a key that was used once.")
	}
	for _, s := range x.Segments {
		if s.Name == "canary" {
			say("The %d numbers called canary are noise alone: they show that the agreed noise is there.", s.Length)
		}
	}

	w.f("\nWho contributed\n")
	if x.RosterEntry >= 0 {
		say("%d of the cohort of %d, by the roster in entry %d:", len(x.Contributors), x.Cohort, x.RosterEntry)
	} else {
		say("All %d of the cohort, as in every sum of an exact job (roster %s):", len(x.Contributors), x.Roster[:12])
	}
	for _, c := range x.Contributors {
		if c.ChargeEntry < 0 {
			say("- %s, %s", c.Name, c.Organisation)
			continue
		}
		say("- %s, %s: charged %.6f nats to account %s in entry %d, %s of its budget; %s were spent after it; this sum alone is ε = %s at δ = %s", c.Name, c.Organisation, c.Charged.Nats, c.Account[:12],
			c.ChargeEntry, percent(c.Charged.Share), percent(c.SpentAfter.Share), c.Epsilon, c.Delta)
	}
	if len(x.Absent) > 0 {
		say("Not in it: %s.", strings.Join(x.Absent, ", "))
	}

	w.f("\nWho opened\n")
	if noised {
		say("Nobody had to: there is no committee.")
	} else {
		say("At least %d of the %d seats: %s. The ledger doesn't say which of them replied.", x.Threshold, len(x.Committee), strings.Join(x.Committee, ", "))
	}
	for _, s := range x.Suspects {
		say("The reply of %s was wrong and corrected: the seat, or a sender's share to it, is at fault.", s)
	}

	w.f("\nParameters\n")
	say("f = %d: at most so many members may work with the coordinator against the others. At least %d had to contribute.", x.F, x.NMin)
	if n := x.Noise; n != nil {
		if noised {
			say("Noise: discrete Gaussian of variance σ² = %s on each contribution.", n.Sigma2)
		} else {
			say("Noise: discrete Gaussian. Each contributor added its own share of variance σ_i² = %d; that of h = %d contributors is counted on, so the sum carries at least σ² = %s, whoever drops out or colludes.", n.Sigma2Local, n.H, n.Sigma2)
		}
		say("%s the sum by at most Δ in length, Δ² = %d. The noise's standard deviation is %.2f times Δ. All in the job's integer units.", oneUnit[n.Unit], n.Sensitivity2, n.Multiplier)
		if n.Rate != "1" {
			say("Each %s took part with probability %s, by secret coins.", n.Unit, n.Rate)
		}
	}
	say("The model's next state is %s.", x.NextState[:12])
	if x.Noise != nil {
		w.f("\nWhat ε means\n")
		say("%s %s", words()[0].Term, words()[0].Text)
	}
	return w.err
}
