package audit

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"tributary/protocol/wire"
)

// JobReport is what happened in one job.
type JobReport struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Mode      string    `json:"mode"` // sealed or noised
	Entry     int64     `json:"entry"`
	Proposed  string    `json:"proposed"`
	Outcome   string    `json:"outcome"`
	Reason    string    `json:"reason,omitempty"`
	Cohort    []string  `json:"cohort"`
	NMin      int       `json:"n_min"`
	F         int       `json:"f"`
	Committee []string  `json:"committee"`
	Threshold int       `json:"threshold"`
	Releases  []SumLine `json:"releases"`
	Refusals  []EndLine `json:"refusals"`
	Aborts    []EndLine `json:"aborts"`
}

// SumLine is one opened sum.
type SumLine struct {
	Entry        int64  `json:"entry"`
	At           string `json:"at"`
	Digest       string `json:"digest"`
	Round        uint64 `json:"round"`
	Step         uint32 `json:"step"`
	Kind         string `json:"kind"`
	Contributors int    `json:"contributors"`
}

// EndLine is one refusal or abort.
type EndLine struct {
	Entry int64  `json:"entry"`
	At    string `json:"at"`
	Who   string `json:"who,omitempty"`
	Round uint64 `json:"round,omitempty"`
	Phase string `json:"phase"`
	Rule  string `json:"rule"`
	Text  string `json:"text,omitempty"`
}

func (b *Book) jobReport(j *Job) JobReport {
	m := j.Manifest
	r := JobReport{ID: hexOf(j.ID[:]), Kind: jobKind(m.Kind), Mode: jobMode(m.Mode), Entry: j.Entry, Proposed: when(j.Ms), Outcome: "not ended", NMin: int(m.NMin), F: int(m.F),
		Threshold: int(m.T), Cohort: b.list(m.Cohort), Committee: []string{}, Releases: []SumLine{}, Refusals: []EndLine{}, Aborts: []EndLine{}}
	for _, s := range m.Committee {
		r.Committee = append(r.Committee, b.Name(s.Member))
	}
	if j.Finish != nil {
		r.Outcome, r.Reason = outcome(j.Finish.Outcome), plain(j.Finish.Reason)
	}
	for _, s := range j.sums {
		d := s.Release.Digest()
		r.Releases = append(r.Releases, SumLine{s.Ended.Entry, when(s.Ended.Ms), hexOf(d[:]), s.Number, s.Release.Step, s.Kind.String(), len(j.contributors(s))})
	}
	for _, no := range j.Refusals {
		r.Refusals = append(r.Refusals, EndLine{Entry: no.Entry, At: when(no.Ms), Who: b.Name(no.Member), Phase: plain(no.Phase), Rule: plain(no.Rule), Text: plain(no.Hint)})
	}
	for _, s := range j.Rounds {
		if s.Abort != nil {
			r.Aborts = append(r.Aborts, EndLine{Entry: s.Ended.Entry, At: when(s.Ended.Ms), Round: s.Number, Phase: plain(s.Abort.Phase), Rule: plain(s.Abort.Code), Text: plain(s.Abort.Reason)})
		}
	}
	return r
}

// openers says who opened a job's sums.
func (j *JobReport) openers() string {
	if j.Mode == "noised" {
		return "noised: each contribution travelled in clear with its whole noise, without a committee"
	}
	return fmt.Sprintf("opened by %d of %s", j.Threshold, strings.Join(j.Committee, ", "))
}

// contributors are the members in a sum: its roster's, or an exact job's cohort.
func (j *Job) contributors(r *Round) []wire.Member {
	if r.Roster == nil {
		if j.Manifest.Kind == wire.Exact {
			return j.Manifest.Cohort
		}
		return nil
	}
	var out []wire.Member
	for _, e := range r.Roster.Entries {
		out = append(out, e.Member)
	}
	return out
}

func (b *Book) list(keys []wire.Member) []string {
	out := []string{}
	for _, k := range keys {
		out = append(out, b.Name(k))
	}
	return out
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func ratio(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// up4 rounds up to four decimals: a reported ε is never below the true bound.
func up4(e float64) Epsilon { return Epsilon(math.Ceil(e*1e4) / 1e4) }

// String is the ε as shown: "∞" where nothing finite can be said.
func (e Epsilon) String() string {
	if math.IsInf(float64(e), 0) || math.IsNaN(float64(e)) {
		return "∞"
	}
	return fmt.Sprintf("%.4f", float64(e))
}

// MarshalJSON writes a number, or null for ∞.
func (e Epsilon) MarshalJSON() ([]byte, error) {
	if e.String() == "∞" {
		return []byte("null"), nil
	}
	return json.Marshal(float64(e))
}
