package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"tributary/deploy/consortium"
	"tributary/deploy/shop"
)

// table compares each shop alone, federated and pooled on everyone's held-out customers, and tells bytes and times.
func (d *demo) table(ctx context.Context) error {
	for _, export := range [][]string{
		{"model", "export", d.result.Job, "--file", filepath.Join(d.dir, "model.json")},
		{"ledger", "export", filepath.Join(d.dir, "ledger.jsonl")},
	} {
		if r, err := d.c.Tributary(ctx, export...); err != nil || r.Code != 0 {
			return fmt.Errorf("%v: exit %d %v: %s", export, r.Code, err, r.Err)
		}
	}
	var names []string
	for _, s := range d.shops {
		names = append(names, s.Name)
	}
	p, err := program(shop.Spec("churn", 3, 4), names)
	if err != nil {
		return err
	}
	everyone := shop.Table(d.shops...)
	pooled, err := fitted(p, everyone)
	if err != nil {
		return fmt.Errorf("pooled: %w", err)
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Println("\nOn everyone's held-out customers (the pooled model is what nobody may compute; the demo can, since it made the data):")
	fmt.Fprintln(out, "model\tAUC\tlog loss\tlargest coefficient difference to pooled\tlargest relative error against the truth\t")
	best, err := exported(p, pooled)
	if err != nil {
		return err
	}
	row := func(name string, m *scorer) error {
		auc, loss, err := m.heldOut(everyone)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\t%.5f\t%.5f\t%.2g\t%.0f %%\t\n", name, auc, loss, m.distance(best), 100*m.toTruth())
		return nil
	}
	for _, s := range d.shops {
		alone, err := fitted(p, shop.Table(s))
		if err != nil {
			return fmt.Errorf("%s alone: %w", s.Name, err)
		}
		m, err := exported(p, alone)
		if err != nil {
			return err
		}
		if err := row(s.Name+" alone", m); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(filepath.Join(d.dir, "model.json"))
	if err != nil {
		return err
	}
	federated, err := parseModel(data)
	if err != nil {
		return err
	}
	if err := row("federated", federated); err != nil {
		return err
	}
	if err := row("pooled", best); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Printf("The coordinator's own numbers, from sealed histograms: AUC %.5f, log loss %.5f, accuracy %.5f.\n", d.result.Metrics.AUC, d.result.Metrics.LogLoss, d.result.Metrics.Accuracy)
	fmt.Println()
	traffic(out, d.result)
	return out.Flush()
}

// traffic prints, for each kind of round, the bytes that each participant uploaded and where the time went.
func traffic(out *tabwriter.Writer, e *consortium.Ended) {
	kinds := []string{"fit", "train", "evaluate"}
	bytes := map[string]map[string]uint64{}
	var members []string
	spent := map[string][3]int64{} // upload (with training), check and roster, open and apply
	var planned, uploaded, closed int64
	for _, event := range e.Events {
		switch {
		case event.Phase == "plan":
			planned = event.At.UnixMilli()
		case event.Phase == "upload" && event.Member != "":
			if bytes[event.Member] == nil {
				bytes[event.Member] = map[string]uint64{}
				members = append(members, event.Member)
			}
			bytes[event.Member][event.Kind] += event.Bytes
			uploaded = event.At.UnixMilli()
		case event.Phase == "open" && event.Member == "" && closed < planned:
			closed = event.At.UnixMilli()
		case event.Phase == "apply":
			t := spent[event.Kind]
			spent[event.Kind] = [3]int64{t[0] + uploaded - planned, t[1] + closed - uploaded, t[2] + event.At.UnixMilli() - closed}
		}
	}
	slices.Sort(members)
	fmt.Fprintln(out, "bytes uploaded\tfit\ttrain\tevaluate\t")
	for _, m := range members {
		fmt.Fprintf(out, "%s\t%d\t%d\t%d\t\n", m, bytes[m][kinds[0]], bytes[m][kinds[1]], bytes[m][kinds[2]])
	}
	fmt.Fprintln(out, "\t\t\t\t")
	fmt.Fprintln(out, "milliseconds\trounds\ttrain, seal, upload\tcheck, roster\topen, apply\tper round\t")
	for _, kind := range kinds {
		t, n := spent[kind], max(1, int64(e.Rounds(kind)))
		fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%d\t%d\t\n", kind, n, t[0], t[1], t[2], (t[0]+t[1]+t[2])/n)
	}
}
