package store

import "tributary/protocol/wire"

// Cosignature is a member's signature line over the ledger's checkpoint of one size.
type Cosignature struct {
	Member wire.Member
	Line   []byte // with its newline
}

// HasCosignature reports whether the member's cosignature of that size is stored.
func (t *Tx) HasCosignature(size int64, m wire.Member) (bool, error) {
	var n int
	err := t.row(`SELECT COUNT(*) FROM cosignatures WHERE size = ? AND member = ?`, size, m[:]).Scan(&n)
	return n > 0, err
}

// PutCosignature stores a cosignature of a size. It is an error if the member's is there already.
func (t *Tx) PutCosignature(size int64, c Cosignature) error {
	return t.exec(`INSERT INTO cosignatures (size, member, line) VALUES (?, ?, ?)`, size, c.Member[:], c.Line)
}

// Cosignatures lists those of a size, by member.
func (t *Tx) Cosignatures(size int64) (out []Cosignature, err error) {
	err = t.each(func(scan func(...any) error) error {
		var c Cosignature
		var member []byte
		if err := scan(&member, &c.Line); err != nil {
			return err
		}
		copy(c.Member[:], member)
		out = append(out, c)
		return nil
	}, `SELECT member, line FROM cosignatures WHERE size = ? ORDER BY member`, size)
	return out, err
}

// MostCosigned is the ledger size that most members cosigned, the newest of several; 0 if there is none.
func (t *Tx) MostCosigned() (size int64, err error) {
	err = t.row(`SELECT COALESCE((SELECT size FROM cosignatures GROUP BY size ORDER BY COUNT(*) DESC, size DESC LIMIT 1), 0)`).Scan(&size)
	return size, err
}
