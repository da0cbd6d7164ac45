package audit

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tributary/crypto/dp/accountant"
	"tributary/protocol/wire"
)

// Report is a ledger for a compliance officer. Times are the coordinator's, UTC.
type Report struct {
	Consortium  string         `json:"consortium"`
	Origin      string         `json:"origin"`
	Coordinator string         `json:"coordinator"`
	Entries     int64          `json:"entries"`
	Root        string         `json:"root"`
	From        string         `json:"from"`
	To          string         `json:"to"`
	Verified    bool           `json:"verified"`
	Cosigned    []Cosigned     `json:"cosigned"` // the checkpoint, by members as witnesses
	Silent      []string       `json:"silent"`   // the newest charter's other members
	Findings    []Finding      `json:"findings"`
	Notes       []string       `json:"notes"`
	Members     []MemberReport `json:"members"`
	Several     []Several      `json:"several"`
	Jobs        []JobReport    `json:"jobs"`
}

// MemberReport is what one member contributed and spent.
type MemberReport struct {
	Name         string          `json:"name"`
	Organisation string          `json:"organisation"`
	Role         string          `json:"role"`
	Key          string          `json:"key"`
	Revoked      string          `json:"revoked,omitempty"` // since when
	ExactSums    int             `json:"exact_sums"`        // opened with its data and without noise
	Policy       *PolicyReport   `json:"policy"`            // its own rules, as it stated them last; null: never
	Certificates int             `json:"certificates"`      // issued to it
	LastIssued   string          `json:"last_issued,omitempty"`
	Accounts     []AccountReport `json:"accounts"`
}

// Cosigned is a member's word, at a time of its own clock, that it saw no other history than the checkpoint's.
type Cosigned struct {
	Name string `json:"name"`
	At   string `json:"at"`
}

// PolicyReport is a member's policy.
type PolicyReport struct {
	Version uint32 `json:"version"`
	Since   string `json:"since"`
	Text    string `json:"text"`
}

// AccountReport is one privacy account over its lifetime.
type AccountReport struct {
	ID      string     `json:"id"`
	Unit    string     `json:"unit"`
	Epsilon string     `json:"epsilon"` // of the last cap: a decimal, or a fraction
	Delta   string     `json:"delta"`
	Order   uint32     `json:"order"`
	Since   string     `json:"since"`
	Refills uint32     `json:"refills"`
	Budget  Amount     `json:"budget"`          // over all refills
	Allowed Epsilon    `json:"allowed_epsilon"` // what Budget means at Delta
	Spent   Amount     `json:"spent"`
	Left    Amount     `json:"left"`
	Bound   Epsilon    `json:"spent_epsilon"`  // what Spent means at Delta: the guarantee, whatever was opened
	Opened  Epsilon    `json:"opened_epsilon"` // of the sums that were really opened
	Jobs    []Spending `json:"jobs"`
	Periods []Spending `json:"periods"` // by calendar month
}

// Amount is RDP at the account's order.
type Amount struct {
	Units uint64  `json:"units"` // of 2⁻⁴⁰
	Nats  float64 `json:"nats"`
	Share float64 `json:"share"` // of the budget, 0 to 1
}

// Spending is a part of what an account spent.
type Spending struct {
	Name    string  `json:"name"`
	Charges int     `json:"charges"`
	Sums    int     `json:"sums"` // of them opened with the member's contribution
	Spent   Amount  `json:"spent"`
	Epsilon Epsilon `json:"epsilon"` // of these sums alone
}

// Several is the ε of a person whose records K members hold, one each: the noise protects a change K times as large, K² times the cost.
type Several struct {
	Members int     `json:"members"`
	Delta   float64 `json:"delta"`
	Epsilon Epsilon `json:"epsilon"`
}

// Epsilon is an ε in nats, rounded up to four decimals; JSON has no infinity, so it is written as null.
type Epsilon float64

// NewReport makes the report of a book.
func NewReport(b *Book) *Report {
	r := &Report{Origin: b.Origin, Coordinator: b.Coordinator.String(), Entries: b.Head.Size, Root: hexOf(b.Head.Root[:]), From: when(b.First.Ms), To: when(b.Last.Ms),
		Verified: b.Verified(), Findings: slices.Clone(b.Findings), Notes: slices.Clone(b.Notes), Members: []MemberReport{}, Several: b.several(), Jobs: []JobReport{}, Cosigned: []Cosigned{}, Silent: b.list(b.Silent)}
	for i, m := range b.Cosigned {
		r.Cosigned = append(r.Cosigned, Cosigned{b.Name(m), when(1000 * b.cosignedAt[i])})
	}
	for _, m := range b.people {
		r.Members = append(r.Members, b.memberReport(b.enrolled[m]))
	}
	for _, j := range b.Jobs {
		r.Jobs = append(r.Jobs, b.jobReport(j))
	}
	if n := len(b.Charters); n > 0 {
		r.Consortium = plain(b.Charters[n-1].Consortium)
	}
	return r
}

// witnessed says who cosigned the checkpoint.
func (r *Report) witnessed() string {
	if len(r.Cosigned) == 0 {
		return "by no member"
	}
	var parts []string
	for _, c := range r.Cosigned {
		parts = append(parts, c.Name+" ("+c.At+" UTC by its clock)")
	}
	text := "by " + strings.Join(parts, ", ")
	if len(r.Silent) > 0 {
		text += "; not by " + strings.Join(r.Silent, ", ")
	}
	return text
}

// rules says what a member stated of its policy and certificates; empty if nothing.
func (m *MemberReport) rules() string {
	text := ""
	if p := m.Policy; p != nil {
		text = fmt.Sprintf("Policy, version %d since %s: %s.", p.Version, p.Since, p.Text)
	}
	if m.Certificates > 0 {
		text += fmt.Sprintf(" Certificates issued: %d, the last %s.", m.Certificates, m.LastIssued)
	}
	return strings.TrimSpace(text)
}

// Only keeps one member and the jobs in which it has a part; false if nobody is called that.
func (r *Report) Only(name string) bool {
	i := slices.IndexFunc(r.Members, func(m MemberReport) bool { return m.Name == name })
	if i < 0 {
		return false
	}
	r.Members = r.Members[i : i+1]
	r.Jobs = slices.DeleteFunc(r.Jobs, func(j JobReport) bool { return !slices.Contains(j.Cohort, name) && !slices.Contains(j.Committee, name) })
	return true
}

func (b *Book) memberReport(e *wire.Enrolment) MemberReport {
	m := MemberReport{Name: plain(e.Card.Name), Organisation: plain(e.Card.Organisation), Role: e.Role.String(), Key: e.Card.Key.String(), Accounts: []AccountReport{}}
	if at, ok := b.revoked[e.Card.Key]; ok {
		m.Revoked = when(at.Ms)
	}
	for _, j := range b.Jobs {
		if j.Manifest.Kind == wire.Exact && slices.Contains(j.Manifest.Cohort, e.Card.Key) {
			m.ExactSums += len(j.sums)
		}
	}
	if stated := b.policies[e.Card.Key]; len(stated) > 0 {
		last := stated[len(stated)-1]
		m.Policy = &PolicyReport{last.Version, when(last.Ms), plain(strings.ReplaceAll(strings.TrimSpace(last.Text), "\n", "; "))}
	}
	if issued := b.issued[e.Card.Key]; len(issued) > 0 {
		m.Certificates, m.LastIssued = len(issued), when(issued[len(issued)-1].Ms)
	}
	for _, a := range b.Accounts {
		if a.Member == e.Card.Key {
			m.Accounts = append(m.Accounts, a.report())
		}
	}
	return m
}

func (a *Account) report() AccountReport {
	now := a.Now()
	c, _ := capOf(now.Account)
	delta := c.Delta.Float()
	amount := func(units uint64) Amount {
		return Amount{units, accountant.Units(units).Nats(), ratio(units, now.Budget)}
	}
	out := AccountReport{ID: hexOf(a.ID[:]), Unit: wire.UnitName(now.Unit), Epsilon: number(now.EpsNum, now.EpsDen), Delta: number(now.DeltaNum, now.DeltaDen), Order: now.Order,
		Since: when(a.Opened[0].Ms), Refills: now.Refills, Budget: amount(now.Budget), Spent: amount(a.spent), Left: amount(now.Budget - min(now.Budget, a.spent)),
		Opened: epsilonOf(a.Charges, delta), Jobs: []Spending{}, Periods: []Spending{}}
	out.Allowed = up4(accountant.EpsilonFromRDP(float64(now.Order), accountant.Units(now.Budget).Nats(), delta))
	if a.spent > 0 {
		out.Bound = up4(accountant.EpsilonFromRDP(float64(now.Order), accountant.Units(a.spent).Nats(), delta))
	}
	group := func(key func(*Charge) string) []Spending {
		all, order := map[string][]*Charge{}, []string{}
		for _, c := range a.Charges {
			k := key(c)
			if all[k] == nil {
				order = append(order, k)
			}
			all[k] = append(all[k], c)
		}
		out := []Spending{}
		for _, k := range order {
			s, units := Spending{Name: k, Charges: len(all[k]), Epsilon: epsilonOf(all[k], delta)}, uint64(0)
			for _, c := range all[k] {
				units += c.Units
				if c.opened() {
					s.Sums++
				}
			}
			s.Spent = amount(units)
			out = append(out, s)
		}
		return out
	}
	out.Jobs = group(func(c *Charge) string { return short(c.Job) })
	out.Periods = group(func(c *Charge) string { return c.time().Format("2006-01") })
	slices.SortStableFunc(out.Periods, func(x, y Spending) int { return strings.Compare(x.Name, y.Name) })
	return out
}

// epsilonOf is the ε of the sums among the charges that were really opened; infinite if one can't be reported.
func epsilonOf(charges []*Charge, delta float64) Epsilon {
	var releases []accountant.Release
	for _, c := range charges {
		if !c.opened() {
			continue
		}
		s, ok := c.Round.Job.sum(c.Round.Kind)
		if !ok {
			return Epsilon(math.Inf(1))
		}
		releases = append(releases, accountant.Release{Mechanism: s, Count: 1})
	}
	return epsilonAt(releases, delta)
}

func epsilonAt(releases []accountant.Release, delta float64) Epsilon {
	if len(releases) == 0 {
		return 0
	}
	r, err := accountant.Epsilon(releases, delta)
	if err != nil {
		return Epsilon(math.Inf(1))
	}
	return up4(r.Epsilon)
}

// several says what a person risks whose records several members hold, over all private sums at the smallest δ of any account.
func (b *Book) several() []Several {
	out, most, delta := []Several{}, 0, 1.0
	for _, a := range b.Accounts {
		if c, err := capOf(a.Now().Account); err == nil {
			delta = min(delta, c.Delta.Float())
		}
	}
	var sums []accountant.Sum
	for _, j := range b.Jobs {
		for _, r := range j.sums {
			if s, ok := j.sum(r.Kind); ok && r.Roster != nil {
				sums, most = append(sums, s), max(most, len(r.Roster.Entries))
			}
		}
	}
	if delta >= 1 {
		return out
	}
	for _, k := range slices.Compact([]int{2, most}) {
		if k < 2 || k > most {
			continue
		}
		var releases []accountant.Release
		for _, s := range sums {
			if s.Sensitivity2 > 1<<62/uint64(k*k) {
				s.Sensitivity2 = 0 // can't be reported: refused below
			}
			s.Sensitivity2 *= uint64(k * k)
			releases = append(releases, accountant.Release{Mechanism: s, Count: 1})
		}
		out = append(out, Several{k, delta, epsilonAt(releases, delta)})
	}
	return out
}
