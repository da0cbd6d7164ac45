package attack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"tributary/crypto/secagg"
	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
)

// touching is a participant's sum of a machine's averaging round whose rows have only some of the columns' values, in lanes.
func touching(t *testing.T, p *optim.Program, s *optim.State, codec secagg.Params, values []string, from, to int) []int64 {
	t.Helper()
	rounds, err := local.New(p, touchingRows(values, from, to))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := rounds.Sums(s)
	if err != nil {
		t.Fatal(err)
	}
	scaled, err := codec.Quantise(sums)
	if err != nil {
		t.Fatal(err)
	}
	return scaled
}

func touchingRows(values []string, from, to int) *dataset.Table {
	random, table := rand.New(rand.NewPCG(9, 1)), &dataset.Table{Rows: 400}
	for range table.Rows {
		table.Label = append(table.Label, random.IntN(2) == 0)
	}
	for c := range 2 {
		column := dataset.Column{Name: fmt.Sprint("c", c), Values: values}
		for range table.Rows {
			column.Codes = append(column.Codes, int32(from+random.IntN(to-from)))
		}
		table.Columns = append(table.Columns, column)
	}
	return table
}

// A participant trains only on the columns that its rows have, and sends all the same: of two participants, one whose rows have the
// first half of the values, one whose rows have the second, uploads have one length and one header, and who learns from half of the
// payloads which is whose guesses the other half no better than a coin. Without a key the zeros tell at once.
//
// False alarms: one test of pairs at 10⁻⁸ for each of 13 bytes, one of guesses at 10⁻⁶.
func TestAnUploadDoesntTellWhichColumnsItsRowsHave(t *testing.T) {
	const payloads, levels = 120, 60
	var values []string
	for v := range levels {
		values = append(values, fmt.Sprint(v))
	}
	var features []map[string]any
	for c := range 2 {
		features = append(features, map[string]any{"name": fmt.Sprint("c", c), "kind": "category", "values": values, "nullable": false, "missing_indicator": false, "min_count": 0})
	}
	doc, err := json.Marshal(map[string]any{"version": 1, "contributors": members, "bits": 40, "max_rows": 1000, "features": features,
		"model": map[string]any{"type": optim.FactorizationMachine, "l2": 0, "solver": optim.FedAvg, "max_rounds": 2, "tolerance": 0, "factors": 8,
			"averaging": map[string]any{"epochs": 1, "batch": 1, "optimizer": optim.Adagrad, "learning_rate": 0.1, "server_rate": 1, "patience": 0, "seed": "1"}},
		"evaluate": map[string]any{"holdout": false, "metrics": []string{"log_loss"}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := optim.ParseProgram(doc)
	if err != nil {
		t.Fatal(err)
	}
	all, err := local.New(p, touchingRows(values, 0, levels))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := all.Sums(p.Initial())
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := p.Apply(p.Initial(), sums)
	if err != nil {
		t.Fatal(err)
	}
	c := newCohort(t, 1, 1)
	options := secagg.Options{Contributors: members, Bits: 40, Threshold: 1, Seats: 1}
	for _, segment := range p.Layout(optim.Train) {
		options.Segments = append(options.Segments, secagg.Segment{Name: segment.Name, Length: segment.Length, ScaleNum: segment.ScaleNum, ScaleDen: segment.ScaleDen})
	}
	codec, err := secagg.NewParams(options)
	if err != nil {
		t.Fatal(err)
	}
	_, ctx := c.round(t, 40, 1)
	inputs := [2][]int64{touching(t, p, s, codec, values, 0, levels/2), touching(t, p, s, codec, values, levels/2, levels)}
	zeros := [2]int{}
	for k, lanes := range inputs {
		for _, v := range lanes {
			if v == 0 {
				zeros[k]++
			}
		}
	}
	if len(inputs[0]) != len(inputs[1]) || zeros[0] < 400 || zeros[1] < 400 {
		t.Fatalf("%d and %d lanes, of which %d and %d are zero: the participants don't differ in what they touch", len(inputs[0]), len(inputs[1]), zeros[0], zeros[1])
	}
	random := rand.New(rand.NewPCG(4, 10))
	var sealed, bare [2]population
	var first []byte
	for i := range payloads {
		for k, lanes := range inputs {
			payload := c.seal(t, codec, ctx, 2*i+k, lanes).Payload
			if first == nil {
				first = payload
			}
			if len(payload) != len(first) || !bytes.Equal(payload[:payloadHeader], first[:payloadHeader]) {
				t.Fatal("the length or the header tells of the rows")
			}
			sealed[k].add(coefficients(payload, codec.Coefficients()), i < payloads/2)
			bare[k].add(inClear(codec, lanes, random), i < payloads/2)
		}
	}
	apart := sealed[0].apart(&sealed[1])
	right, n := sealed[0].told(&sealed[1], payloads/2)
	t.Logf("least p of a difference %.2g; %d of %d told rightly (alarm at %d)", apart, right, n, mostHits(n, 0.5, 1e-6))
	if apart < 1e-8 || right >= mostHits(n, 0.5, 1e-6) {
		t.Errorf("payloads differ: p = %.2g, %d of %d told rightly", apart, right, n)
	}
	if right, n := bare[0].told(&bare[1], payloads/2); right < n {
		t.Errorf("the distinguisher is blind: without a key %d of %d told rightly", right, n)
	}
}
