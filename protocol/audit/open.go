package audit

import (
	"fmt"
	"strings"
	"unicode"

	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// objectOf makes an empty object of the type that entries of a kind hold, or nil for an unknown kind.
func objectOf(kind ledger.Kind) wire.Object {
	switch kind {
	case ledger.Charter:
		return &wire.Charter{}
	case ledger.Enrolment:
		return &wire.Enrolment{}
	case ledger.Approval:
		return &wire.Approval{}
	case ledger.Release:
		return &wire.Release{}
	case ledger.Refusal:
		return &wire.Refusal{}
	case ledger.Abort:
		return &wire.Abort{}
	case ledger.Job:
		return &wire.Manifest{}
	case ledger.Revocation:
		return &wire.Revocation{}
	case ledger.Finish:
		return &wire.Finish{}
	case ledger.Roster:
		return &wire.Roster{}
	case ledger.Charge:
		return &wire.Charge{}
	case ledger.Account:
		return &wire.Account{}
	case ledger.Plan:
		return &wire.Plan{}
	case ledger.Policy:
		return &wire.Policy{}
	case ledger.Certificate:
		return &wire.Certificate{}
	}
	return nil
}

// open returns an entry's object and who signed it. The error says that it isn't what its kind and signature claim.
func open(e ledger.Entry) (wire.Object, wire.Member, error) {
	envelope, err := wire.ParseEnvelope(e.Object)
	if err != nil {
		return nil, wire.Member{}, err
	}
	o := objectOf(e.Kind)
	if o == nil {
		return nil, wire.Member{}, fmt.Errorf("unknown kind %d", e.Kind)
	}
	return o, envelope.Signer, envelope.Open(o)
}

func short(d wire.Digest) string { return fmt.Sprintf("%x", d[:6]) }

// plain keeps a text that others wrote on one line and free of characters that a terminal or a reader could be fooled by.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
