package store

import "tributary/protocol/wire"

// Promotion says that an alias stood for a job's model from some time on, until a later one or until it was withdrawn. None is ever
// removed.
type Promotion struct {
	Seq    int64 // ascending; set by PutPromotion
	Alias  string
	Job    wire.Digest
	By     string // the operator
	AtMs   int64
	Reason string // may be empty

	WithdrawnBy     string // by a rollback; empty: it counts
	WithdrawnMs     int64
	WithdrawnReason string
}

const promotionColumns = `seq, alias, job, promoted_by, promoted_ms, reason, withdrawn_by, withdrawn_ms, withdrawn_reason`

// PutPromotion makes an alias stand for a job.
func (t *Tx) PutPromotion(p *Promotion) error {
	return t.exec(`INSERT INTO promotions (alias, job, promoted_by, promoted_ms, reason) VALUES (?, ?, ?, ?, ?)`, p.Alias, p.Job[:], p.By, p.AtMs, p.Reason)
}

// WithdrawPromotion marks a promotion that counts, or returns ErrNotFound.
func (t *Tx) WithdrawPromotion(seq int64, by, reason string, nowMs int64) error {
	return t.change(`UPDATE promotions SET withdrawn_by = ?, withdrawn_ms = ?, withdrawn_reason = ? WHERE seq = ? AND withdrawn_ms = 0`, by, nowMs, reason, seq)
}

// Standing lists an alias's promotions that count, newest first: what it stands for, and what a rollback returns to. At most two.
func (t *Tx) Standing(alias string) ([]Promotion, error) {
	return t.promotions(`WHERE alias = ? AND withdrawn_ms = 0 ORDER BY seq DESC LIMIT 2`, alias)
}

// Promotions lists an alias's promotions, newest first.
func (t *Tx) Promotions(alias string, limit int) ([]Promotion, error) {
	return t.promotions(`WHERE alias = ? ORDER BY seq DESC LIMIT ?`, alias, limit)
}

// AliasesOf lists what stands for a job now, by name.
func (t *Tx) AliasesOf(job wire.Digest) (out []string, err error) {
	err = t.each(func(scan func(...any) error) error {
		var alias string
		err := scan(&alias)
		out = append(out, alias)
		return err
	}, `SELECT alias FROM promotions WHERE job = ? AND seq IN (SELECT MAX(seq) FROM promotions WHERE withdrawn_ms = 0 GROUP BY alias) ORDER BY alias`, job[:])
	return out, err
}

func (t *Tx) promotions(where string, args ...any) (out []Promotion, err error) {
	err = t.each(func(scan func(...any) error) error {
		var p Promotion
		var job []byte
		if err := scan(&p.Seq, &p.Alias, &job, &p.By, &p.AtMs, &p.Reason, &p.WithdrawnBy, &p.WithdrawnMs, &p.WithdrawnReason); err != nil {
			return err
		}
		copy(p.Job[:], job)
		out = append(out, p)
		return nil
	}, `SELECT `+promotionColumns+` FROM promotions `+where, args...)
	return out, err
}
