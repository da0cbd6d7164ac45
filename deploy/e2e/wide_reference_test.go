package e2e

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"tributary/crypto/secagg"
	"tributary/deploy/consortium"
	"tributary/models/dataset"
	"tributary/models/hashing"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

// resolvedProgram is what a job's participants and coordinator compute by.
func resolvedProgram(t *testing.T, c *consortium.Consortium, job string) *optim.Program {
	t.Helper()
	r, err := c.Tributary(t.Context(), "job", "show", job, "--output", "json")
	if err != nil || r.Code != 0 {
		t.Fatalf("%v: %s", err, r.Err)
	}
	var shown struct {
		Resolved json.RawMessage `json:"resolved"`
	}
	if err := json.Unmarshal([]byte(r.Out), &shown); err != nil {
		t.Fatal(err)
	}
	var canonical bytes.Buffer // it was indented
	if err := json.Compact(&canonical, shown.Resolved); err != nil {
		t.Fatal(err)
	}
	resolved, err := jobspec.ParseResolved(canonical.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	p, err := optim.ParseProgram(resolved.Program())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// visitTable reads a site's file as the contract says, with so many buckets of cities and pages.
func visitTable(t *testing.T, file string, cities, pages int) *dataset.Table {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(data))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := &dataset.Table{Rows: len(rows) - 1}
	for i, name := range rows[0] {
		switch name {
		case "city", "page":
			column := dataset.Column{Name: name, Buckets: map[string]int{"city": cities, "page": pages}[name]}
			f := hashing.New(name, column.Buckets)
			for _, row := range rows[1:] {
				column.Codes = append(column.Codes, f.Text(row[i]))
			}
			out.Columns = append(out.Columns, column)
		case "fold":
			for _, row := range rows[1:] {
				out.HeldOut = append(out.HeldOut, row[i] == "test")
			}
		case "bought":
			for _, row := range rows[1:] {
				out.Label = append(out.Label, row[i] == "yes")
			}
		}
	}
	return out
}

// trainHere runs a job's rounds over tables in this process: sums of what a seal would hide, and the server's step. It gives the
// model's document.
func trainHere(t *testing.T, p *optim.Program, sites []*dataset.Table) []byte {
	t.Helper()
	var rounds []local.Rounds
	for _, table := range sites {
		r, err := local.New(p, table)
		if err != nil {
			t.Fatal(err)
		}
		rounds = append(rounds, r)
	}
	s := p.Initial()
	for s.Kind() != optim.Done {
		options := secagg.Options{Contributors: len(sites), Bits: p.Bits, Threshold: 3, Seats: 3}
		for _, segment := range p.Layout(s.Kind()) {
			options.Segments = append(options.Segments, secagg.Segment{Name: segment.Name, Length: segment.Length, ScaleNum: segment.ScaleNum, ScaleDen: segment.ScaleDen})
		}
		codec, err := secagg.NewParams(options)
		if err != nil {
			t.Fatal(err)
		}
		var sum []int64
		for _, r := range rounds {
			values, err := r.Sums(s)
			if err != nil {
				t.Fatal(err)
			}
			lanes, err := codec.Quantise(values)
			if err != nil {
				t.Fatal(err)
			}
			if sum == nil {
				sum = slices.Clone(lanes)
				continue
			}
			for i, v := range lanes {
				sum[i] += v
			}
		}
		if s, _, err = p.Apply(s, codec.Dequantise(sum)); err != nil {
			t.Fatal(err)
		}
	}
	document, err := optim.Export(p, s)
	if err != nil {
		t.Fatal(err)
	}
	return document
}
