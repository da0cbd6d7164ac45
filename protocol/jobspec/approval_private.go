package jobspec

import (
	"fmt"
	"math"
	"strings"

	"tributary/crypto/dp"
)

// privateApproval is ApprovalText of a private job.
func privateApproval(in ApprovalInput) string {
	j, p, n := in.Job, in.Job.Private, len(in.Cohort)
	var b page
	line := b.line
	noised := j.Mode == ModeNoised
	if noised {
		line("Job %s, private and noised: what you send is not sealed. It carries its whole noise by itself.", j.Name)
	} else {
		line("Job %s, private: every sum that is opened carries noise.", j.Name)
	}
	line("")
	b.cohort(in)
	if noised {
		line("Quorum      a sum is made of %d of them or more (n_min): %s; with fewer left the job ends", j.NMin, dropouts(n-j.NMin))
		line("Committee   none: the coordinator reads each participant's noised values")
	} else {
		line("Quorum      a sum is opened with %d of them or more (n_min): %s; with fewer left the job ends", j.NMin, dropouts(n-j.NMin))
		b.committee(in)
	}
	b.model(j)
	if s := j.Model.Sampling; s != nil {
		line("            each %s takes part in a training round with probability %s, by coins that stay here; momentum %s, learning rate %s", p.Unit, s.Rate, decimalOf(s.Momentum), decimalOf(s.LearningRate))
	}
	sums, rounds := 0, []string{}
	noise := []string{}
	purpose := map[uint8]string{kindSketch: "to count rows by bin", kindFit: "to fit", kindTrain: "to train (all of them are run)", kindEvaluate: "to evaluate"}
	for _, kind := range kinds {
		k, ok := p.Kind(kind)
		if !ok {
			continue
		}
		sums += int(k.Rounds)
		rounds = append(rounds, fmt.Sprintf("%d %s", k.Rounds, purpose[kind]))
		o, _, _ := j.Noise(kind)
		noise = append(noise, fmt.Sprintf("%s: σ = %.3g on each of %d values; one %s adds %s at most (L2 norm over all of them)", o.Segments[0].Name, p.Sigma(k), o.Segments[0].Length, p.Unit, decimalOf(math.Ceil(100*float64(o.Segments[0].Clip)/float64(p.Scale))/100)))
	}
	line("Rounds      %s; each is planned for %s", strings.Join(rounds, ", "), durationText(j.RoundTimeout))
	line("Privacy     ε = %s and δ = %s for %s, over all %d sums together, counted at RDP order %d", p.Epsilon, p.Delta, protected[p.Unit], sums, p.Order)
	switch {
	case j.Model.recommends():
		line("            a user's part of a sum has an L2 norm of %d at most, however many items it has: each of them is weighed down", p.Clip)
	case p.Unit != unitRecord:
		line("            a %s with more than %d rows counts as %d: each of its rows is weighed down", p.Unit, p.Clip, p.Clip)
	}
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
		if len(j.Groups) > 0 {
			held += ", among all rows and by group of " + j.groupNames()
		}
		if j.Classes != nil {
			held = ", and of held-out rows by whether the model is right and how sure it is"
		}
		if j.Target != nil {
			held = ", and of held-out rows: " + strings.Join(j.errorsText(), ", ")
		}
	}
	what := "of the products of every two features, of gradients"
	switch {
	case j.Model.Sampling != nil:
		what = "of the number of rows, of gradients of secret samples"
	case j.Model.recommends():
		if what = j.privateMatrixSums(); !j.Holdout.None() {
			if held = ", and of how well held-out items are found"; j.rated() {
				held += " and ratings are predicted"
			}
		}
	}
	one := map[string]string{unitRecord: "any one record", unitUser: "any one user", unitSilo: "your rows"}[p.Unit]
	line("Sums over %s organisations, with noise: %s%s. Whoever sees all of them and the model learns nearly the same about you with and without %s.", over, j.sketchText()+what, held, one)
	if noised {
		line("The coordinator sees your own values too, not only the sum, and they tell no more than that: your node adds all of the noise itself. That holds against everybody else together, for any model.")
	} else {
		others := fmt.Sprintf("up to %d members", in.F)
		if in.F == 1 {
			others = "one member"
		}
		line("That holds against the coordinator together with %s, for any model it chooses: the %d that stay honest carry all of that noise.", others, j.Honest())
	}
	line("%d more values of each round are noise alone; they show whether all add the noise that was agreed.", dp.CanaryLanes)
	line("")
	line("What is not protected")
	line("A malicious member can poison its own part and spoil the model.")
	switch p.Unit {
	case unitRecord:
		line("A person held by K participants, or with K records, is protected less: the cost for that person is K²·ρ, which for K = 2 comes to %s.", epsilonText(j.GroupEpsilon(2, 1)))
	case unitUser:
		line("A person held by K participants, or under K keys, is protected less: the cost for that person is K²·ρ, which for K = 2 comes to %s.", epsilonText(j.GroupEpsilon(2, 1)))
	default:
		line("K participants that belong together are protected less: the cost for them is K²·ρ, which for K = 2 comes to %s.", epsilonText(j.GroupEpsilon(2, 1)))
	}
	line("Which organisations take part in a round, and when, is seen by all.")
	if !noised {
		b.seatStops(in)
	}
	return b.String()
}

// protected says for whom ε holds, by unit.
var protected = map[string]string{
	unitRecord: "each record of one participant",
	unitUser:   "each user of one participant, all rows with its key together",
	unitSilo:   "all rows of one participant together",
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
