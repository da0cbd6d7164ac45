package forecast

import (
	"fmt"
	"math"
	"strings"
	"time"

	"tributary/protocol/jobspec"
)

// Text renders the forecast for a terminal. It ends with a newline.
func (f *Forecast) Text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("Job %s: private, ε = %s and δ = %s for each %s", f.Job, f.Epsilon, f.Delta, f.Unit)
	line("")
	line("Participants  %d, a sum is opened with %d or more; %d of them surely honest (f = %d)", f.Participants, f.NMin, f.Honest, f.F)
	line("Rounds        %d, %s at the longest without reruns", f.Sums, time.Duration(f.PlannedMs)*time.Millisecond)
	line("Upload        %s by each participant in all; a seat handles %s more", size(f.UploadBytes), size(f.SeatBytes))
	line("")
	var rows [][]string
	for _, k := range f.Kinds {
		rows = append(rows, []string{
			k.Kind, fmt.Sprint(k.Rounds), fmt.Sprint(k.Lanes), fmt.Sprintf("%.3g", k.Sigma), fmt.Sprintf("%.3g", k.SigmaLocal),
			fmt.Sprintf("%.6f", k.Charge.Nats()), size(k.UploadBytes)})
	}
	table(&b, []string{"ROUND", "TIMES", "VALUES", "σ", "σ OF ONE", "CHARGE", "UPLOAD"}, rows)
	line("")
	line("σ is the noise on each value of a sum, to which one %s adds 1 at most, σ of one the part of a single participant; a charge is RDP in nats at order %d.", f.Unit, f.Order)
	line("")
	line("Charges       %.6f of %.6f that ε = %s admits at order %d", f.Total.Nats(), f.Limit.Nats(), f.Epsilon, f.Order)
	line("ε             %s by the accounts' rule, %s recomputed tightly", epsilon(f.EpsilonFilter), epsilon(f.EpsilonReport))
	line("              %s if every sum takes %d tries, after which a job is given up", epsilon(f.EpsilonRerun), jobspec.MaxTries)
	line("              %s for a person %sheld by two participants", epsilon(f.EpsilonTwice), twice(f.Unit))
	if len(f.Accounts) > 0 {
		rows = rows[:0]
		for _, a := range f.Accounts {
			rows = append(rows, []string{a.Member, fmt.Sprint(a.Order), fmt.Sprintf("%.6f", a.Left.Nats()), cost(a), f.verdict(a)})
		}
		line("")
		table(&b, []string{"ACCOUNT", "ORDER", "LEFT", "COST", ""}, rows)
	}
	if len(f.Unknown) > 0 {
		line("")
		line("No account for each %s known of %s.", f.Unit, strings.Join(f.Unknown, ", "))
	}
	return b.String()
}

// twice says how else than by two participants a person may be held twice.
func twice(unit string) string {
	switch unit {
	case "record":
		return "with two records, or "
	case "user":
		return "under two keys, or "
	}
	return ""
}

func (f *Forecast) verdict(a Account) string {
	switch {
	case !a.Affords:
		return fmt.Sprintf("can't pay: enough for %d of %d rounds", f.Paid(a), f.Sums)
	case a.More == 0:
		return fmt.Sprintf("pays, and for no other job like it (%s to spare for reruns)", rounds(a.Spare))
	case a.More == 1:
		return "pays, and for one more job like it"
	}
	return fmt.Sprintf("pays, and for %d more jobs like it", a.More)
}

func rounds(n uint64) string {
	switch n {
	case 0:
		return "no round"
	case 1:
		return "one round"
	}
	return fmt.Sprintf("%d rounds", n)
}

func cost(a Account) string {
	if a.Total == 0 {
		return "-"
	}
	return fmt.Sprintf("%.6f", a.Total.Nats())
}

// epsilon rounds up to four digits after the point.
func epsilon(e float64) string { return fmt.Sprintf("%.4f", math.Ceil(e*1e4)/1e4) }

// size writes bytes in the larger unit that they fill.
func size(n int64) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}

// table writes columns as wide as their widest cell; the last one isn't padded.
func table(b *strings.Builder, head []string, rows [][]string) {
	width := make([]int, len(head))
	all := append([][]string{head}, rows...)
	for _, row := range all {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for _, row := range all {
		var text string
		for i, cell := range row {
			text += cell + strings.Repeat(" ", width[i]-len([]rune(cell))+2)
		}
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
}
