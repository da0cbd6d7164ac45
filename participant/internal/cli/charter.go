package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tributary/participant/internal/store"
	"tributary/protocol/charter"
	"tributary/protocol/wire"
)

// minDigestDigits is how much of a digest counts as naming it: 64 bits, typed from another channel.
const minDigestDigits = 16

func (a *app) charter() *cobra.Command {
	c := &cobra.Command{Use: "charter", Short: "Show and accept the consortium's list of members"}
	c.AddCommand(&cobra.Command{
		Use:   "show",
		Short: "Show the coordinator's newest charter, and the phrase to compare over the telephone",
		Args:  exactly(),
		RunE:  func(c *cobra.Command, _ []string) error { return a.showCharter(c.Context()) },
	}, &cobra.Command{
		Use:   "accept DIGEST",
		Short: "Accept a charter by its digest, or 16 or more of its first digits, once all operators have compared it",
		Args:  exactly("DIGEST"),
		RunE:  func(c *cobra.Command, args []string) error { return a.acceptCharter(c.Context(), args[0]) },
	})
	return c
}

// newest fetches the newest charter, which must be the enrolled coordinator's, and the envelopes before it, newest first.
func newest(ctx context.Context, n *node) (*wire.Charter, []wire.Envelope, error) {
	e, before, err := n.client.Charter(ctx, wire.Digest{})
	if err != nil {
		return nil, nil, err
	}
	t, err := charter.Open(&e)
	if err != nil {
		return nil, nil, err
	}
	if t.Coordinator != n.enrolment.Coordinator {
		return nil, nil, &failure{Exit: exitRefused, Code: "charter", Message: fmt.Sprintf("the charter names coordinator %s, this node enrolled with %s", t.Coordinator.Short(), n.enrolment.Coordinator.Short()),
			Hint: "stop, and ask the coordinator's operator over another channel"}
	}
	return t, append([]wire.Envelope{e}, before...), nil
}

type memberView struct {
	Name         string `json:"name"`
	Organisation string `json:"organisation"`
	Role         string `json:"role"`
	Identity     string `json:"identity"`
	Self         bool   `json:"self"`
}

type charterView struct {
	Consortium   string       `json:"consortium"`
	Version      uint32       `json:"version"`
	Digest       string       `json:"digest"`
	Phrase       string       `json:"phrase"`
	F            uint16       `json:"f"`
	Organisation string       `json:"coordinator_organisation"`
	Coordinator  string       `json:"coordinator"`
	LogOrigin    string       `json:"log_origin"`
	Members      []memberView `json:"members"`
	Accepted     bool         `json:"accepted"`
	AcceptedVer  uint32       `json:"accepted_version"` // the last version accepted here; 0: none
}

func (a *app) showCharter(ctx context.Context) error {
	n, err := a.enrolled()
	if err != nil {
		return err
	}
	defer n.close()
	t, _, err := newest(ctx, n)
	if err != nil {
		return err
	}
	v, text, err := describe(n, t)
	if err != nil {
		return err
	}
	return a.print(v, text)
}

func describe(n *node, t *wire.Charter) (charterView, string, error) {
	digest := t.Digest()
	v := charterView{Consortium: t.Consortium, Version: t.Version, Digest: hex.EncodeToString(digest[:]), Phrase: charter.Phrase(digest), F: t.F,
		Organisation: t.Organisation, Coordinator: t.Coordinator.String(), LogOrigin: t.LogOrigin, Members: []memberView{}}
	accepted, err := n.store.Charter()
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return v, "", err
	}
	if err == nil {
		v.Accepted, v.AcceptedVer = accepted.Digest() == digest, accepted.Version
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Charter     %s, version %d\nDigest      %s\nPhrase      %s\nf           %d (members that may collude with the coordinator)\nCoordinator %s, key %s\nLedger      %s\nMembers\n",
		t.Consortium, t.Version, v.Digest, v.Phrase, t.F, t.Organisation, t.Coordinator, t.LogOrigin)
	self := n.identity.Public()
	for _, m := range t.Members {
		v.Members = append(v.Members, memberView{m.Card.Name, m.Card.Organisation, m.Role.String(), m.Card.Key.String(), m.Card.Key == self})
		mark := ""
		if m.Card.Key == self {
			mark = "  (this node)"
		}
		fmt.Fprintf(&b, "  %-20s %-28s %-10s %s%s\n", m.Card.Name, m.Card.Organisation, m.Role, m.Card.Key.Short(), mark)
	}
	if !slices.ContainsFunc(v.Members, func(m memberView) bool { return m.Self }) {
		b.WriteString("This node isn't a member.\n")
	}
	switch {
	case v.Accepted:
		b.WriteString("Accepted here.\n")
	case v.AcceptedVer > 0:
		fmt.Fprintf(&b, "Accepted here is version %d. ", v.AcceptedVer)
		fallthrough
	default:
		fmt.Fprintf(&b, "Read the phrase to the other operators over the telephone. If all have the same:\n  tributary-participant charter accept %s\n", v.Digest)
	}
	return v, b.String(), nil
}

func (a *app) acceptCharter(ctx context.Context, typed string) error {
	typed = strings.ToLower(strings.TrimSpace(typed))
	if len(typed) < minDigestDigits || len(typed) > 2*len(wire.Digest{}) || strings.Trim(typed, "0123456789abcdef") != "" {
		return &failure{Exit: exitUsage, Code: "usage", Field: "digest", Message: fmt.Sprintf("%q is not a digest", typed), Hint: fmt.Sprintf("give the digest that `charter show` prints, or at least its first %d digits", minDigestDigits)}
	}
	n, err := a.enrolled()
	if err != nil {
		return err
	}
	defer n.close()
	t, chain, err := newest(ctx, n)
	if err != nil {
		return err
	}
	digest := t.Digest()
	if full := hex.EncodeToString(digest[:]); !strings.HasPrefix(full, typed) {
		return &failure{Exit: exitRefused, Code: "charter", Field: "digest", Message: fmt.Sprintf("the coordinator's newest charter is %s (version %d), not %s", full, t.Version, typed),
			Hint: "run `charter show` and compare the phrase with the other operators again"}
	}
	if err := accept(n.store, t, chain); err != nil {
		return err
	}
	v, _, err := describe(n, t)
	if err != nil {
		return err
	}
	return a.print(v, fmt.Sprintf("Accepted version %d of %s (%s).\n", t.Version, t.Consortium, v.Phrase))
}

// accept stores the newest charter. Versions between the last accepted one and it are covered by its digest, which names its
// predecessor's, and are stored on the way.
func accept(s *store.Store, t *wire.Charter, chain []wire.Envelope) error {
	last, err := s.Charter()
	if errors.Is(err, store.ErrNotFound) {
		return s.AcceptCharter(&chain[0])
	}
	if err != nil {
		return err
	}
	if t.Version <= last.Version && t.Digest() != last.Digest() {
		return fmt.Errorf("%w: version %d is offered, version %d is accepted here", charter.ErrInvalid, t.Version, last.Version)
	}
	var steps []*wire.Envelope
	for i := range chain {
		var between wire.Charter
		if err := chain[i].Open(&between); err != nil {
			return err
		}
		if between.Version <= last.Version && len(steps) > 0 {
			break
		}
		steps = append(steps, &chain[i])
	}
	previous := last
	for i := len(steps) - 1; i >= 0; i-- { // all are checked before any is stored
		next, err := charter.Open(steps[i])
		if err != nil {
			return err
		}
		if next.Digest() == previous.Digest() {
			continue
		}
		if err := charter.Follows(previous, next); err != nil {
			return err
		}
		previous = next
	}
	for i := len(steps) - 1; i >= 0; i-- {
		if err := s.AcceptCharter(steps[i]); err != nil {
			return err
		}
	}
	return nil
}
