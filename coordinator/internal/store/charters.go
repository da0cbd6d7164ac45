package store

import (
	"tributary/protocol/charter"
	"tributary/protocol/wire"
)

// Charter is a stored charter version with the envelope that signs it.
type Charter struct {
	*wire.Charter
	Envelope wire.Envelope
}

// PutCharter adds a version.
func (t *Tx) PutCharter(c *wire.Charter, e *wire.Envelope) error {
	digest := c.Digest()
	return t.exec(`INSERT INTO charters (version, digest, envelope) VALUES (?, ?, ?)`, int64(c.Version), digest[:], e.Bytes())
}

// Charters lists all versions, newest first.
func (t *Tx) Charters() (out []Charter, err error) {
	err = t.each(func(scan func(...any) error) error {
		var b []byte
		if err := scan(&b); err != nil {
			return err
		}
		c, err := openCharter(b)
		if err != nil {
			return err
		}
		out = append(out, c)
		return nil
	}, `SELECT envelope FROM charters ORDER BY version DESC`)
	return out, err
}

// NewestCharter is the version under which jobs are submitted, or ErrNotFound.
func (t *Tx) NewestCharter() (Charter, error) {
	var b []byte
	if err := t.row(`SELECT envelope FROM charters ORDER BY version DESC LIMIT 1`).Scan(&b); err != nil {
		return Charter{}, notFound("charter", err)
	}
	return openCharter(b)
}

// CharterBy finds a version by its digest, or ErrNotFound.
func (t *Tx) CharterBy(digest wire.Digest) (Charter, error) {
	var b []byte
	if err := t.row(`SELECT envelope FROM charters WHERE digest = ?`, digest[:]).Scan(&b); err != nil {
		return Charter{}, notFound("charter", err)
	}
	return openCharter(b)
}

func openCharter(b []byte) (Charter, error) {
	e, err := wire.ParseEnvelope(b)
	if err != nil {
		return Charter{}, err
	}
	c, err := charter.Open(&e)
	if err != nil {
		return Charter{}, err
	}
	return Charter{c, e}, nil
}
