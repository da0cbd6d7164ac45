package jobspec

import (
	"fmt"
	"math"
	"strings"
)

// privateApproval is ApprovalText of a private job.
func privateApproval(in ApprovalInput) string {
	j, p, n := in.Job, in.Job.Private, len(in.Cohort)
	var b page
	line := b.line
	line("Job %s, private: every sum that is opened carries noise.", j.Name)
	line("")
	b.cohort(in)
	line("Quorum      a sum is opened with %d of them or more (n_min): %s; with fewer left the job ends", j.NMin, dropouts(n-j.NMin))
	b.committee(in)
	b.model(j)
	sums, rounds := 0, []string{}
	noise := []string{}
	for kind, what := range [...]string{kindFit: "to fit", kindTrain: "to train (all of them are run)", kindEvaluate: "to evaluate"} {
		k, ok := p.Kind(uint8(kind))
		if !ok {
			continue
		}
		sums += int(k.Rounds)
		rounds = append(rounds, fmt.Sprintf("%d %s", k.Rounds, what))
		o, _, _ := j.Noise(uint8(kind))
		noise = append(noise, fmt.Sprintf("%s: σ = %.3g on each of %d values; one record adds 1 at most (L2 norm over all of them)", o.Segments[0].Name, p.Sigma(k), o.Segments[0].Length))
	}
	line("Rounds      %s; each is planned for %s", strings.Join(rounds, ", "), durationText(j.RoundTimeout))
	line("Privacy     ε = %s and δ = %s for each record of one participant, over all %d sums together, counted at RDP order %d", p.Epsilon, p.Delta, sums, p.Order)
	for i, text := range noise {
		head := "           "
		if i == 0 {
			head = "Noise      "
		}
		line("%s %s", head, text)
	}
	b.expiry(in)
	line("")
	line("What it costs")
	line("The job's %d sums, each opened at its first try, cost at most ε = %s at δ = %s of your account for this source. Each upload is charged before its first byte leaves, whatever happens later; nothing is refunded once a byte left.", sums, p.Epsilon, p.Delta)
	line("A round that is uploaded and not opened is run again, with new noise, and charged again; after %d in a row the job is given up. With that many tries for every sum it comes to %s. Whatever the coordinator does, your node never spends more than your account has.", MaxTries, epsilonText(j.GroupEpsilon(1, MaxTries)))
	line("")
	line("What the sums tell")
	over, held := fmt.Sprint(n), " and nothing else"
	if j.NMin < n {
		over = fmt.Sprintf("%d to %d", j.NMin, n)
	}
	if !j.Holdout.None() {
		held = ", and of held-out rows by label and score"
	}
	line("Sums over %s organisations, with noise: of the products of every two features, of gradients%s. Whoever sees all of them and the model learns nearly the same about you with and without any one record.", over, held)
	line("That holds against the coordinator together with up to %d members, for any model it chooses: the %d that stay honest carry all of that noise.", in.F, j.Honest())
	line("")
	line("What is not protected")
	line("A malicious member can poison its own part and spoil the model.")
	line("A person held by K participants, or with K records, is protected less: the cost for that person is K²·ρ, which for K = 2 comes to %s.", epsilonText(j.GroupEpsilon(2, 1)))
	line("Which organisations take part in a round, and when, is seen by all.")
	b.seatStops(in)
	return b.String()
}

func dropouts(n int) string {
	switch n {
	case 0:
		return "none may drop out of a round"
	case 1:
		return "one may drop out of a round"
	}
	return fmt.Sprintf("up to %d may drop out of a round", n)
}

// epsilonText rounds ε up to two digits after the point.
func epsilonText(epsilon float64, err error) string {
	if err != nil || !(epsilon < 1e6) {
		return "an ε without meaning"
	}
	return fmt.Sprintf("ε = %.2f", math.Ceil(epsilon*100)/100)
}
