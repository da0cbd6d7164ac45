package engine

import (
	"context"
	"strings"

	"tributary/coordinator/internal/store"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

const (
	maxAlias   = 64  // bytes
	maxHistory = 200 // promotions that are told, the newest
)

// Alias is a name that stands for the model of one completed job at a time.
type Alias struct {
	Name    string
	Seq     int64       // of the promotion that counts
	Job     *store.Job  // that it stands for
	History []Promotion // newest first
}

// Promotion is one with its job's name.
type Promotion struct {
	store.Promotion
	JobName string
}

// Promote lets an alias stand for a completed job's model, at an operator's word.
func (e *Engine) Promote(ctx context.Context, id wire.Digest, alias, by, reason string) (out Alias, err error) {
	if err := checkAlias(alias); err != nil {
		return out, err
	}
	err = e.Store.Update(ctx, "commit/promote", func(t *store.Tx) error {
		row, err := t.Job(id)
		if err != nil {
			return err
		}
		if row.Status != string(round.Completed) {
			return fail(Precondition, "not-completed", "Only a completed job's model is promoted; `tributary model list` shows them.", "job %q is %s", row.Name, row.Status)
		}
		standing, err := t.Standing(alias)
		if err != nil {
			return err
		}
		if len(standing) > 0 && standing[0].Job == id {
			return fail(Precondition, "promoted", "`tributary model show "+alias+"` shows its history.", "%s stands for job %q already", alias, row.Name)
		}
		if err := t.PutPromotion(&store.Promotion{Alias: alias, Job: id, By: by, AtMs: e.Now().UnixMilli(), Reason: reason}); err != nil {
			return err
		}
		out, err = aliasOf(t, alias)
		return err
	})
	return out, err
}

// Rollback returns an alias to the job that it stood for before. seq is the promotion that the operator takes back: if another has
// come since, nothing changes.
func (e *Engine) Rollback(ctx context.Context, alias string, seq int64, by, reason string) (out Alias, err error) {
	err = e.Store.Update(ctx, "commit/rollback", func(t *store.Tx) error {
		standing, err := t.Standing(alias)
		switch {
		case err != nil:
			return err
		case len(standing) == 0:
			return missingAlias(alias)
		case standing[0].Seq != seq:
			return fail(Precondition, "changed", "Look at it again with `tributary model show "+alias+"`.", "%s has been promoted or rolled back since", alias)
		case len(standing) == 1:
			return fail(Precondition, "no-previous", "Promote another job's model instead.", "%s has stood for no other model before", alias)
		}
		if err := t.WithdrawPromotion(seq, by, reason, e.Now().UnixMilli()); err != nil {
			return err
		}
		out, err = aliasOf(t, alias)
		return err
	})
	return out, err
}

// Alias tells what an alias stands for and has stood for, the newest first.
func (e *Engine) Alias(ctx context.Context, alias string) (out Alias, err error) {
	err = e.Store.View(ctx, func(t *store.Tx) error {
		out, err = aliasOf(t, alias)
		return err
	})
	return out, err
}

// FindModel resolves an alias, or else what FindJob does.
func (e *Engine) FindModel(ctx context.Context, text string) (id wire.Digest, err error) {
	err = e.Store.View(ctx, func(t *store.Tx) error {
		standing, err := t.Standing(text)
		if err != nil {
			return err
		}
		if len(standing) > 0 {
			id = standing[0].Job
			return nil
		}
		row, err := t.FindJob(text)
		if err == nil {
			id = row.ID
		}
		return err
	})
	return id, err
}

// Aliases lists what stands for each of some jobs.
func (e *Engine) Aliases(ctx context.Context, jobs []*store.Job) (out map[wire.Digest][]string, err error) {
	out = map[wire.Digest][]string{}
	err = e.Store.View(ctx, func(t *store.Tx) error {
		for _, j := range jobs {
			if out[j.ID], err = t.AliasesOf(j.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func aliasOf(t *store.Tx, alias string) (out Alias, err error) {
	standing, err := t.Standing(alias)
	if err != nil {
		return out, err
	}
	if len(standing) == 0 {
		return out, missingAlias(alias)
	}
	out.Name, out.Seq = alias, standing[0].Seq
	if out.Job, err = t.Job(standing[0].Job); err != nil {
		return out, err
	}
	history, err := t.Promotions(alias, maxHistory)
	if err != nil {
		return out, err
	}
	for _, p := range history {
		row, err := t.Job(p.Job)
		if err != nil {
			return out, err
		}
		out.History = append(out.History, Promotion{p, row.Name})
	}
	return out, nil
}

func missingAlias(alias string) error {
	return fail(Missing, "no-alias", "`tributary model list` shows what is promoted.", "no model is promoted as %q", alias)
}

// checkAlias refuses names that are hard to type, or that could be a job's digest.
func checkAlias(alias string) error {
	const hint = "Use 1 to 64 small letters, digits, - and _, a letter first, and not hexadecimal digits alone."
	ok := alias != "" && len(alias) <= maxAlias && alias[0] >= 'a' && alias[0] <= 'z' &&
		strings.Trim(alias, "abcdefghijklmnopqrstuvwxyz0123456789-_") == "" &&
		(len(alias) < store.MinPrefix || strings.Trim(alias, "abcdef0123456789") != "")
	if !ok {
		e := fail(Invalid, "alias", hint, "%.80q can't be an alias", alias)
		e.Field = "alias"
		return e
	}
	return nil
}
