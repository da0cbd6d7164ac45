package audit

// word explains one of a report's figures to someone who hasn't met them.
type word struct{ Term, Text string }

func words() []word {
	return []word{
		{"ε (epsilon)", "limits what anyone can learn about one record from everything that was opened, together; where an account counts per user or per silo, about all of a user's, or a member's, records at once. Imagine two worlds that differ in one record of a member's data. " +
			"Whatever was opened is at most e^ε times as likely in the one as in the other. At ε = 1 the odds of any guess about a record shift by at most a factor of 2.72, at ε = 0.1 by at most 1.11. Smaller is stronger. " +
			"It holds whatever else somebody knows, and for good."},
		{"δ (delta)", "is the chance, about, that this limit doesn't hold: 1e-05 is one in a hundred thousand. It should be well below one in the number of records."},
		{"cap, spent, left", "A member's operator fixes a cap (ε, δ) for each source of data. Every contribution is charged to it before it leaves, whether or not the sum is opened in the end. Nothing is paid back. When nothing is left " +
			"the member refuses. Cap and charges are counted in one unit, Rényi divergence at a fixed order, in nats: that count is what is enforced, and it is why the guarantee holds across jobs. The ε beside a count is what the count means at δ; it isn't proportional to it."},
		{"ε of what was opened", "is computed afterwards from the sums that were really opened with this member in them. It is for information: it is not above what the charges guarantee, and nothing is enforced with it."},
		{"private and exact", "In a private job every opened sum carries noise. An exact job's sums carry none: its ε is infinite, and what it told is what its approval said."},
		{"What ε doesn't say", "It protects a record, not a person with many: someone with K records costs K² of the budget and has about K times the ε, or somewhat more. It assumes that at most f members work with the coordinator against the others. It doesn't say " +
			"whether the purpose was right, or the data."},
	}
}
