package charter

import (
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// Witnesses are the members as cosigners of the charter's log.
func Witnesses(t *wire.Charter) []ledger.Cosigner {
	out := make([]ledger.Cosigner, len(t.Members))
	for i := range t.Members {
		out[i] = Witness(t, &t.Members[i])
	}
	return out
}

// Witness is one member as a cosigner of the charter's log.
func Witness(t *wire.Charter, m *wire.CharterMember) ledger.Cosigner {
	return ledger.Cosigner{Name: ledger.WitnessName(t.LogOrigin, m.Card.Name), Key: append([]byte(nil), m.Card.Key[:]...)}
}

// OfEntry reads a ledger's entry of a charter version, or returns nil if it is another entry or none that the coordinator signed.
// Whether the version may be proposed is for Check.
func OfEntry(e ledger.Entry, coordinator wire.Member) *wire.Charter {
	if e.Kind != ledger.Charter {
		return nil
	}
	signed, err := wire.ParseEnvelope(e.Object)
	if err != nil || signed.Signer != coordinator {
		return nil
	}
	c := &wire.Charter{}
	if signed.Open(c) != nil {
		return nil
	}
	return c
}
