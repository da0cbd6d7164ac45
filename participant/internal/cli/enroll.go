package cli

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tributary/crypto/identity"
	"tributary/participant/internal/client"
	"tributary/participant/internal/config"
	"tributary/participant/internal/store"
	"tributary/protocol/invite"
	"tributary/protocol/wire"
)

func (a *app) enroll() *cobra.Command {
	var text, organisation string
	c := &cobra.Command{
		Use:   "enroll --token TOKEN [--organisation NAME]",
		Short: "Make this node's keys and get its certificate, by an invitation",
		Long: "Makes the identity and the TLS key in data_dir (they never leave it), and redeems a one-time invitation for a certificate.\n" +
			"Whatever goes wrong, the keys stay; enrol again with a new invitation.",
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if text == "" {
				return &failure{Exit: exitUsage, Code: "usage", Field: "token", Message: "--token is missing", Hint: "the coordinator's operator makes one: `tributary participant invite NAME`"}
			}
			token, err := invite.Parse(strings.TrimSpace(text))
			if err != nil {
				return err
			}
			return a.redeem(c.Context(), token, organisation)
		},
	}
	c.Flags().StringVar(&text, "token", "", "the invitation")
	c.Flags().StringVar(&organisation, "organisation", "", "this organisation's name, as in the charter; default the participant's name")
	return c
}

func (a *app) redeem(ctx context.Context, token invite.Token, organisation string) error {
	c, s, err := a.open()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := fits(token, c); err != nil {
		return err
	}
	unlock, err := s.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	before, err := s.Enrolment()
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	key, err := identity.LoadOrCreate(filepath.Join(c.DataDir, store.IdentityFile))
	if err != nil {
		return err
	}
	tlsKey, err := keyIn(s)
	if err != nil {
		return err
	}
	csr, err := client.Request(tlsKey, token.Name)
	if err != nil {
		return err
	}
	if organisation == "" {
		organisation = before.Organisation
	}
	if organisation == "" {
		organisation = token.Name
	}
	address := token.Address
	if c.Coordinator != "" {
		address = c.Coordinator
	}
	got, err := client.Enrol(ctx, token, address, csr, wire.NewCard(key, token.Name, organisation))
	if err != nil {
		return err
	}
	if err := client.CheckChain(got.Chain, tlsKey, token.Fingerprint); err != nil {
		return err
	}
	if !before.Coordinator.IsZero() && before.Coordinator != got.Coordinator {
		return &failure{Exit: exitRefused, Code: "coordinator", Message: fmt.Sprintf("this data directory belongs to consortium %q, whose coordinator has another key", before.Consortium),
			Hint: "use another data_dir for another consortium"}
	}
	if err := s.WriteFile(store.ChainFile, client.EncodeChain(got.Chain)); err != nil {
		return err
	}
	e := store.Enrolment{Fingerprint: token.Fingerprint, Address: token.Address, Coordinator: got.Coordinator, Consortium: got.Consortium,
		Name: token.Name, Organisation: organisation, Role: got.Role}
	if err := s.SaveEnrolment(e); err != nil {
		return err
	}
	return a.print(map[string]any{"name": e.Name, "organisation": e.Organisation, "role": e.Role, "consortium": e.Consortium, "identity": key.Public().String(), "coordinator": e.Coordinator.String(), "address": address},
		fmt.Sprintf("Enrolled as %s (%s) in %s, role %s.\nIdentity  %s\nKeys are in %s; back up %s, never %s.\nNext: tributary-participant charter show\n",
			e.Name, e.Organisation, e.Consortium, e.Role, key.Public(), c.DataDir, store.IdentityFile, store.SeatKeysFile))
}

// fits checks that the invitation is for this node.
func fits(t invite.Token, c *config.Config) error {
	switch {
	case t.Kind != invite.Participant:
		return &failure{Exit: exitUsage, Code: "token", Field: "token", Message: fmt.Sprintf("this is an invitation of an %s", t.Kind), Hint: "`tributary login --token` takes it; a participant's comes from `tributary participant invite NAME`"}
	case t.Name != c.Name:
		return &failure{Exit: exitUsage, Code: "token", Field: "name", Message: fmt.Sprintf("the invitation is for %q, the config's name is %q", t.Name, c.Name), Hint: "write name: " + t.Name + " in " + c.Path}
	}
	return nil
}

// keyIn loads the TLS key, or makes it.
func keyIn(s *store.Store) (*ecdsa.PrivateKey, error) {
	key, err := client.LoadKey(filepath.Join(s.Dir(), store.TLSKeyFile))
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key, pem, err := client.NewKey()
	if err != nil {
		return nil, err
	}
	return key, s.WriteFile(store.TLSKeyFile, pem)
}
