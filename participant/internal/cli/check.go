package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tributary/models/dataset"
	"tributary/participant/internal/client"
	"tributary/participant/internal/config"
	"tributary/participant/internal/engine"
	"tributary/participant/internal/source"
	"tributary/participant/internal/store"
	"tributary/protocol/jobspec"
)

type columnView struct {
	Name    string `json:"name"`
	Missing int    `json:"missing"`
	Other   int    `json:"other"`     // category values that the contract doesn't list
	AtBound int    `json:"at_bounds"` // numbers at the contract's bounds, clipped ones among them
}

type dataView struct {
	ID       string       `json:"id"`
	Contract string       `json:"contract"`
	Rows     int          `json:"rows"`
	Columns  []columnView `json:"columns"`
	Error    *failure     `json:"error,omitempty"`

	Transactions *source.Transactions `json:"transactions,omitempty"` // of which the rows were made
}

type checkView struct {
	Data        []dataView    `json:"data"`
	Accounts    []accountView `json:"accounts"`
	Policy      config.Policy `json:"policy"`
	Coordinator string        `json:"coordinator"` // "reached", or what is wrong
	Certificate time.Time     `json:"certificate_ends"`
	Charter     string        `json:"charter"`
}

func (a *app) check() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the data against their contracts, the policy, and the way to the coordinator; shows counts here only",
		Args:  exactly(),
		RunE:  func(c *cobra.Command, _ []string) error { return a.checkAll(c.Context()) },
	}
}

// checkAll goes on after a failure and returns the first one.
func (a *app) checkAll(ctx context.Context) error {
	c, s, err := a.open()
	if err != nil {
		return err
	}
	defer s.Close()
	v := checkView{Data: []dataView{}, Accounts: []accountView{}, Policy: c.Policy}
	var first error
	failed := func(err error) *failure {
		if first == nil {
			first = err
		}
		return explain(err)
	}
	var b strings.Builder
	for i := range c.Data {
		d, err := checkData(ctx, s, &c.Data[i])
		if err != nil {
			d.Error = failed(err)
			fmt.Fprintf(&b, "Data %s (%s): wrong\n%s", d.ID, d.Contract, indent(d.Error.Message))
			if d.Error.Hint != "" {
				b.WriteString(indent("hint: " + d.Error.Hint))
			}
		} else {
			b.WriteString(d.String())
		}
		v.Data = append(v.Data, d)
	}
	if len(c.Data) == 0 {
		b.WriteString("Data: none bound; this node can only hold a committee seat\n")
	}
	if accounts, err := s.Accounts(); err != nil {
		f := failed(err)
		fmt.Fprintf(&b, "Privacy accounts: %s\n  hint: %s\n", f.Message, f.Hint)
	} else {
		b.WriteString(checkAccounts(&v, c, accounts))
	}
	s.Close()
	fmt.Fprintf(&b, "Policy: contracts %v, privacy %v, modes %v, cohorts of %d or more, approval %s\n", c.Policy.Contracts, c.Policy.Privacy, c.Policy.Modes, c.Policy.MinCohort,
		map[bool]string{true: "automatic", false: "by the operator"}[c.Policy.Automatic])
	if err := a.checkConnection(ctx, &v); err != nil {
		f := failed(err)
		v.Coordinator = f.Message
		fmt.Fprintf(&b, "Coordinator: %s\n  hint: %s\n", f.Message, f.Hint)
	} else {
		fmt.Fprintf(&b, "Coordinator: reached; certificate until %s, renewed by `run` in its last third\nCharter: %s\n", v.Certificate.Format(time.RFC3339), v.Charter)
	}
	if first != nil && a.output == "json" {
		return first
	}
	if err := a.print(v, b.String()); err != nil {
		return err
	}
	if first != nil {
		f := explain(first)
		return &failure{Exit: f.Exit, Code: f.Code, Field: f.Field, Message: "something is wrong, see above"}
	}
	return nil
}

// checkAccounts tells what is left in each account, and which kind of jobs each source can serve.
func checkAccounts(v *checkView, c *config.Config, accounts []*store.Account) string {
	var b strings.Builder
	covered := map[string]bool{}
	for _, account := range accounts {
		one := viewAccount(account, nil, nil)
		v.Accounts = append(v.Accounts, one)
		for _, id := range append(c.SameFile(account.Source), account.Source) {
			covered[id] = true
		}
		fmt.Fprintf(&b, "Privacy account of %s: ε %.4g of %.4g left at δ = %s (%.4g of %.4g nats at order %d); exact jobs are refused on it\n",
			one.Source, one.Left.Epsilon, one.Lifetime.Epsilon, one.Delta, one.Left.Nats, one.Lifetime.Nats, one.Order)
	}
	for _, d := range c.Data {
		if !covered[d.ID] && slices.Contains(c.Policy.Privacy, jobspec.KindPrivate) {
			unit := ""
			if recommends(c, c.SameFile(d.ID)) {
				unit = " --unit user"
			}
			fmt.Fprintf(&b, "Privacy account of %s: none; private jobs are refused on it until `budget open %s --epsilon E --delta D%s`\n", d.ID, d.ID, unit)
		}
	}
	return b.String()
}

func checkData(ctx context.Context, s *store.Store, b *config.Binding) (dataView, error) {
	d := dataView{ID: b.ID, Contract: b.Contract, Columns: []columnView{}}
	contract, err := engine.LoadContract(b.ContractFile)
	if err != nil {
		return d, err
	}
	secret, err := s.Secret(b.ID)
	if err != nil {
		return d, err
	}
	rows, err := source.Read(ctx, b.Binding, contract, source.Options{Secret: secret, Dir: s.Dir()})
	if err != nil {
		return d, err
	}
	table, err := rows.Table(jobspec.Holdout{})
	if err != nil {
		return d, err
	}
	d.Rows, d.Transactions = table.Rows, rows.Transactions
	for i := range table.Columns {
		d.Columns = append(d.Columns, count(table.Memory, &table.Columns[i], contract))
	}
	if n := contract.Label.NumberLabel; n != nil {
		label := columnView{Name: contract.Label.Column}
		for _, y := range table.Target {
			if y == n.Min || y == n.Max {
				label.AtBound++
			}
		}
		d.Columns = append(d.Columns, label)
	}
	return d, nil
}

func count(m dataset.Memory, c *dataset.Column, contract *jobspec.Contract) columnView {
	v := columnView{Name: c.Name}
	spec, _ := contract.Column(c.Name)
	for _, numbers := range dataset.Runs(m, c.Numbers) {
		for _, x := range numbers {
			switch {
			case math.IsNaN(x):
				v.Missing++
			case x == spec.Min || x == spec.Max:
				v.AtBound++
			}
		}
	}
	for _, codes := range dataset.Runs(m, c.Codes) {
		for _, code := range codes {
			switch {
			case code == dataset.Missing:
				v.Missing++
			case c.Buckets == 0 && int(code) == len(c.Values):
				v.Other++
			}
		}
	}
	return v
}

func (d dataView) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Data %s (%s): %d rows fit the contract\n", d.ID, d.Contract, d.Rows)
	if d.Transactions != nil {
		b.WriteString(made(d.Transactions))
	}
	for _, c := range d.Columns {
		fmt.Fprintf(&b, "  %-24s missing %d, other %d, at the contract's bounds %d\n", c.Name, c.Missing, c.Other, c.AtBound)
	}
	return b.String()
}

// made says what customers were made of, and what was left out.
func made(n *source.Transactions) string {
	text := fmt.Sprintf("  made of %d of %d transactions, from %s to %s; %d more decide the outcome\n"+
		"  left out: %d by where, %d without a customer, %d not positive, %d before the window, %d too late; and %d customers, who have none that counts\n",
		n.Counted, n.Read, n.First.Format(time.DateOnly), n.Last.Format(time.DateOnly), n.Outcome, n.Where, n.Blank, n.NotPositive, n.Before, n.Later, n.Absent)
	if n.Outcome > 0 && n.Later == 0 {
		text += "  note: no transaction is later than the outcome's period: if that isn't over, some of those who haven't returned may still do so\n"
	}
	return text
}

func (a *app) checkConnection(ctx context.Context, v *checkView) error {
	n, err := a.enrolled()
	if err != nil {
		return err
	}
	defer n.close()
	v.Certificate = n.credentials.NotAfter().UTC()
	t, _, err := newest(ctx, n)
	if errors.Is(err, client.ErrNotFound) {
		v.Coordinator, v.Charter = "reached", "none yet; the coordinator's operator runs `tributary charter propose --f N` when all have enrolled"
		return nil
	}
	if err != nil {
		return err
	}
	v.Coordinator = "reached"
	accepted, err := n.store.Charter()
	switch {
	case errors.Is(err, store.ErrNotFound):
		v.Charter = "none accepted; run `tributary-participant charter show`"
	case err != nil:
		return err
	case accepted.Digest() == t.Digest():
		v.Charter = fmt.Sprintf("version %d accepted, the newest", t.Version)
	default:
		v.Charter = fmt.Sprintf("version %d accepted, the coordinator offers version %d; run `tributary-participant charter show`", accepted.Version, t.Version)
	}
	if v.Certificate.Before(time.Now()) {
		return client.ErrNotEnrolled
	}
	return nil
}
