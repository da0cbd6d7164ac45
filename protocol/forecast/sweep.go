package forecast

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"tributary/crypto/dp/accountant"
)

// Sweep is what several private jobs cost together: each trial is charged like any
// other job. ε is in nats, rounded up to 10^-6.
type Sweep struct {
	Trials      int              `json:"trials"`
	Sums        int64            `json:"sums"`
	UploadBytes int64            `json:"upload_bytes"` // of each participant
	SeatBytes   int64            `json:"seat_bytes"`
	PlannedMs   int64            `json:"planned_ms"`   // one trial after the other
	Order       accountant.Order `json:"order"`        // the jobs'
	Total       accountant.Units `json:"total,string"` // charges at Order; 0: more than any account has
	Delta       string           `json:"delta"`
	Epsilon     float64          `json:"epsilon_filter"` // ε of Total at Order; 0: none
	Accounts    []SweepAccount   `json:"accounts"`
	Unknown     []string         `json:"unknown"`
}

// SweepAccount is what all trials take from one participant's account.
type SweepAccount struct {
	Member string           `json:"member"`
	Order  accountant.Order `json:"order"`
	Left   accountant.Units `json:"left,string"`
	Total  accountant.Units `json:"total,string"` // 0: more than any account has
	Pays   int              `json:"pays"`         // trials in their order, each sum opened at its first try
}

// Sum adds up the forecasts of a sweep's trials, which have one ε, δ and cohort.
func Sum(trials []*Forecast) (*Sweep, error) {
	out := &Sweep{Trials: len(trials), Accounts: []SweepAccount{}, Unknown: []string{}}
	for i, f := range trials {
		if i == 0 {
			out.Order, out.Delta, out.Unknown = f.Order, f.Delta, f.Unknown
			for _, a := range f.Accounts {
				out.Accounts = append(out.Accounts, SweepAccount{Member: a.Member, Order: a.Order, Left: a.Left})
			}
		}
		if f.Order != out.Order || f.Delta != out.Delta || len(f.Accounts) != len(out.Accounts) {
			return nil, fmt.Errorf("forecast: trial %d has another ε, δ or cohort than the first\nhint: forecast the trials one by one", i+1)
		}
		out.Sums, out.PlannedMs = out.Sums+f.Sums, out.PlannedMs+f.PlannedMs
		out.UploadBytes, out.SeatBytes = out.UploadBytes+f.UploadBytes, out.SeatBytes+f.SeatBytes
		out.Total = added(out.Total, f.Total, i == 0)
		for k := range out.Accounts {
			a := &out.Accounts[k]
			a.Total = added(a.Total, f.Accounts[k].Total, i == 0)
			if a.Total > 0 && a.Total <= a.Left && a.Pays == i {
				a.Pays++
			}
		}
	}
	if out.Total > 0 {
		delta, err := strconv.ParseFloat(out.Delta, 64)
		if err != nil {
			return nil, fmt.Errorf("forecast: δ = %s: %w", out.Delta, err)
		}
		out.Epsilon = math.Ceil(accountant.EpsilonFromRDP(float64(out.Order), out.Total.Nats(), delta)*1e6) / 1e6
	}
	return out, nil
}

// added is a sum of units, and 0 once it or a part of it is more than any account has.
func added(sum, more accountant.Units, first bool) accountant.Units {
	total, carry := bits.Add64(uint64(sum), uint64(more), 0)
	if carry != 0 || more == 0 || sum == 0 && !first {
		return 0
	}
	return accountant.Units(total)
}

// Text renders the total for a terminal. It ends with a newline.
func (s *Sweep) Text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("All %d trials together, each charged like any other job", s.Trials)
	line("Rounds        %d, %s at the longest without reruns, one trial after the other", s.Sums, time.Duration(s.PlannedMs)*time.Millisecond)
	line("Upload        %s by each participant in all; a seat handles %s more", size(s.UploadBytes), size(s.SeatBytes))
	if s.Total == 0 {
		line("ε             more than any account has")
	} else {
		line("Charges       %.6f nats of RDP at order %d", s.Total.Nats(), s.Order)
		line("ε             %s by the accounts' rule at that order, δ = %s", epsilon(s.Epsilon), s.Delta)
	}
	if len(s.Accounts) > 0 {
		var rows [][]string
		for _, a := range s.Accounts {
			cost, verdict := "-", "pays for all trials"
			if a.Total > 0 {
				cost = fmt.Sprintf("%.6f", a.Total.Nats())
			}
			if a.Pays < s.Trials {
				verdict = fmt.Sprintf("pays for %d of %d trials", a.Pays, s.Trials)
			}
			rows = append(rows, []string{a.Member, fmt.Sprint(a.Order), fmt.Sprintf("%.6f", a.Left.Nats()), cost, verdict})
		}
		line("")
		table(&b, []string{"ACCOUNT", "ORDER", "LEFT", "COST", ""}, rows)
	}
	if len(s.Unknown) > 0 {
		line("")
		line("No account known of %s.", strings.Join(s.Unknown, ", "))
	}
	return b.String()
}
