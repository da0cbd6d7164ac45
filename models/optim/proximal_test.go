package optim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// The proximal step is the same bits on every architecture: see TestServerStepIsBitIdentical.
func TestProximalStepIsBitIdentical(t *testing.T) {
	p := testProgram(t, `"l2":1`, `"l1":1.5,"l2":0.5`)
	h, zeros := sha256.New(), 0
	for i, s := range run(t, p) {
		data := s.Encode()
		h.Write(data)
		got, err := p.DecodeState(data)
		if err != nil || !bytes.Equal(got.Encode(), data) {
			t.Errorf("state %d: %v", i, err)
		}
		if s.kind == Evaluate {
			for _, w := range s.w {
				if w == 0 {
					zeros++
				}
			}
		}
	}
	const want = "7ef37d3545e3a8fdc2b41857ed52f6b383fa39b40a0eb73745dfeeb855ba6930"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states hash to %s, want %s", got, want)
	}
	if zeros < 2 { // one is folded
		t.Errorf("%d coefficients are 0", zeros)
	}
}

func TestParseL1IsStrict(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"l2":1`, `"l1":0,"l2":1`, "model.l1"},
		{`"l2":1`, `"l1":-1,"l2":1`, "model.l1"},
		{`"l2":1`, `"l1":1e13,"l2":1`, "model.l1"},
		{`"l2":1`, `"l1":"1","l2":1`, "model.l1"},
	} {
		if _, err := ParseProgram([]byte(strings.Replace(testDocument(), c.old, c.new, 1))); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: %v", c.old, c.new, err)
		}
	}
	if _, err := ParseProgram([]byte(strings.Replace(averagingDocument(t), `"l2":1`, `"l1":1,"l2":1`, 1))); err == nil || !strings.Contains(err.Error(), "no L1 penalty") {
		t.Error(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"solver":"fedavg"`, `"solver":"fedadam"`, `solver "fedadam" has no L1 penalty`},
		{`"optimizer":"sgd"`, `"optimizer":"ftrl"`, `the optimizer "ftrl" leaves no zeros`},
		{`"type":"logistic_regression"`, `"type":"factorization_machine","factors":2`, `solver "fedavg" has no L1 penalty`},
	} {
		if _, err := ParseProgram([]byte(strings.Replace(dualDocument(t), c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "hint:") {
			t.Errorf("%s: %v", c.new, err)
		}
	}
	p := testProgram(t, `"l2":1`, `"l1":1.5,"l2":1`)
	doc, err := p.Document()
	if err != nil || !strings.Contains(string(doc), `"l1":1.5,"l2":1,`) {
		t.Errorf("%v %s", err, doc)
	}
}
