package cli

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tributary/crypto/dp/accountant"
	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

func (a *app) ledgerCommand() *cobra.Command {
	show := &cobra.Command{Use: "show", Short: "Fetch the ledger, verify it, and show its entries", Args: takes(), RunE: func(cmd *cobra.Command, _ []string) error {
		return a.showLedger(cmd.Context())
	}}
	cosigned := false
	export := &cobra.Command{Use: "export FILE", Short: "Fetch the ledger, verify it, and write it to a file", Args: takes("FILE"), RunE: func(cmd *cobra.Command, args []string) error {
		x, data, err := a.fetchLedger(cmd.Context(), cosigned)
		if err != nil {
			return err
		}
		if err := replaceFile(args[0], data); err != nil {
			return invalid("", "write ledger: %v", err)
		}
		_, lines := ledger.SplitCosignatures(x.Checkpoint)
		return a.print(map[string]any{"file": args[0], "bytes": len(data), "entries": x.Head.Size, "cosignatures": len(lines)}, func(w io.Writer) {
			fmt.Fprintf(w, "Wrote %s, %d bytes, %d entries, cosigned by %d members; `tributary-audit show %s` reads it anywhere.\n", args[0], len(data), x.Head.Size, len(lines), args[0])
		})
	}}
	export.Flags().BoolVar(&cosigned, "cosigned", false, "up to the entry that most members cosigned, the newest such; not to the last entry")
	return commands("ledger", "The ledger: show, export", show, export)
}

// fetchLedger reads the whole ledger, or what most members cosigned, and checks it against its signed checkpoint and that against every
// cosignature.
func (a *app) fetchLedger(ctx context.Context, cosigned bool) (x *ledger.Export, data []byte, err error) {
	err = a.connected(ctx, func(l *login, o pb.OperatorClient) error {
		stream, err := o.ExportLedger(ctx, &pb.ExportLedgerRequest{Cosigned: cosigned})
		if err != nil {
			return err
		}
		var b bytes.Buffer
		for {
			chunk, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			b.Write(chunk.GetData())
		}
		data = b.Bytes()
		if x, err = ledger.ReadExport(bytes.NewReader(data)); err != nil {
			return err
		}
		_, err = x.VerifyWitnessed(x.Origin, l.coordinator[:], witnesses(x, l.coordinator))
		return err
	})
	return x, data, err
}

// witnesses are the members of the newest charter in a ledger.
func witnesses(x *ledger.Export, coordinator wire.Member) []ledger.Cosigner {
	for i := len(x.Entries) - 1; i >= 0; i-- {
		if c := charter.OfEntry(x.Entries[i], coordinator); c != nil {
			return charter.Witnesses(c)
		}
	}
	return nil
}

// entryText is a ledger entry in words.
type entryText struct {
	Index  int64  `json:"index"`
	At     string `json:"at"`
	Kind   string `json:"kind"`
	By     string `json:"by,omitempty"` // signer's name
	Job    string `json:"job,omitempty"`
	Round  uint64 `json:"round,omitempty"`
	Detail string `json:"detail,omitempty"`
}

func (a *app) showLedger(ctx context.Context) error {
	x, _, err := a.fetchLedger(ctx, false)
	if err != nil {
		return err
	}
	names := nameBook{}
	entries, rows := []entryText{}, [][]string{}
	for i, e := range x.Entries {
		t := names.read(e)
		t.Index, t.At, t.Kind = int64(i), stamp(int64(e.AtMs)), e.Kind.String()
		entries = append(entries, t)
		job := t.Job
		if len(job) > 12 {
			job = job[:12]
		}
		round := "-"
		if t.Round > 0 {
			round = fmt.Sprint(t.Round)
		}
		rows = append(rows, []string{fmt.Sprint(i), when(int64(e.AtMs)), t.Kind, orDash(t.By), orDash(job), round, t.Detail})
	}
	return a.print(map[string]any{"origin": x.Origin, "size": x.Head.Size, "root": hex.EncodeToString(x.Head.Root[:]), "entries": entries}, func(w io.Writer) {
		table(w, "N | TIME | KIND | BY | JOB | ROUND | WHAT", rows)
		fmt.Fprintf(w, "\n%d entries of %s, root %s; signature and root verified\n", x.Head.Size, x.Origin, hex.EncodeToString(x.Head.Root[:8]))
	})
}

// nameBook learns members' names from the entries that name them.
type nameBook map[wire.Member]string

func (b nameBook) of(m wire.Member) string {
	if name, ok := b[m]; ok {
		return name
	}
	return m.Short()
}

// read says an entry in words. What doesn't parse is said so: the ledger is shown as it is.
func (b nameBook) read(e ledger.Entry) (t entryText) {
	env, err := wire.ParseEnvelope(e.Object)
	if err != nil {
		t.Detail = "not a signed object"
		return t
	}
	open := func(o wire.Object) bool {
		if err := env.Open(o); err != nil {
			t.Detail = "unreadable: " + err.Error()
			return false
		}
		return true
	}
	job := func(d wire.Digest) { t.Job = hex.EncodeToString(d[:]) }
	switch e.Kind {
	case ledger.Charter:
		var o wire.Charter
		if open(&o) {
			b[o.Coordinator] = "coordinator"
			for i := range o.Members {
				b[o.Members[i].Card.Key] = o.Members[i].Card.Name
			}
			d := o.Digest()
			t.Detail = fmt.Sprintf("version %d, %d members, f = %d, digest %x", o.Version, len(o.Members), o.F, d[:6])
		}
	case ledger.Enrolment:
		var o wire.Enrolment
		if open(&o) {
			b[o.Card.Key], b[env.Signer] = o.Card.Name, "coordinator"
			t.Detail = fmt.Sprintf("%s of %s, role %s, key %s", o.Card.Name, o.Card.Organisation, o.Role, o.Card.Key.Short())
		}
	case ledger.Revocation:
		var o wire.Revocation
		if open(&o) {
			t.Detail = with(b.of(o.Member), o.Reason)
		}
	case ledger.Job:
		var o wire.Manifest
		if open(&o) {
			job(o.Digest())
			t.Detail = fmt.Sprintf("cohort of %d, committee %d of %d", len(o.Cohort), o.T, len(o.Committee))
		}
	case ledger.Approval:
		var o wire.Approval
		if open(&o) {
			job(o.Job)
		}
	case ledger.Release:
		var o wire.Release
		if open(&o) {
			job(o.Job)
			t.Round, t.Detail = o.Round, fmt.Sprintf("%s, step %d, state %x", o.Kind, o.Step, o.NextState[:6])
			for _, s := range o.Suspects {
				t.Detail += fmt.Sprintf("; the reply of seat %d (%s) was corrected", s.Index, b.of(s.Member))
			}
		}
	case ledger.Refusal:
		var o wire.Refusal
		if open(&o) {
			job(o.Job)
			t.Detail = fmt.Sprintf("in %s: %s. %s", o.Phase, o.Rule, o.Hint)
		}
	case ledger.Abort:
		var o wire.Abort
		if open(&o) {
			job(o.Job)
			t.Round, t.Detail = o.Round, fmt.Sprintf("in %s: %s: %s", o.Phase, o.Code, o.Reason)
		}
	case ledger.Roster:
		var o wire.Roster
		if open(&o) {
			var members []string
			for _, entry := range o.Entries {
				members = append(members, b.of(entry.Member))
			}
			t.Detail = fmt.Sprintf("%d contribute: %s", len(o.Entries), strings.Join(members, ", "))
		}
	case ledger.Account:
		var o wire.Account
		if open(&o) {
			what := "opened"
			if o.Refills > 0 {
				what = fmt.Sprintf("refill %d of", o.Refills)
			}
			t.Detail = fmt.Sprintf("%s account %x: ε = %s, δ = %s a record, %.6f nats at order %d", what, o.Account[:6], fraction(o.EpsNum, o.EpsDen), fraction(o.DeltaNum, o.DeltaDen), accountant.Units(o.Budget).Nats(), o.Order)
		}
	case ledger.Charge:
		var o wire.Charge
		if open(&o) {
			job(o.Job)
			t.Detail = fmt.Sprintf("account %x: %.6f nats, %.6f spent", o.Account[:6], accountant.Units(o.Units).Nats(), accountant.Units(o.Spent).Nats())
		}
	case ledger.Finish:
		var o wire.Finish
		if open(&o) {
			job(o.Job)
			t.Detail = with([]string{"", "completed", "aborted", "cancelled", "expired"}[o.Outcome], o.Reason)
		}
	}
	t.By = b.of(env.Signer)
	return t
}
