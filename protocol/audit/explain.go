package audit

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"tributary/crypto/dp/accountant"
	"tributary/protocol/wire"
)

// ErrNoRelease says that nothing in the ledger, or more than one release, is what was asked for.
var ErrNoRelease = errors.New("no such release")

// Explanation is one release in full.
type Explanation struct {
	Entry        int64         `json:"entry"`
	At           string        `json:"at"`
	Digest       string        `json:"digest"`
	Job          string        `json:"job"`
	JobKind      string        `json:"job_kind"`
	JobMode      string        `json:"job_mode"`   // sealed or noised
	PlanEntry    int64         `json:"plan_entry"` // -1: not in the ledger
	JobEntry     int64         `json:"job_entry"`
	Spec         string        `json:"spec_digest"`
	Contract     string        `json:"contract_digest"`
	Round        uint64        `json:"round"`
	Step         uint32        `json:"step"`
	Kind         string        `json:"kind"`
	Segments     []Part        `json:"segments"`
	Numbers      int           `json:"numbers"`
	Roster       string        `json:"roster"`
	RosterEntry  int64         `json:"roster_entry"` // -1: not in the ledger, as in exact jobs
	Cohort       int           `json:"cohort"`
	Contributors []Contributor `json:"contributors"`
	Absent       []string      `json:"absent"`
	Threshold    int           `json:"threshold"`
	Committee    []string      `json:"committee"`
	Suspects     []string      `json:"suspects"`
	F            int           `json:"f"`
	NMin         int           `json:"n_min"`
	Noise        *Noise        `json:"noise"` // nil: an exact sum
	NextState    string        `json:"next_state"`
}

// Part is a run of the opened vector.
type Part struct {
	Name   string `json:"name"`
	Length uint32 `json:"length"`
}

// Contributor is one member of the sum, with its charge in a private job.
type Contributor struct {
	Name         string  `json:"name"`
	Organisation string  `json:"organisation"`
	ChargeEntry  int64   `json:"charge_entry"` // -1: none
	Account      string  `json:"account,omitempty"`
	Charged      Amount  `json:"charged"`
	SpentAfter   Amount  `json:"spent_after"`
	Epsilon      Epsilon `json:"epsilon"` // of this sum alone, at its account's δ
	Delta        string  `json:"delta,omitempty"`
}

// Noise is a private sum's noise in the integers of the ledger.
type Noise struct {
	Sensitivity2 uint64  `json:"sensitivity2"`
	Sigma2Local  uint64  `json:"sigma2_local"`
	H            uint16  `json:"h"`
	Sigma2       string  `json:"sigma2"`
	Rate         string  `json:"rate"`
	Unit         string  `json:"unit"`       // record, user or silo
	Multiplier   float64 `json:"multiplier"` // σ/Δ
}

// Explain finds a release by its entry's number or by a prefix of its digest, at least 6 hexadecimal digits.
func Explain(b *Book, release string) (*Explanation, error) {
	var found []*Round
	index, err := strconv.ParseInt(release, 10, 64)
	prefix := strings.ToLower(release)
	for _, j := range b.Jobs {
		for _, r := range j.sums {
			d := r.Release.Digest()
			if err == nil && r.Ended.Entry == index {
				return b.explain(r), nil
			}
			if len(prefix) >= 6 && strings.HasPrefix(hexOf(d[:]), prefix) {
				found = append(found, r)
			}
		}
	}
	switch {
	case len(found) == 1:
		return b.explain(found[0]), nil
	case len(found) > 1:
		return nil, fmt.Errorf("%w: %q is the start of %d releases' digests", ErrNoRelease, release, len(found))
	case err == nil && index >= 0 && index < int64(len(b.lines)):
		return nil, fmt.Errorf("%w: entry %d is of kind %s", ErrNoRelease, index, b.lines[index].Kind)
	}
	return nil, fmt.Errorf("%w: %q is neither the number of an entry nor the first digits, at least 6, of a release's digest", ErrNoRelease, release)
}

func (b *Book) explain(r *Round) *Explanation {
	j, o := r.Job, r.Release
	m, digest := j.Manifest, o.Digest()
	x := &Explanation{Entry: r.Ended.Entry, At: when(r.Ended.Ms), Digest: hexOf(digest[:]), Job: hexOf(j.ID[:]), JobKind: jobKind(m.Kind), JobMode: jobMode(m.Mode), PlanEntry: -1, JobEntry: j.Entry, Spec: hexOf(m.SpecDigest[:]),
		Contract: hexOf(m.ContractDigest[:]), Round: o.Round, Step: o.Step, Kind: o.Kind.String(), Roster: hexOf(o.Root[:]), RosterEntry: -1, Cohort: len(m.Cohort), Contributors: []Contributor{},
		Absent: []string{}, Threshold: int(m.T), Committee: []string{}, Suspects: []string{}, F: int(m.F), NMin: int(m.NMin), NextState: hexOf(o.NextState[:])}
	spec, ok := m.Round(o.Kind)
	if ok {
		for _, s := range spec.Codec.Segments {
			x.Segments, x.Numbers = append(x.Segments, Part{plain(s.Name), s.Length}), x.Numbers+int(s.Length)
		}
	}
	if r.Plan != nil {
		x.PlanEntry = r.Planned.Entry
	}
	if r.Roster != nil {
		x.RosterEntry = r.Listed.Entry
	}
	sum, private := j.sum(o.Kind)
	if private {
		x.Noise = &Noise{sum.Sensitivity2, spec.DP.Sigma2Local, spec.DP.H, sum.Sigma2.String(), sum.Rate.String(), wire.UnitName(spec.DP.Unit), math.Sqrt(sum.Sigma2.Float() / float64(sum.Sensitivity2))}
	}
	in := j.contributors(r)
	for _, k := range in {
		x.Contributors = append(x.Contributors, b.contributor(r, k))
	}
	for _, k := range m.Cohort {
		if !slices.Contains(in, k) {
			x.Absent = append(x.Absent, b.Name(k))
		}
	}
	for _, s := range m.Committee {
		x.Committee = append(x.Committee, b.Name(s.Member))
	}
	for _, s := range o.Suspects {
		x.Suspects = append(x.Suspects, fmt.Sprintf("seat %d (%s)", s.Index, b.Name(s.Member)))
	}
	return x
}

func (b *Book) contributor(r *Round, k wire.Member) Contributor {
	c := Contributor{Name: b.Name(k), ChargeEntry: -1}
	if e := b.enrolled[k]; e != nil {
		c.Organisation = plain(e.Card.Organisation)
	}
	i := slices.IndexFunc(r.Charges, func(c *Charge) bool { return c.Member == k })
	if i < 0 || r.Charges[i].Account == nil {
		return c
	}
	g := r.Charges[i]
	now := g.Account.Now()
	for _, o := range g.Account.Opened {
		if o.Entry < g.Entry {
			now = o
		}
	}
	amount := func(units uint64) Amount {
		return Amount{units, accountant.Units(units).Nats(), ratio(units, now.Budget)}
	}
	c.ChargeEntry, c.Account, c.Charged, c.SpentAfter, c.Delta = g.Entry, hexOf(g.Charge.Account[:]), amount(g.Units), amount(g.Spent), number(now.DeltaNum, now.DeltaDen)
	if limit, err := capOf(now.Account); err == nil {
		c.Epsilon = epsilonOf([]*Charge{g}, limit.Delta.Float())
	}
	return c
}
