package store

import (
	"tributary/protocol/wire"
)

// PutPolicy stores a member's word on its rules as the newest.
func (t *Tx) PutPolicy(p *wire.Policy, e *wire.Envelope) error {
	return t.exec(`INSERT INTO policies (member, version, envelope) VALUES (?, ?, ?)`, p.Member[:], p.Version, e.Bytes())
}

// Policy is a member's newest word on its rules, with its envelope; nil before any.
func (t *Tx) Policy(m wire.Member) (p *wire.Policy, e wire.Envelope, err error) {
	err = t.each(func(scan func(...any) error) error {
		var data []byte
		if err := scan(&data); err != nil {
			return err
		}
		var err error
		if e, err = wire.ParseEnvelope(data); err != nil {
			return err
		}
		p = &wire.Policy{}
		return e.Open(p)
	}, `SELECT envelope FROM policies WHERE member = ? ORDER BY version DESC LIMIT 1`, m[:])
	return p, e, err
}
