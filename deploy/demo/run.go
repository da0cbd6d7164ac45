package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"tributary/deploy/consortium"
	"tributary/deploy/shop"
)

func run(ctx context.Context, bin, into string, seed uint64) (err error) {
	begun := time.Now()
	bin, err = filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Join(into, "tributary-demo-"+begun.Format("20060102-150405")))
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	d := &demo{dir: dir, shops: shop.Generate(seed, shop.Sizes)}
	defer func() {
		if d.c == nil {
			return
		}
		if stopErr := d.c.Stop(); err == nil {
			err = stopErr
		}
	}()
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return d.start(ctx, bin) }, d.first, d.second, d.table, d.third,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("\nDone in %.1f s. Everything is in %s: the shops' data and policies, the logs, the model (model.json) and the ledger (ledger.jsonl).\n", time.Since(begun).Seconds(), dir)
	fmt.Printf("Read the ledger: %s show %s\n", filepath.Join(bin, "tributary-audit"), filepath.Join(dir, "ledger.jsonl"))
	return nil
}

// demo is one run.
type demo struct {
	dir    string
	shops  []shop.Organisation
	c      *consortium.Consortium
	result *consortium.Ended
}

func (d *demo) start(ctx context.Context, bin string) error {
	customers := 0
	var members []consortium.Member
	for _, s := range d.shops {
		customers += len(s.Customers)
		members = append(members, consortium.Member{Name: s.Name, Organisation: s.Company, Role: "both", Config: s.Config()})
	}
	fmt.Printf("Four shops with %d customers; folder %s\n", customers, d.dir)
	c, err := consortium.Prepare(d.dir, consortium.In(bin), members)
	if err != nil {
		return err
	}
	d.c = c
	for i, n := range c.Nodes {
		if err := d.shops[i].Write(filepath.Join(n.Dir, d.shops[i].File())); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(n.Dir, "shop-customers.yaml"), []byte(shop.Contract), 0o600); err != nil {
			return err
		}
		fmt.Printf("  %-7s %6d customers in %s\n", n.Name, len(d.shops[i].Customers), d.shops[i].File())
	}
	fmt.Println("\nStarting one coordinator and four participants: enrolment by one-time tokens, one charter that each accepts, a committee of 3 of 4.")
	if err := c.Start(ctx, 1); err != nil {
		return err
	}
	r, err := c.Nodes[0].Command(ctx, "charter", "show")
	if err != nil {
		return err
	}
	fmt.Print(r.Out)
	return nil
}

// first runs the job undisturbed, with the progress that a data scientist sees.
func (d *demo) first(ctx context.Context) error {
	fmt.Println("\nThe job, undisturbed:")
	job, err := d.c.Submit(ctx, shop.Spec("churn", 3, 4), shop.Contract, "")
	if err != nil {
		return err
	}
	if err := d.c.Follow(ctx, job); err != nil {
		return err
	}
	if d.result, err = d.c.Watch(ctx, job); err != nil {
		return err
	}
	return d.completed(d.result)
}

// second runs the same spec again and kills a participant in mid-round.
func (d *demo) second(ctx context.Context) error {
	fmt.Println("\nThe same spec again; baltic is killed (kill -9) in the middle of a training round and started again:")
	job, err := d.c.Submit(ctx, shop.Spec("churn", 3, 4), shop.Contract, "")
	if err != nil {
		return err
	}
	victim := d.c.Nodes[1]
	err = d.c.Reach(ctx, job, func(e *consortium.Ended) bool { return e.Round >= 3 })
	if err != nil {
		return err
	}
	victim.Process.Kill()
	at, err := d.c.Show(ctx, job)
	if err != nil {
		return err
	}
	fmt.Printf("  killed in round %d (process %d); the job is %s\n", at.Round, victim.Process.PID(), at.Status)
	if at.Status != "running" {
		return fmt.Errorf("the job was over before baltic was killed: %s", at.Status)
	}
	if err := victim.Run(); err != nil {
		return err
	}
	fmt.Printf("  started again (process %d)\n", victim.Process.PID())
	again, err := d.c.Watch(ctx, job)
	if err != nil {
		return err
	}
	if err := d.completed(again); err != nil {
		return err
	}
	fmt.Printf("  state of the undisturbed run %s\n  state of the disturbed run   %s\n", d.result.State, again.State)
	if d.result.State != again.State {
		return errors.New("the two runs gave different models")
	}
	fmt.Println("  the same, bit for bit")
	return nil
}

func (d *demo) completed(e *consortium.Ended) error {
	if e.Status != "completed" {
		return fmt.Errorf("the job is %s: %s", e.Status, e.Reason)
	}
	if !e.Converged {
		return fmt.Errorf("the model didn't converge in %d training rounds", e.Rounds("train"))
	}
	return nil
}

// third trains the model once more as a private job, and loses a participant for good on the way.
func (d *demo) third(ctx context.Context) error {
	fmt.Println("\nThe same model as a private job: every opened sum carries noise, for ε = 1 over the whole job. Each shop opens an account for its customers:")
	for _, n := range d.c.Nodes {
		if _, err := n.JSON(ctx, "budget", "open", "customers", "--epsilon", "4", "--delta", "1e-5"); err != nil {
			return err
		}
	}
	spec := shop.PrivateSpec("churn-private", "1.0", 3, 3, 4, "2s")
	file := filepath.Join(d.dir, "private.yaml")
	if err := os.WriteFile(file, []byte(spec), 0o600); err != nil {
		return err
	}
	r, err := d.c.Tributary(ctx, "job", "forecast", file, "--contract", filepath.Join(d.c.Nodes[0].Dir, "shop-customers.yaml"))
	if err != nil {
		return err
	}
	fmt.Print(r.Out, r.Err)
	job, err := d.c.Submit(ctx, spec, shop.Contract, "")
	if err != nil {
		return err
	}
	if err := d.c.Reach(ctx, job, func(e *consortium.Ended) bool { return e.Round >= 4 }); err != nil {
		return err
	}
	gone := d.c.Nodes[3]
	gone.Process.Kill()
	fmt.Printf("%s is killed in mid-run and stays away; the job goes on with three of four:\n", gone.Name)
	if err := d.c.Follow(ctx, job); err != nil {
		return err
	}
	end, err := d.c.Watch(ctx, job)
	if err != nil {
		return err
	}
	if end.Status != "completed" {
		return fmt.Errorf("the private job is %s: %s", end.Status, end.Reason)
	}
	model := filepath.Join(d.dir, "private.json")
	if r, err := d.c.Tributary(ctx, "model", "export", job, "--file", model); err != nil || r.Code != 0 {
		return fmt.Errorf("model export: exit %d %v: %s", r.Code, err, r.Err)
	}
	data, err := os.ReadFile(model)
	if err != nil {
		return err
	}
	m, err := parseModel(data)
	if err != nil {
		return err
	}
	auc, loss, err := m.heldOut(shop.Table(d.shops...))
	if err != nil {
		return err
	}
	fmt.Printf("On everyone's held-out customers: AUC %.5f, log loss %.5f with ε = 1; the exact model above is the one without noise.\n", auc, loss)
	shown, err := d.c.Nodes[0].Command(ctx, "budget", "show")
	if err != nil {
		return err
	}
	fmt.Printf("%s's account:\n%s", d.c.Nodes[0].Name, shown.Out)
	return d.verify(ctx)
}

// verify exports the ledger once more and has the auditor verify it, offline.
func (d *demo) verify(ctx context.Context) error {
	ledger := filepath.Join(d.dir, "ledger.jsonl")
	if err := os.Remove(ledger); err != nil {
		return err
	}
	if r, err := d.c.Tributary(ctx, "ledger", "export", ledger); err != nil || r.Code != 0 {
		return fmt.Errorf("ledger export: exit %d %v: %s", r.Code, err, r.Err)
	}
	r, err := consortium.Run(ctx, d.c.Bin.Audit, nil, "verify", ledger)
	if err != nil {
		return err
	}
	fmt.Printf("The auditor, offline, with the exported ledger alone:\n%s%s", r.Out, r.Err)
	if r.Code != 0 {
		return fmt.Errorf("the ledger doesn't verify: exit %d", r.Code)
	}
	return nil
}
