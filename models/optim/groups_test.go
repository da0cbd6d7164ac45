package optim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	plainEvaluate = `"evaluate":{"holdout":true,"metrics":["auc","log_loss","accuracy"]}`
	groupEvaluate = `"evaluate":{"holdout":true,"metrics":["auc","log_loss","accuracy"],"groups":[{"name":"device","values":["desktop","mobile"],"nullable":true},{"name":"sex","values":["f","m"],"nullable":false}],"min_count":20}`
)

// Groups with too few rows are hidden, and others with them until nothing is left over that is too few.
func TestShowLeavesNoSmallRemainder(t *testing.T) {
	for _, c := range []struct {
		rows  []int64
		shown []bool
	}{
		{[]int64{50, 60, 0}, []bool{true, true, false}},
		{[]int64{50, 20, 70}, []bool{true, true, true}},
		{[]int64{50, 19, 70}, []bool{false, false, true}}, // 19 alone would be the rest
		{[]int64{50, 19, 70, 1}, []bool{true, false, true, false}},
		{[]int64{50, 19, 70, 2, 3}, []bool{true, false, true, false, false}},
		{[]int64{30, 5, 30}, []bool{false, false, true}}, // the first of equals
		{[]int64{5, 30}, []bool{false, false}},
		{[]int64{5}, []bool{false}},
		{[]int64{0, 0}, []bool{false, false}},
	} {
		got := make([]bool, len(c.rows))
		show(got, c.rows, 20)
		if !slices.Equal(got, c.shown) {
			t.Errorf("%v: %v, want %v", c.rows, got, c.shown)
		}
		hidden := int64(0)
		for i, n := range c.rows {
			if !got[i] {
				hidden += n
			}
		}
		if hidden > 0 && hidden < 20 && slices.Contains(got, true) {
			t.Errorf("%v: %d rows are left over", c.rows, hidden)
		}
	}
}

func groupedFit(t *testing.T, p *Program, rows ...float64) (*State, error) {
	t.Helper()
	sums := fitSums(p)
	sums[segGroupRows] = rows
	s, _, err := p.Apply(p.Initial(), p.assemble(Fit, sums))
	return s, err
}

// FIT counts every held-out row once in each column; the state keeps the counts, and any other form of it is refused.
func TestStateKeepsTheGroups(t *testing.T) {
	p := testProgram(t, plainEvaluate, groupEvaluate)
	s, err := groupedFit(t, p, 60, 30, 0, 10, 45, 55, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.ShownGroups(s); !slices.Equal(got, []bool{true, false, false, false, true, true, false}) {
		t.Errorf("shown %v", got)
	}
	encoded := s.Encode()
	read, err := p.DecodeState(encoded)
	if err != nil || !bytes.Equal(read.Encode(), encoded) || !slices.Equal(read.groups, s.groups) {
		t.Fatalf("%v, %v", read, err)
	}
	for i := range 8 { // each count by one more
		at := len(encoded) - 8*7 + 8*i - 1
		spoiled := bytes.Clone(encoded)
		spoiled[at]++
		if _, err := p.DecodeState(spoiled); err == nil {
			t.Errorf("byte %d changed: accepted", at)
		}
	}
	for _, rows := range [][]float64{
		{60, 30, 0, 11, 45, 55, 0}, {60, 30, 0, 10, 45, 54, 0}, {110, -20, 0, 10, 45, 55, 0},
	} {
		if _, err := groupedFit(t, p, rows...); !errors.Is(err, ErrSums) {
			t.Errorf("%v: %v", rows, err)
		}
	}
}

func TestEvaluateHoldsGroupsToTheirCounts(t *testing.T) {
	p := testProgram(t, plainEvaluate, groupEvaluate)
	s, err := groupedFit(t, p, 60, 30, 0, 10, 45, 55, 0)
	if err != nil {
		t.Fatal(err)
	}
	for s.Kind() == Train {
		if s, _, err = p.Apply(s, trainSums(p, s, 600, uint64(s.Step()))); err != nil {
			t.Fatal(err)
		}
	}
	sums := func() map[string][]float64 {
		v := map[string][]float64{segRows: {1000}, segLoss: encodeLoss(500, 1000), segHeldOut: {100}, segHeldPos: {40}, segHeldCorrect: {70},
			segHeldLoss: encodeLoss(55, 100), segBinsPos: make([]float64, 1024), segBinsNeg: make([]float64, 1024),
			segGroupPos: make([]float64, 7*GroupBins), segGroupNeg: make([]float64, 7*GroupBins)}
		v[segBinsPos][900], v[segBinsNeg][100] = 40, 60
		for g, n := range map[int][2]float64{0: {20, 40}, 4: {15, 30}, 5: {25, 30}} {
			v[segGroupPos][g*GroupBins+56], v[segGroupNeg][g*GroupBins+6] = n[0], n[1]
		}
		return v
	}
	_, report, err := p.Apply(s, p.assemble(Evaluate, sums()))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range report.Groups {
		if g.Scores != nil {
			names = append(names, g.Name)
		}
	}
	if got := strings.Join(names, " "); got != "device=desktop sex=f sex=m" || report.Groups[1].Rows != 30 || report.Groups[3].Name != "device:missing" {
		t.Errorf("%s of %+v", got, report.Groups)
	}
	for name, spoil := range map[string]func(v map[string][]float64){
		"a hidden group's score":  func(v map[string][]float64) { v[segGroupPos][1*GroupBins] = 1 },
		"one more":                func(v map[string][]float64) { v[segGroupNeg][4*GroupBins]++ },
		"a negative count":        func(v map[string][]float64) { v[segGroupNeg][4*GroupBins]--; v[segGroupNeg][4*GroupBins+1]++ },
		"another label's":         func(v map[string][]float64) { v[segGroupPos][4*GroupBins+56]++; v[segGroupNeg][4*GroupBins+6]-- },
		"more positives than all": func(v map[string][]float64) { v[segGroupPos][56], v[segGroupNeg][6] = 41, 19 },
	} {
		v := sums()
		spoil(v)
		if _, _, err := p.Apply(s, p.assemble(Evaluate, v)); !errors.Is(err, ErrSums) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseProgramOfGroups(t *testing.T) {
	p := testProgram(t, plainEvaluate, groupEvaluate)
	if p.MinGroup != 20 || len(p.Groups().Columns()) != 7 {
		t.Errorf("%+v", p)
	}
	document, err := p.Document()
	if err != nil || !strings.Contains(string(document), groupEvaluate[:len(groupEvaluate)-1]) {
		t.Errorf("%s, %v", document, err)
	}
	if document, err = testProgram(t).Document(); err != nil || strings.Contains(string(document), "groups") {
		t.Errorf("%s, %v", document, err)
	}
	many := make([]string, 257)
	for i := range many {
		many[i] = fmt.Sprintf(`"v%d"`, i)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"min_count":20}`, `"min_count":0}`, "evaluate.min_count"},
		{`,"min_count":20}`, `}`, "evaluate.min_count: missing"},
		{`"groups":[{`, `"groops":[{`, "evaluate.groups: missing"},
		{`"nullable":false}],"min_count"`, `"nullable":false,"extra":1}],"min_count"`, "extra"},
		{`"name":"sex"`, `"name":"device"`, "twice"},
		{`["f","m"]`, `[]`, "no values"},
		{`["f","m"]`, `[` + strings.Join(many, ",") + `]`, "at most 256"},
		{`"holdout":true`, `"holdout":false`, "groups"},
		{`"metrics":["auc",`, `"metrics":[`, "the metric auc"},
	} {
		doc := strings.Replace(strings.Replace(testDocument(), plainEvaluate, groupEvaluate, 1), c.old, c.new, 1)
		if strings.Contains(c.old, "min_count") { // the document has another before
			at := strings.LastIndex(testDocument(), plainEvaluate)
			doc = testDocument()[:at] + strings.Replace(groupEvaluate, c.old, c.new, 1) + "}"
		}
		if _, err := ParseProgram([]byte(doc)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
}
