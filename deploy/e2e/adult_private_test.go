package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/crypto/secagg"
	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

// privateSpec is Adult as a private job of ten participants: declared ranges and categories, log1p on the two capital columns, rows of
// unit norm, defaults otherwise.
func (d *realData) privateSpec(epsilon string) string {
	capital := []string{"capital_gain", "capital_loss"}
	plain := slices.DeleteFunc(slices.Clone(d.numbers), func(c string) bool { return slices.Contains(capital, c) })
	categories := slices.DeleteFunc(slices.Clone(d.columns), func(c string) bool { return c == d.label || slices.Contains(d.numbers, c) })
	return fmt.Sprintf(`version: 1
name: adult-private
contract: adult@1
features:
  - {columns: [%s], transform: scale}
  - {columns: [%s], transform: [log1p, scale]}
  - {columns: [%s], transform: one_hot}
model: {type: logistic_regression, solver: dp_gradient_descent}
evaluate: {holdout: {column: fold, equals: test}, metrics: [auc]}
privacy: {unit: record, epsilon: "%s", delta: "1e-5"}
run: {mode: sealed, participants: all, min_participants: 9, committee: {threshold: 5, of: 7}}
`, strings.Join(plain, ", "), strings.Join(capital, ", "), strings.Join(categories, ", "), epsilon)
}

func (d *realData) resolve(t *testing.T, spec string, members, f, seats int) *jobspec.Resolved {
	t.Helper()
	s, problems := jobspec.ParseSpec([]byte(spec))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	c, problems := jobspec.ParseContract([]byte(d.contract()))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r, problems := jobspec.Resolve(s, c, jobspec.Options{F: f, Contributors: members, Seats: seats})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return r
}

// tables deals all rows to n participants at random.
func (d *realData) tables(t *testing.T, n int, seed uint64) []*dataset.Table {
	t.Helper()
	c, problems := jobspec.ParseContract([]byte(d.contract()))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	random := rand.New(rand.NewPCG(seed, 1))
	out := make([]*dataset.Table, n)
	for i := range out {
		out[i] = &dataset.Table{}
		for _, name := range d.columns {
			if column, ok := c.Column(name); ok && name != d.label {
				out[i].Columns = append(out[i].Columns, dataset.Column{Name: name, Values: column.Values})
			}
		}
	}
	for row, cells := range d.rows {
		to := out[random.IntN(n)]
		to.Rows++
		to.HeldOut = append(to.HeldOut, d.test[row])
		at := 0
		for i, name := range d.columns {
			if name == d.label {
				to.Label = append(to.Label, cells[i] == d.yes)
				continue
			}
			column := &to.Columns[at]
			at++
			if slices.Contains(d.numbers, name) {
				v, err := strconv.ParseFloat(cells[i], 64)
				if err != nil {
					t.Fatal(err)
				}
				column.Numbers = append(column.Numbers, v)
			} else {
				column.Codes = append(column.Codes, int32(slices.Index(column.Values, cells[i])))
			}
		}
	}
	for _, table := range out {
		for i := range table.Columns {
			if table.Columns[i].Numbers != nil {
				table.Columns[i].Values = nil
			}
		}
	}
	return out
}

// trainPrivately runs a whole private job in this process with the real noise, the real encryption and the real opening.
func trainPrivately(t *testing.T, r *jobspec.Resolved, tables []*dataset.Table, threshold, seats int) (*optim.Program, *optim.State) {
	t.Helper()
	p, err := optim.ParseProgram(r.Program())
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]*secagg.SeatKey, seats)
	committee := make([]secagg.Seat, seats)
	for i := range keys {
		if keys[i], err = secagg.GenerateSeatKey(); err != nil {
			t.Fatal(err)
		}
		committee[i] = secagg.Seat{Index: uint16(i + 1), Member: secagg.Member{byte(i + 1)}, PublicKey: keys[i].Public()}
	}
	s := p.Initial()
	for step := 0; s.Kind() != optim.Done; step++ {
		noise, _, ok := r.Noise(uint8(s.Kind()))
		if !ok {
			t.Fatalf("no noise for %v", s.Kind())
		}
		params, err := dp.NewParams(noise)
		if err != nil {
			t.Fatal(err)
		}
		options := secagg.Options{Contributors: len(tables), Bits: p.Bits, Threshold: threshold, Seats: seats}
		for _, seg := range p.Layout(s.Kind()) {
			options.Segments = append(options.Segments, secagg.Segment{Name: seg.Name, Length: seg.Length, ScaleNum: seg.ScaleNum, ScaleDen: seg.ScaleDen})
		}
		codec, err := secagg.NewParams(options)
		if err != nil {
			t.Fatal(err)
		}
		ctx := secagg.Context{byte(step + 1)}
		sum := secagg.NewAccumulator(codec, ctx)
		shares := make([][]secagg.Share, seats)
		for i, table := range tables {
			local, err := dp.Draw(params)
			if err != nil {
				t.Fatal(err)
			}
			units, err := linear.Contributions(p, s, table)
			if err != nil {
				t.Fatal(err)
			}
			for unit := range units {
				if err := local.Add(unit); err != nil {
					t.Fatal(err)
				}
			}
			noised, err := local.Release()
			if err != nil {
				t.Fatal(err)
			}
			lanes, err := noised.Take()
			if err != nil {
				t.Fatal(err)
			}
			sender := secagg.Member{100, byte(i)}
			upload, err := secagg.Encrypt(codec, ctx, sender, committee, lanes)
			if err != nil {
				t.Fatal(err)
			}
			if err := sum.Add(upload.Payload); err != nil {
				t.Fatal(err)
			}
			for j, key := range keys[:threshold] {
				share, err := key.OpenShare(ctx, sender, committee[j].Member, committee[j].Index, upload.Shares[j])
				if err != nil {
					t.Fatal(err)
				}
				shares[j] = append(shares[j], share)
			}
		}
		var replies []secagg.Reply
		for j := range threshold {
			replies = append(replies, secagg.Reply{Index: committee[j].Index, Sum: secagg.SumShares(shares[j])})
		}
		opened, err := sum.Open(replies)
		if err != nil {
			t.Fatal(err)
		}
		if s, _, err = p.Apply(s, codec.Dequantise(opened.Values)); err != nil {
			t.Fatal(err)
		}
	}
	return p, s
}

// TestAdultPrivatelyReachesItsQuality: record-level (1, 1e-5) over ten participants, two of which may collude, distributed noise, n_min 9: the
// mean test AUC over five seeds is at least 0.893, and the job's charges stay within ε = 1.
func TestAdultPrivatelyReachesItsQuality(t *testing.T) {
	d := adult(t)
	r := d.resolve(t, d.privateSpec("1.0"), 10, 2, 10)
	p, err := optim.ParseProgram(r.Program())
	if err != nil {
		t.Fatal(err)
	}
	var releases []accountant.Release
	rounds := 0
	for _, kind := range []optim.RoundKind{optim.Fit, optim.Train, optim.Evaluate} {
		_, sum, ok := r.Noise(uint8(kind))
		if !ok {
			t.Fatalf("no noise for %v", kind)
		}
		n := p.MaxRounds(kind)
		rounds += n
		// In many dimensions: the continuous Gaussian of variance σ²−4.
		multiplier := math.Sqrt((sum.Sigma2.Float() - 4) / float64(sum.Sensitivity2))
		releases = append(releases, accountant.Release{Mechanism: accountant.Gaussian{Multiplier: multiplier}, Count: uint64(n)})
	}
	report, err := accountant.Epsilon(releases, 1e-5)
	if err != nil {
		t.Fatal(err)
	}
	if rounds > 25 || report.Epsilon > 1 {
		t.Errorf("%d rounds, ε = %.4f", rounds, report.Epsilon)
	}
	total := 0.0
	const seeds = 5
	for seed := range uint64(seeds) {
		tables := d.tables(t, 10, seed)
		program, s := trainPrivately(t, r, tables, 5, 7)
		all := d.tables(t, 1, 0)[0]
		scores, err := linear.Score(program, s, all)
		if err != nil {
			t.Fatal(err)
		}
		auc := exactAUC(scores, all)
		m, _ := s.Metrics()
		t.Logf("seed %d: AUC %.4f, by the noised histograms %.4f", seed, auc, m.AUC.V)
		total += auc
	}
	t.Logf("mean AUC %.4f in %d rounds, ε %.4f", total/seeds, rounds, report.Epsilon)
	if total/seeds < 0.893 {
		t.Errorf("mean AUC %.4f, want at least 0.893", total/seeds)
	}
}

// exactAUC is the area under the ROC curve over the held-out rows, by ranks.
func exactAUC(scores []float64, t *dataset.Table) float64 {
	type scored struct {
		p float64
		y bool
	}
	var rows []scored
	for i, p := range scores {
		if t.HeldOut[i] {
			rows = append(rows, scored{p, t.Label[i]})
		}
	}
	slices.SortFunc(rows, func(a, b scored) int {
		switch {
		case a.p < b.p:
			return -1
		case a.p > b.p:
			return 1
		}
		return 0
	})
	ranks, positives := 0.0, 0.0
	for i := 0; i < len(rows); {
		j := i
		for j < len(rows) && rows[j].p == rows[i].p {
			j++
		}
		for k := i; k < j; k++ {
			if rows[k].y {
				ranks += float64(i+j+1) / 2
				positives++
			}
		}
		i = j
	}
	negatives := float64(len(rows)) - positives
	return (ranks - positives*(positives+1)/2) / (positives * negatives)
}
