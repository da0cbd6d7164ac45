package optim

import (
	"errors"
	"strings"
	"testing"
)

const testWeighting = `,"weighting":{"classes":[1,2.5],"weight":{"name":"w","min":0,"max":6},"offset":{"name":"o","min":-1,"max":1}}}`

func weightedDocument() string { return strings.TrimSuffix(testDocument(), "}") + testWeighting }

func TestParseWeightingIsStrict(t *testing.T) {
	p, err := ParseProgram([]byte(weightedDocument()))
	if err != nil {
		t.Fatal(err)
	}
	if p.weightExponent() != 4 || p.Weighting.RowWeight(2, 1) != 5 { // 2.5·6 = 15
		t.Errorf("exponent %d", p.weightExponent())
	}
	for _, c := range []struct{ old, new, want string }{
		{`[1,2.5]`, `[1]`, "weighting.classes"},
		{`[1,2.5]`, `[1,2,3]`, "weighting.classes"},
		{`[1,2.5]`, `[]`, "weighting.classes"},
		{`[1,2.5]`, `[1,0]`, "weighting.classes"},
		{`[1,2.5]`, `[1,1e7]`, "weighting.classes"},
		{`[1,2.5]`, `[1,"2"]`, "weighting.classes"},
		{`"name":"w","min":0`, `"name":"w","min":-1`, "weighting.weight"},
		{`"max":6`, `"max":1e7`, "weighting.weight"},
		{`"max":6`, `"max":0`, "weighting.weight"},
		{`"name":"w"`, `"name":""`, "weighting.weight.name"},
		{`"max":6`, `"max":6,"x":1`, "weighting.weight.x: unknown key"},
		{`"min":-1,"max":1}`, `"min":-1,"max":2000}`, "weighting.offset"},
		{`"min":-1,"max":1}`, `"min":1,"max":1}`, "weighting.offset"},
		{`"offset":`, `"offsets":`, "weighting.offsets: unknown key"},
		{testWeighting, `,"weighting":{}}`, "nothing is weighted"},
		{testWeighting, `,"weighting":null}`, "weighting"},
	} {
		doc := strings.Replace(weightedDocument(), c.old, c.new, 1)
		if doc == weightedDocument() {
			t.Fatalf("no %s in the document", c.old)
		}
		if _, err := ParseProgram([]byte(doc)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: %v", c.old, c.new, err)
		}
	}
	for _, base := range []string{averagingDocument(t), privateDocument()} {
		if _, err := ParseProgram([]byte(strings.TrimSuffix(base, "}") + testWeighting)); err == nil || !strings.Contains(err.Error(), "weighs all rows alike") {
			t.Error(err)
		}
	}
	classes := strings.TrimSuffix(classDocument(t), "}") + strings.Replace(testWeighting, "[1,2.5]", "[1,2,3]", 1)
	if _, err := ParseProgram([]byte(classes)); err == nil || !strings.Contains(err.Error(), "no offset") {
		t.Error(err)
	}
}
