package audit

import (
	"strings"

	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// cosignatures checks those of the checkpoint: each line after the coordinator's must be the cosignature of a member of the newest charter
// that isn't revoked, one a member, and no other line may be there.
func (b *Book) cosignatures(x *ledger.Export, o Options) {
	var newest *wire.Charter
	var witnesses []ledger.Cosigner
	if n := len(b.Charters); n > 0 {
		newest = b.Charters[n-1]
		for i := range newest.Members {
			if _, gone := b.revoked[newest.Members[i].Card.Key]; !gone {
				witnesses = append(witnesses, charter.Witness(newest, &newest.Members[i]))
			}
		}
	}
	whole := At{Entry: -1}
	var cosigned []ledger.Cosigner
	if b.Signed() {
		var err error
		if cosigned, err = x.VerifyWitnessed(x.Origin, b.Coordinator[:], witnesses); err != nil {
			b.find(whole, RuleCosignature, "a line after the coordinator's isn't one valid cosignature of a member: %v", err)
		}
	}
	did := map[wire.Member]bool{}
	for _, c := range cosigned {
		did[wire.Member(c.Key)] = true
	}
	at := map[string]uint64{} // by the witnesses' own clocks
	_, lines := ledger.SplitCosignatures(x.Checkpoint)
	for _, line := range lines {
		if name, seconds, ok := ledger.CosignedAt(line); ok {
			at[name] = seconds
		}
	}
	for _, w := range witnesses {
		m := wire.Member(w.Key)
		if did[m] {
			b.Cosigned = append(b.Cosigned, m)
			b.cosignedAt = append(b.cosignedAt, min(at[w.Name], ledger.MaxAtMs/1000))
		} else {
			b.Silent = append(b.Silent, m)
		}
	}
	if len(b.Cosigned) < o.Witnesses {
		b.find(whole, RuleCosignature, "%d members cosigned, want at least %d", len(b.Cosigned), o.Witnesses)
	}
}

// cosigners says who cosigned and who didn't.
func (s Summary) cosigners() string {
	switch {
	case len(s.Cosigned) == 0:
		return "cosigned by no member"
	case len(s.Silent) == 0:
		return "cosigned by all members: " + strings.Join(s.Cosigned, ", ")
	}
	return "cosigned by " + strings.Join(s.Cosigned, ", ") + "; not by " + strings.Join(s.Silent, ", ")
}
