package round

import (
	"slices"
	"tributary/crypto/secagg"
	"tributary/protocol/charter"
	"tributary/protocol/wire"
)

// shareSeen opens one sealed share. What its sender signed but doesn't open is complained of; what isn't what the sender signed is
// refused, since whoever brought it may have changed it.
func (m *Member) shareSeen(in ShareSeen) ([]Effect, error) {
	index := m.job.Seat(m.self)
	if index == 0 || m.seatKey == nil {
		return nil, refuse(RuleCommittee, "", "this member holds no seat key for the job")
	}
	if m.plan == nil {
		return nil, refuse(RuleContext, "", "a share before any plan")
	}
	u, err := OpenUpload(m.job, m.plan, &in.Upload)
	if err != nil {
		return nil, err
	}
	sender, name := in.Upload.Signer, charter.Name(m.job.Charter, in.Upload.Signer)
	if BlobDigest(in.Sealed) != u.ShareDigests[index-1] {
		return nil, refuse(RuleShare, "", "the share from %s isn't the one that it signed", name)
	}
	if old, ok := m.shares[sender]; ok && old.upload != in.Upload.Digest() {
		return nil, refuse(RuleUpload, "Keep both: they show that a member uploaded twice.", "a second upload by %s", name)
	}
	share, err := m.seatKey.OpenShare(secagg.Context(u.Ctx), secagg.Member(sender), secagg.Member(m.self), index, in.Sealed)
	if err != nil {
		m.accused[sender] = true
		complaint := &wire.Complaint{Ctx: u.Ctx, Sender: sender, ShareDigest: u.ShareDigests[index-1]}
		return []Effect{Send{wire.Sign(m.key, complaint)}}, nil
	}
	m.shares[sender] = seenShare{in.Upload.Digest(), share}
	return nil, nil
}

// rosterArrived is the last check before anything opens (G3, G4).
func (m *Member) rosterArrived(in RosterArrived) ([]Effect, error) {
	index := m.job.Seat(m.self)
	if index == 0 || m.seatKey == nil {
		return nil, refuse(RuleCommittee, "", "this member holds no seat key for the job")
	}
	if m.plan == nil {
		return nil, refuse(RuleContext, "", "a roster before any plan")
	}
	roster, err := OpenRoster(m.job, m.plan, &in.Roster)
	if err != nil {
		return nil, err
	}
	root := roster.Root()
	if len(m.rec.ShareSum) > 0 {
		if root != m.rec.OpenedRoot {
			return nil, refuse(RuleRosterTwice, "Keep both rosters: they show an attempt to open two sums.", "a second roster for round %d", m.rec.Round)
		}
		e, err := wire.ParseEnvelope(m.rec.ShareSum)
		if err != nil {
			return nil, err
		}
		return []Effect{Send{e}}, nil
	}
	if m.rec.Stage == StageUploaded {
		own := slices.IndexFunc(roster.Entries, func(e wire.RosterEntry) bool { return e.Member == m.self })
		if own >= 0 && roster.Entries[own].Upload != digestOf(m.rec.Upload) {
			return nil, refuse(RuleOwnEntry, "", "the roster lists another upload of this member's")
		}
	} else if m.job.Contributes(m.self) && slices.ContainsFunc(roster.Entries, func(e wire.RosterEntry) bool { return e.Member == m.self }) {
		return nil, refuse(RuleOwnEntry, "", "the roster lists an upload that this member never made")
	}
	shares := make([]secagg.Share, 0, len(roster.Entries))
	for _, entry := range roster.Entries {
		seen, ok := m.shares[entry.Member]
		if !ok {
			return nil, ErrSharesMissing
		}
		if seen.upload != entry.Upload {
			return nil, refuse(RuleRoster, "", "the roster lists another upload by %s than was checked", charter.Name(m.job.Charter, entry.Member))
		}
		shares = append(shares, seen.share)
	}
	sum := secagg.SumShares(shares)
	e := wire.Sign(m.key, &wire.ShareSum{Ctx: m.Context(), Root: root, Index: index, Sum: sum.Bytes()})
	m.rec.OpenedRoot, m.rec.ShareSum = root, e.Bytes()
	return []Effect{Persist{Record: m.rec}, Send{e}}, nil
}
