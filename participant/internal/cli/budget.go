package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/crypto/identity"
	"tributary/participant/internal/config"
	"tributary/participant/internal/engine"
	"tributary/participant/internal/store"
	"tributary/protocol/wire"
)

// tellTimeout is how long `budget open` and `budget refill` wait for the coordinator.
const tellTimeout = 5 * time.Second

func (a *app) budget() *cobra.Command {
	c := &cobra.Command{Use: "budget", Short: "Show, open and refill the privacy accounts of this node's sources"}
	var openEpsilon, openDelta, openUnit, refillEpsilon string
	var yes bool
	open := &cobra.Command{
		Use:   "open SOURCE --epsilon E --delta D [--unit record]",
		Short: "Open a source's privacy account, for ever: private jobs may then run on it, exact ones no longer",
		Long: "SOURCE is the id of a source in the config. E and D are decimals, taken exactly, such as 10 and 1e-5. The cap holds over the account's\n" +
			"whole life and all jobs; the order at which it is counted is the best one for the cap and stays. An account can't be closed or lowered.\n" +
			"The unit is what it protects: each record (a row), each user (all rows of a key) or the silo (all rows). Only jobs of that unit run on it.",
		Args: exactly("SOURCE"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.openAccount(c.Context(), args[0], openUnit, openEpsilon, openDelta)
		},
	}
	open.Flags().StringVar(&openEpsilon, "epsilon", "", "ε, above 0")
	open.Flags().StringVar(&openDelta, "delta", "", "δ, above 0 and below 1; usually below one in the number of rows")
	open.Flags().StringVar(&openUnit, "unit", "record", "record, user or silo")
	refill := &cobra.Command{
		Use:   "refill SOURCE --epsilon E --yes",
		Short: "Add the budget of another cap to a source's account: what is spent stays spent",
		Args:  exactly("SOURCE"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.refillAccount(c.Context(), args[0], refillEpsilon, yes)
		},
	}
	refill.Flags().StringVar(&refillEpsilon, "epsilon", "", "ε to add, with the account's own δ")
	refill.Flags().BoolVar(&yes, "yes", false, "yes, weaken the protection of these rows")
	c.AddCommand(&cobra.Command{
		Use:   "show",
		Short: "Show each account: its cap and order, what is spent and left, and what each job was charged",
		Args:  exactly(),
		RunE:  func(*cobra.Command, []string) error { return a.showAccounts() },
	}, open, refill)
	return c
}

func (a *app) showAccounts() error {
	_, s, err := a.open()
	if err != nil {
		return err
	}
	defer s.Close()
	accounts, err := s.Accounts()
	if err != nil {
		return err
	}
	key, err := ownIdentity(s, false)
	if err != nil {
		return err
	}
	views, text := []accountView{}, ""
	for _, account := range accounts {
		charges, err := s.Charges(account.Source)
		if err != nil {
			return err
		}
		v := viewAccount(account, charges, key)
		views, text = append(views, v), text+v.String()
	}
	if len(accounts) == 0 {
		text = "No privacy accounts: private jobs are refused here. `tributary-participant budget open SOURCE --epsilon E --delta D` opens one.\n"
	}
	return a.print(map[string]any{"accounts": views}, text)
}

// ownIdentity loads the node's key, which signs what its accounts say; nil if it isn't made yet and make isn't set.
func ownIdentity(s *store.Store, create bool) (*identity.Key, error) {
	file := filepath.Join(s.Dir(), store.IdentityFile)
	if create {
		return identity.LoadOrCreate(file) // enroll uses it
	}
	accounts, err := s.Accounts()
	if err != nil || len(accounts) == 0 {
		return nil, err
	}
	return identity.Load(file)
}

func rational(flag, text string) (dp.Rational, error) {
	if text == "" {
		return dp.Rational{}, &failure{Exit: exitUsage, Code: "usage", Field: flag, Message: "--" + flag + " is missing", Hint: "write a decimal such as 10 or 1e-5"}
	}
	r, err := dp.ParseRational(text)
	if err != nil {
		return r, &failure{Exit: exitUsage, Code: "usage", Field: flag, Message: fmt.Sprintf("--%s %q is not a positive decimal", flag, text), Hint: "write a decimal such as 10 or 1e-5"}
	}
	return r, nil
}

// bound finds a source of the config.
func bound(c *config.Config, source string) ([]string, error) {
	same := c.SameFile(source)
	if same != nil {
		return same, nil
	}
	var ids []string
	for _, b := range c.Data {
		ids = append(ids, b.ID)
	}
	return nil, &failure{Exit: exitUsage, Code: "not-found", Field: "source", Message: fmt.Sprintf("the config binds no source %q", source), Hint: "its sources are: " + strings.Join(ids, ", ")}
}

func (a *app) openAccount(ctx context.Context, source, unitName, epsilon, delta string) error {
	unit, ok := wire.UnitOf(unitName)
	if !ok {
		return &failure{Exit: exitUsage, Code: "usage", Field: "unit", Message: fmt.Sprintf("--unit %q is not a privacy unit", unitName), Hint: "write record, user or silo"}
	}
	c, s, err := a.open()
	if err != nil {
		return err
	}
	defer s.Close()
	same, err := bound(c, source)
	if err != nil {
		return err
	}
	if unit != wire.UnitUser && recommends(c, same) {
		return &failure{Exit: exitUsage, Code: "usage", Field: "unit", Message: fmt.Sprintf("the contract of %s has no label: its private jobs are recommenders, which protect each user, and an account stays for ever", source), Hint: "add --unit user"}
	}
	var limit accountant.Cap
	if limit.Epsilon, err = rational("epsilon", epsilon); err != nil {
		return err
	}
	if limit.Delta, err = rational("delta", delta); err != nil {
		return err
	}
	key, err := ownIdentity(s, true)
	if err != nil {
		return err
	}
	account, err := s.OpenAccount(key, source, same, unit, limit)
	if err == nil {
		account, err = a.tellOpenings(ctx, s, account)
	}
	if err != nil {
		return err
	}
	v := viewAccount(account, nil, key)
	uses := 0
	for _, id := range same {
		before, err := s.Uses(id)
		if err != nil {
			return err
		}
		uses += len(before)
	}
	return a.print(v, v.String()+meaning(v, limit, uses))
}

// recommends tells whether the sources serve recommenders alone: none of their contracts has a label.
func recommends(c *config.Config, sources []string) bool {
	for _, b := range c.Data {
		if !slices.Contains(sources, b.ID) {
			continue
		}
		if contract, err := engine.LoadContract(b.ContractFile); err != nil || contract.HasLabel() {
			return false
		}
	}
	return len(sources) > 0
}

// meaning says in words what an account promises.
func meaning(v accountView, limit accountant.Cap, exact int) string {
	what := map[string][3]string{
		"record": {"any single row is", "a row hardly", "single rows; a person with k rows here"},
		"user":   {"all rows of any single user are", "a user hardly", "single users; a person under k keys here"},
		"silo":   {"all of its rows are", "the source hardly", "all rows together; k sources that belong together"},
	}[v.Unit]
	text := fmt.Sprintf(`
What this means
Whatever private jobs ever learn from source %s, together, changes by little if %s left out: no event becomes more
likely by a factor above e^ε, ε = %s, but with a probability of at most δ = %s. The smaller ε, the stronger: at 1 %s
shows, at 10 the promise is weak. It is about %s is protected less, by about k times ε.
Each round of a private job is charged before its first byte leaves, and the charge stays whatever becomes of the round. When the
account is used up, this node refuses. Nobody else can lower what is spent: the coordinator only keeps a copy in its ledger.
Exact jobs are refused on this source from now on. The account can't be closed; `+"`budget refill`"+` adds to it, which weakens the promise.
`, v.Source, what[0], limit.Epsilon, limit.Delta, what[1], what[2])
	if exact > 0 {
		took := "1 exact job"
		if exact > 1 {
			took = fmt.Sprintf("%d exact jobs", exact)
		}
		text += took + " took part with this source before: what the sums told isn't covered by the account.\n"
	}
	return text
}

func (a *app) refillAccount(ctx context.Context, source, epsilon string, yes bool) error {
	c, s, err := a.open()
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.Account(source); errors.Is(err, store.ErrNoAccount) {
		if _, wrong := bound(c, source); wrong != nil {
			return wrong
		}
		return err
	} else if err != nil {
		return err
	}
	more, err := rational("epsilon", epsilon)
	if err != nil {
		return err
	}
	if !yes {
		return &failure{Exit: exitUsage, Code: "confirm", Field: "yes", Message: fmt.Sprintf("a refill by ε = %s weakens the promise made for the rows of source %s, for ever", more, source), Hint: "give --yes if you mean it"}
	}
	key, err := ownIdentity(s, false)
	if err != nil {
		return err
	}
	account, err := s.Refill(key, source, more)
	if err == nil {
		account, err = a.tellOpenings(ctx, s, account)
	}
	if err != nil {
		return err
	}
	charges, err := s.Charges(source)
	if err != nil {
		return err
	}
	v := viewAccount(account, charges, key)
	return a.print(v, v.String()+"Refilled. What is spent stays spent; the lifetime's total above is what the rows' owners must be told.\n")
}

// tellOpenings hands openings and refills to the coordinator at once, if it can be reached, so that forecasts know them; if not, the
// running node does. It returns the account as it then stands.
func (a *app) tellOpenings(ctx context.Context, s *store.Store, account *store.Account) (*store.Account, error) {
	n, err := a.enrolled()
	if err != nil {
		return account, nil // a node that isn't enrolled yet: it has time
	}
	defer n.close()
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	words, err := s.Words()
	if err != nil {
		return nil, err
	}
	for _, w := range words {
		if !w.Opening {
			continue
		}
		e, err := wire.ParseEnvelope(w.Envelope)
		if err != nil {
			return nil, err
		}
		if err := s.Sending(w.Job, e.Kind.String(), int64(len(w.Envelope)), e.Digest()); err != nil {
			return nil, err
		}
		if n.client.Put(ctx, e) != nil {
			break
		}
		if err := s.Acknowledge(w.Envelope); err != nil {
			return nil, err
		}
	}
	return s.Account(account.Source)
}
