package jobspec

import (
	"fmt"
	"slices"
	"strings"
)

// trustedRosterBytes is the size of a roster's payloads above which participants
// don't recompute the model themselves [design §2, G8].
const trustedRosterBytes = 64 << 20

// ApprovalInput is what an operator is asked to approve.
type ApprovalInput struct {
	Job         *Resolved
	Cohort      []string            // names of the organisations whose data are summed
	Seats       []string            // names of the members that hold the committee's seats, by seat
	F           int                 // the charter's
	Expires     string              // when the job's keys are erased at the latest, as text; empty: only the span is told
	RosterBytes int64               // one roster's payloads together; 0: not known
	Earlier     []EarlierDifference // from jobs that ran on the same source with another cohort
}

// EarlierDifference is an organisation whose own sum two jobs give away together.
type EarlierDifference struct{ Job, Organisation string }

// page is an approval being written.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// ApprovalText says in words what a job computes, among whom, what its sums tell,
// and what a private job costs. Everything in it follows from the input, so that
// every operator of a job reads the same. It ends with a newline.
func ApprovalText(in ApprovalInput) string {
	if in.Job.Private != nil {
		return privateApproval(in)
	}
	j, n := in.Job, len(in.Cohort)
	var b page
	line := b.line
	line("Job %s, exact: its sums carry no noise.", j.Name)
	line("")
	b.cohort(in)
	b.committee(in)
	b.model(j)
	line("Rounds      1 to fit the features, at most %d to train, 1 to evaluate; each is planned for %s", j.Model.MaxRounds, durationText(j.RoundTimeout))
	b.expiry(in)
	line("")
	line("What the sums tell")
	if j.Model.recommends() {
		b.recommended(j, n)
	} else {
		line("Learnt exactly, summed over these %d organisations: %s. What only one customer has is that customer's.", n, sumsText(j))
	}
	if n == 3 {
		line("With N = 3, each organisation learns the sum of the other two.")
	}
	b.guessable(j)
	if len(j.Groups) > 0 {
		line("Also, by group of %s: how many held-out rows each group has and, for groups of %d or more, their held-out scores by label in 64 bins. A smaller group's scores aren't summed, nor those of further groups of its column until %d rows or more are left out together.", j.groupNames(), j.MinGroup, j.MinGroup)
	}
	b.sketches(j)
	if j.Holdout.From > 0 {
		line("The tenths are the same in all jobs: together with jobs that hold out others, the sums of some tenths alone follow by difference.")
	}
	line("A malicious member could steer the model to single out a record: only private jobs exclude this.")
	for _, e := range in.Earlier {
		line("The difference from job %s is organisation %s's own sum.", e.Job, e.Organisation)
	}
	b.seatStops(in)
	if in.RosterBytes > trustedRosterBytes {
		line("A round's payloads total %d MB, over 64 MB: participants don't recompute the model, and the coordinator is trusted with it.", in.RosterBytes>>20)
	}
	return b.String()
}

func (p *page) cohort(in ApprovalInput) {
	p.line("Contract    %s", in.Job.Contract)
	p.line("Cohort      %s (%d organisations)", strings.Join(in.Cohort, ", "), len(in.Cohort))
}

func (p *page) committee(in ApprovalInput) {
	seats := ""
	if len(in.Seats) > 0 {
		seats = ": " + strings.Join(in.Seats, ", ")
	}
	p.line("Committee   any %d of %d seats open a sum (f = %d)%s", in.Job.Committee.Threshold, in.Job.Committee.Of, in.F, seats)
}

func (p *page) model(j *Resolved) {
	l1 := ""
	if j.Model.L1 > 0 {
		l1 = "l1 " + decimalOf(j.Model.L1) + ", "
	}
	p.line("Model       %s, %sl2 %s, %s", j.Model.text(), l1, decimalOf(j.Model.L2), j.Model.Solver)
	if a := j.Model.Averaging; a != nil {
		p.line("            %s", a.text(j.Model.L1))
	}
	if j.Model.recommends() {
		p.matrix(j)
		p.line("Evaluation  %s", evaluationText(j))
		return
	}
	if j.Target != nil {
		p.line("Label       a number from %s to %s, by its squared error", decimalOf(j.Target.Min), decimalOf(j.Target.Max))
	}
	if j.Start != nil {
		p.line("Start       at the coefficients of the model %x, not at zero; they are in the job, and nobody recomputes them", j.Start.Model)
	}
	if j.Weighting != nil {
		p.line("Weights     %s", j.Weighting.text(j.Classes))
	}
	for i, f := range j.Features {
		head := "           "
		if i == 0 {
			head = "Features   "
		}
		p.line("%s %s", head, featureText(f, j.Features))
	}
	p.line("Evaluation  %s", evaluationText(j))
}

func (p *page) expiry(in ApprovalInput) {
	if in.Expires != "" {
		p.line("Expiry      %s, %s after the job is made; then its keys are erased", in.Expires, durationText(in.Job.Expires))
	} else {
		p.line("Expiry      %s after the job is made; then its keys are erased", durationText(in.Job.Expires))
	}
}

// sumsText lists what an exact job's sums tell.
func sumsText(j *Resolved) string {
	labels, categories, scores := "positives", "the count of every category and of every pair of categories (with their label sums, approximately)", "held-out scores by label in 1,024 bins"
	switch {
	case j.Target != nil:
		labels, categories, scores = j.targetSumsText()
	case averages(j.Model.Solver):
		categories = averagedSums(&j.Model)
	case j.Model.Solver == solverLBFGS:
		categories = "the count of every category (with its label sums, approximately), the loss's derivative by every coefficient in each round"
	}
	if slices.ContainsFunc(j.Features, func(f Feature) bool { return f.Kind == Cross }) {
		categories = strings.Replace(categories, "every category", "every category and combination", 1)
	}
	if j.Classes != nil {
		labels = fmt.Sprintf("the count of each of %d classes (fewer than %d training rows of one end the job)", len(j.Classes), j.Model.MinClassRows)
		scores = "the held-out rows' classes against the predicted ones"
	}
	sums := fmt.Sprintf("rows, %s, missing values, means and variances per column, %s", labels, categories)
	if scores != "" {
		sums += ", " + scores
	}
	return sums + extraSums(j)
}

func (p *page) seatStops(in ApprovalInput) {
	if in.Job.Committee == (Committee{Threshold: 3, Of: 3}) && in.F == 1 {
		p.line("All 3 of 3 seats are needed to open a sum: one seat can stop the job.")
	}
}

func featureText(f Feature, features []Feature) string {
	parts := f.derivedText()
	switch {
	case f.Kind == kindBuckets || f.Kind == kindDatePart:
	case f.Kind == Cross || f.HashBuckets > 0:
		parts = append(parts, f.openText(features))
	case f.Kind == Category && f.MinCount == 0:
		parts = append(parts, fmt.Sprintf("one-hot over %d values", len(f.Values)))
	case f.Kind == Category:
		parts = append(parts, fmt.Sprintf("one-hot over %d values, fewer than %d rows fold into other", len(f.Values), f.MinCount))
	default:
		if f.Log1p {
			parts = append(parts, "log1p")
		}
		if f.Standardize && !f.Scale {
			parts = append(parts, fmt.Sprintf("standardised, clamped at ±%s deviations", decimalOf(f.Clip)))
		}
		if f.Scale {
			parts = append(parts, f.scaledText())
		}
		if len(parts) == 0 {
			parts = append(parts, "as it is")
		}
	}
	if f.MissingIndicator {
		parts = append(parts, "with an indicator for missing")
	}
	return f.Name + ": " + strings.Join(parts, ", ")
}

func evaluationText(j *Resolved) string {
	metrics, rows := strings.Join(j.Metrics, ", "), "the rows"
	if r := j.Model.Recommendation; r != nil {
		metrics, rows = fmt.Sprintf("%s of the best %d", metrics, r.TopK), "each user's items"
	}
	by := ""
	if len(j.Groups) > 0 {
		by = "; by group of " + j.groupNames()
	}
	switch h := j.Holdout; {
	case h.None():
		return "none"
	case h.Column != "":
		return fmt.Sprintf("%s on the rows where %s is %s%s", metrics, h.Column, show(h.Equals), by)
	default:
		from := ""
		if h.From > 0 {
			from = fmt.Sprintf(" from number %d", h.From)
		}
		return fmt.Sprintf("%s on %d tenths of %s%s, chosen by each participant's own secret%s", metrics, h.Tenths, rows, from, by)
	}
}
