package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.uber.org/zap"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/participant/internal/config"
	"tributary/participant/internal/source"
	"tributary/participant/internal/spill"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
)

// frozen are rows as they were read, and the file's size and time by which a change is noticed.
type frozen struct {
	rows *source.Rows
	size int64
	at   time.Time
}

// work is what a job keeps in memory between rounds.
type work struct {
	rows   *source.Rows
	rounds local.Rounds
}

// LoadContract reads a participant's own copy of a contract.
func LoadContract(file string) (*jobspec.Contract, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read contract: %w\nhint: put your copy of the contract there, beside the config under its own name, or say where it is: contract_file: FILE", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read contract: %w", err)
	}
	c, problems := jobspec.ParseContract(data)
	if len(problems) > 0 {
		return nil, &config.Problems{Path: file, List: problems}
	}
	return c, nil
}

const dataHint = "The participant's data can't serve the job: its operator should run `tributary-participant check`."

// rows reads a source, or returns what was read before if the file is untouched. Errors of data are *round.Refused whose reason
// names no cell: they are logged.
func (n *Node) rows(ctx context.Context, b *config.Binding, c *jobspec.Contract) (*source.Rows, error) {
	info, err := os.Stat(b.File)
	if err != nil {
		return nil, refusal(round.RuleData, dataHint, "source %s can't be read: %v", b.ID, err)
	}
	key := b.ID + "\x00" + b.Contract
	old := n.frozen[key]
	if old != nil && old.size == info.Size() && old.at.Equal(info.ModTime()) {
		return old.rows, nil
	}
	secret, err := n.Store.Secret(b.ID)
	if err != nil {
		return nil, err
	}
	rows, err := source.Read(ctx, b.Binding, c, source.Options{Secret: secret, Dir: n.Store.Dir()})
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(err, spill.ErrKeep) {
			return nil, n.unfit(err)
		}
		return nil, refusal(round.RuleData, dataHint, "source %s: %s; `tributary-participant check` tells more", b.ID, class(err))
	}
	if old != nil && old.rows.Digest == rows.Digest {
		rows = old.rows // only the file was touched: keep what is prepared
	}
	n.frozen[key] = &frozen{rows, info.Size(), info.ModTime()}
	return rows, nil
}

// class names what is wrong with a source without a word of what it holds.
func class(err error) string {
	for _, known := range []error{source.ErrBinding, source.ErrHeader, source.ErrEmpty, source.ErrInvalid} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "the file can't be read"
}

// unfit is the refusal of a job that the rows can't serve. When the disk is full, or alike, what the operator can do is logged: the
// coordinator needn't know paths.
func (n *Node) unfit(err error) error {
	if errors.Is(err, spill.ErrKeep) {
		n.Log.Error("the data directory can't hold the rows", zap.Error(err))
		return refusal(round.RuleData, "The participant's operator finds the reason in its log.", "%v", spill.ErrKeep)
	}
	return refusal(round.RuleData, dataHint, "%v", err)
}

// tableOf makes a job's table of a source's rows.
func tableOf(rows *source.Rows, r *jobspec.Resolved, p *optim.Program) (*dataset.Table, error) {
	if m := r.Model.Recommendation; m != nil {
		return rows.PairTable(r.Holdout, m.Item)
	}
	if p.Private() && p.Privacy().Unit == optim.UnitUser {
		return rows.UserTable(r.Holdout)
	}
	return rows.Table(r.Holdout)
}

// unchanged checks that the rows are those that were frozen for the job (G3), and keeps them at hand. A private job's rows may change:
// its noise holds for any.
func (n *Node) unchanged(ctx context.Context, l *live) error {
	b, ok := n.Config.Binding(l.terms.resolved.Contract.String())
	if !ok || b.ID != l.stored.Source {
		return refusal(round.RuleRows, "The participant's binding changed since the job was approved.", "source %s is no longer bound to contract %s", l.stored.Source, l.terms.resolved.Contract)
	}
	rows, err := n.rows(ctx, b, l.terms.contract)
	if err != nil {
		return err
	}
	if !l.terms.private() && rows.Digest != l.stored.Rows {
		return refusal(round.RuleRows, "The participant's rows changed since the job was approved: submit the job again.", "the rows of source %s changed since they were frozen for the job", b.ID)
	}
	if l.work.rows != rows {
		table, err := tableOf(rows, l.terms.resolved, l.terms.program)
		if err != nil {
			return n.unfit(err)
		}
		rounds, err := local.New(l.terms.program, table)
		if err != nil {
			return n.unfit(err)
		}
		l.work = work{rows, rounds}
	}
	return nil
}

// sums computes this participant's part of a round's sum at the verified state. Errors of data or state are *round.Refused.
func (n *Node) sums(ctx context.Context, l *live, encoded []byte) ([][]float64, error) {
	if err := n.unchanged(ctx, l); err != nil {
		return nil, err
	}
	state, err := l.terms.program.DecodeState(encoded)
	if err != nil {
		return nil, refusal(round.RuleState, "", "the state doesn't parse: %v", err)
	}
	out, err := l.work.rounds.Sums(state)
	switch {
	case errors.Is(err, local.ErrConcentrated):
		return nil, refusal(round.RuleSingledOut, "At this state a few rows of one participant dominate the sum: raise l2 or min_count, or bring more rows.", "%v", err)
	case err != nil:
		return nil, n.unfit(err)
	}
	return out, nil
}
