package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"tributary/crypto/secagg"
	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
)

const active = 20 // columns of a row

type bench struct {
	buckets, factors, rows, participants, bits int
	role, dir                                  string
}

func (b *bench) run(ctx context.Context) error {
	switch b.role {
	case "participant":
		return b.participant()
	case "coordinator":
		return b.coordinator()
	}
	dir, err := os.MkdirTemp("", "tributary-wide-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := b.program()
	if err != nil {
		return err
	}
	fmt.Printf("%d coefficients, %d participants with %d rows, lanes of %d bits; processor time, and the largest resident memory of each process\n",
		p.Coefficients(), b.participants, b.rows, b.bits)
	for _, role := range []string{"participant", "coordinator"} {
		cmd := exec.CommandContext(ctx, os.Args[0], append(os.Args[1:], "-role", role, "-dir", dir)...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
	}
	return nil
}

// program is a machine over open categories.
func (b *bench) program() (*optim.Program, error) {
	var features []map[string]any
	for c := range active {
		features = append(features, map[string]any{"name": fmt.Sprint("c", c), "kind": "category", "buckets": b.buckets, "nullable": false, "missing_indicator": false, "min_count": 1})
	}
	doc, err := json.Marshal(map[string]any{"version": 1, "contributors": b.participants, "bits": b.bits, "max_rows": 1 << 20 / 8, "features": features,
		"model": map[string]any{"type": optim.FactorizationMachine, "l2": 1, "solver": optim.FedAvg, "max_rounds": 2, "tolerance": 0, "factors": b.factors,
			"averaging": map[string]any{"epochs": 1, "batch": 1, "optimizer": optim.Adagrad, "learning_rate": 0.1, "server_rate": 1, "patience": 0, "seed": "1"}},
		"evaluate": map[string]any{"holdout": false, "metrics": []string{"log_loss"}}})
	if err != nil {
		return nil, err
	}
	return optim.ParseProgram(doc)
}

func (b *bench) table() *dataset.Table {
	r := rand.New(rand.NewPCG(1, 1))
	t := &dataset.Table{Rows: b.rows}
	for range b.rows {
		t.Label = append(t.Label, r.IntN(2) == 0)
	}
	for c := range active {
		column := dataset.Column{Name: fmt.Sprint("c", c), Buckets: b.buckets}
		for range b.rows {
			column.Codes = append(column.Codes, int32(r.IntN(b.buckets/8))) // the others fold: all in one document would be too many
		}
		t.Columns = append(t.Columns, column)
	}
	return t
}

// fitted is the state after FIT over equal participants.
func (b *bench) fitted(p *optim.Program, rounds local.Rounds) (*optim.State, error) {
	sums, err := rounds.Sums(p.Initial())
	if err != nil {
		return nil, err
	}
	for _, segment := range sums {
		for i := range segment {
			segment[i] *= float64(b.participants)
		}
	}
	s, _, err := p.Apply(p.Initial(), sums)
	return s, err
}

func (b *bench) seats() ([]*secagg.SeatKey, []secagg.Seat, error) {
	var keys []*secagg.SeatKey
	var seats []secagg.Seat
	for i := range 3 {
		key, err := secagg.GenerateSeatKey()
		if err != nil {
			return nil, nil, err
		}
		keys, seats = append(keys, key), append(seats, secagg.Seat{Index: uint16(i + 1), Member: secagg.Member{byte(i + 1)}, PublicKey: key.Public()})
	}
	return keys, seats, nil
}

func (b *bench) codec(p *optim.Program) (secagg.Params, error) {
	options := secagg.Options{Contributors: b.participants, Bits: b.bits, Threshold: 2, Seats: 3}
	for _, s := range p.Layout(optim.Train) {
		options.Segments = append(options.Segments, secagg.Segment{Name: s.Name, Length: s.Length, ScaleNum: s.ScaleNum, ScaleDen: s.ScaleDen})
	}
	return secagg.NewParams(options)
}

// usage is what this process has used.
func usage() syscall.Rusage {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("wide: " + err.Error())
	}
	return u
}

// processor is the time that this process has had cores, in seconds: other work on the machine counts little.
func processor() float64 {
	u := usage()
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// clock prints what a step took.
func clock(what string, start float64) float64 {
	now := processor()
	fmt.Printf("  %-32s %8.1f s\n", what, now-start)
	return now
}

func memory() { fmt.Printf("  %-32s %8.0f MB\n", "memory", float64(usage().Maxrss)/1e3) }

// setup is what both sides have after FIT.
func (b *bench) setup() (p *optim.Program, rounds local.Rounds, s *optim.State, codec secagg.Params, err error) {
	if p, err = b.program(); err != nil {
		return
	}
	if rounds, err = local.New(p, b.table()); err != nil {
		return
	}
	if s, err = b.fitted(p, rounds); err != nil {
		return
	}
	codec, err = b.codec(p)
	return
}

// participant trains once; each further upload seals the same values, as another participant's.
func (b *bench) participant() error {
	p, rounds, s, codec, err := b.setup()
	if err != nil {
		return err
	}
	keys, seats, err := b.seats()
	if err != nil {
		return err
	}
	fmt.Println("a participant")
	now := processor()
	if s, err = p.DecodeState(s.Encode()); err != nil {
		return err
	}
	now = clock("read the state", now)
	values, err := rounds.Sums(s)
	if err != nil {
		return err
	}
	now = clock("train and score", now)
	lanes, err := codec.Quantise(values)
	if err != nil {
		return err
	}
	now = clock("quantise", now)
	var shares [3][]secagg.Share
	for i := range b.participants {
		sender := secagg.Member{100, byte(i)}
		upload, err := secagg.Encrypt(codec, secagg.Context{1}, sender, seats, lanes)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(b.dir, fmt.Sprint("payload", i)), upload.Payload, 0o600); err != nil {
			return err
		}
		for j, key := range keys {
			share, err := key.OpenShare(secagg.Context{1}, sender, seats[j].Member, seats[j].Index, upload.Shares[j])
			if err != nil {
				return err
			}
			shares[j] = append(shares[j], share)
		}
		if i == 0 {
			clock("seal", now)
			fmt.Printf("  %-32s %8.1f MB\n", "upload", float64(len(upload.Payload))/1e6)
			memory()
		}
	}
	var replies [][]byte
	for j := range shares {
		replies = append(replies, secagg.SumShares(shares[j]).Bytes())
	}
	text, err := json.Marshal(replies)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "replies"), text, 0o600)
}

func (b *bench) coordinator() error {
	p, _, s, codec, err := b.setup()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(b.dir, "replies"))
	if err != nil {
		return err
	}
	var encoded [][]byte
	if err := json.Unmarshal(text, &encoded); err != nil {
		return err
	}
	var replies []secagg.Reply
	for _, data := range encoded {
		share, err := secagg.ParseShareSum(data)
		if err != nil {
			return err
		}
		replies = append(replies, secagg.Reply{Index: share.Index(), Sum: share})
	}
	fmt.Println("the coordinator")
	sum, now := secagg.NewAccumulator(codec, secagg.Context{1}), processor()
	for i := range b.participants {
		payload, err := os.ReadFile(filepath.Join(b.dir, fmt.Sprint("payload", i)))
		if err != nil {
			return err
		}
		if err := sum.Add(payload); err != nil {
			return err
		}
	}
	now = clock(fmt.Sprintf("read and add %d uploads", b.participants), now)
	opened, err := sum.Open(replies)
	if err != nil {
		return err
	}
	now = clock("open", now)
	next, report, err := p.Apply(s, codec.Dequantise(opened.Values))
	if err != nil {
		return err
	}
	now = clock("server step", now)
	state := next.Encode()
	clock("write the state", now)
	fmt.Printf("  %-32s %8.1f MB\n", "state", float64(len(state))/1e6)
	if report.Decrement == 0 {
		return fmt.Errorf("nothing was learnt")
	}
	memory()
	return nil
}
