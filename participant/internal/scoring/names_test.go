package scoring

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tributary/participant/internal/source"
	"tributary/protocol/pb"
)

// Bern is bucket 1061 of 4096, Zürich 1648 (SPEC §13), and in a cross with DE and other countries 1061, 1648, 5157 and 5744.
const hashed = `{"format":"tributary-model","version":1,"type":"logistic_regression","l2":1,"intercept":0.5,"columns":[
{"name":"land=DE","feature":"land","role":"value","value":"DE","folded":false,"coefficient":0.25},
{"name":"land=other","feature":"land","role":"other","folded":false,"coefficient":0.75},
{"name":"city#","feature":"city","role":"buckets","folded":false,"buckets":{"count":4096,"kept":[7,1061,1648],"coefficients":[9,2,-1]}},
{"name":"city=other","feature":"city","role":"other","folded":false,"coefficient":0.25},
{"name":"land*city#","feature":"land*city","role":"buckets","folded":false,"buckets":{"count":8192,"cross":["land","city"],"kept":[1061,5744],"coefficients":[0.5,3]}},
{"name":"land*city=other","feature":"land*city","role":"other","folded":false,"coefficient":1}],"training_rows":10,"train_rounds":1}`

const cities = "id,land,city\n1,DE,Bern\n2,DE, Bern\n3,CH,Zürich\n4,DE,Ulm\n5,DE,Bern\n"

// What a number stands for is told from a participant's own rows, and only there.
func TestBucketsAreNamedByOwnRows(t *testing.T) {
	m := parse(t, hashed)
	named, err := File{Rows: source.Binding{File: write(t, cities)}}.Names(t.Context(), m, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(named), "[{city#7 [9] 0 []} {land*city#5744 [3] 1 [{CH × Zürich 1}]} {city#1061 [2] 3 [{Bern 3}]} {city#1648 [-1] 1 [{Zürich 1}]}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := (File{Rows: source.Binding{File: write(t, cities)}}).Names(t.Context(), parse(t, linear), 4); !errors.Is(err, ErrUse) {
		t.Error(err)
	}
}

func TestExplanationsNameBuckets(t *testing.T) {
	out := filepath.Join(t.TempDir(), "scores.csv")
	f := File{Rows: source.Binding{File: write(t, cities)}, Out: out, Keep: []string{"id"}, Explain: true}
	if _, err := f.Score(t.Context(), parse(t, hashed)); err != nil {
		t.Fatal(err)
	}
	rows := read(t, out, ',')
	want := "id encoded:city names:city encoded:land*city names:land*city probability logit logit:(intercept) logit:land logit:city logit:land*city"
	if got := strings.Join(rows[0], " "); got != want {
		t.Errorf("header %s", got)
	}
	for row, want := range map[int]string{
		1: "1|city#1061|Bern|land*city#1061|DE × Bern|3.25|0.5|0.25|2|0.5",
		3: "3|city#1648|Zürich|land*city#5744|CH × Zürich|3.25|0.5|0.75|-1|3",
		4: "4|city=other||land*city=other||2|0.5|0.25|0.25|1",
	} {
		if got := strings.Join(append(rows[row][:5:5], rows[row][6:]...), "|"); got != want {
			t.Errorf("row %d: %s, want %s", row, got, want)
		}
	}
	// Rows that can't be scored are all told, as without names.
	f.Rows.File = write(t, cities+"6,DE,\n7,DE,\n")
	var told *source.DataError
	if _, err := f.Score(t.Context(), parse(t, hashed)); !errors.As(err, &told) || len(told.Findings) != 2 || told.Findings[1].Row != 8 {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Score(ctx, parse(t, hashed)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A summary of few places keeps every value that has more than its share of the rows, whatever comes in between.
func TestFrequentValuesSurviveAStreamOfRareOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := summary{most: 8}
	const rows = 8000
	for i := range rows {
		switch k := r.IntN(10); {
		case k < 3:
			s.add("often")
		case k < 5:
			s.add("sometimes")
		default:
			s.add(fmt.Sprint("once ", i))
		}
	}
	names := s.names()
	if len(s.values) != 8 || len(names) != told || names[0].Value != "often" || !slices.ContainsFunc(names, func(n Name) bool { return n.Value == "sometimes" }) || names[0].Rows < rows/5 {
		t.Errorf("%+v", names)
	}
}

// A program that asks for an explanation is told the bucket, and a value that isn't text in UTF-8, or none, is refused by name.
func TestServedExplanationsTellBuckets(t *testing.T) {
	h := Handler(parse(t, hashed), []byte(hashed))
	code, got := post(t, h, nil, `{"row":{"land":"CH","city":" Zürich ","id":1},"explain":true}`)
	const want = `"logit":3.25,"intercept":0.5,"columns":[{"column":"land","logit":0.75},{"column":"city","encoded":"city#1648","logit":-1},{"column":"land*city","encoded":"land*city#5744","logit":3}]}}`
	if code != 200 || !strings.HasSuffix(got, want+"\n") {
		t.Errorf("%d %s", code, got)
	}
	for _, city := range []string{`null`, `"  "`, `8001`} {
		if code, got := post(t, h, nil, `{"row":{"land":"CH","city":`+city+`}}`); code != 422 && code != 400 || !strings.Contains(got, "city") {
			t.Errorf("%s: %d %s", city, code, got)
		}
	}
}

// Bucket 3 is 18..30 on a Monday.
const shifts = `{"format":"tributary-model","version":1,"type":"logistic_regression","l2":1,"intercept":0.5,"columns":[
{"name":"age<18","feature":"age","role":"bucket","bucket":{"to":18},"folded":false,"coefficient":1},
{"name":"18<=age<30","feature":"age","role":"bucket","bucket":{"from":18,"to":30},"folded":false,"coefficient":2},
{"name":"30<=age","feature":"age","role":"bucket","bucket":{"from":30},"folded":false,"coefficient":3},
{"name":"age=other","feature":"age","role":"other","range":{"min":0,"max":90},"nullable":true,"folded":false,"coefficient":4},
{"name":"at.year=2020","feature":"at.year","role":"value","value":"2020","folded":false,"coefficient":0},
{"name":"at.year=2021","feature":"at.year","role":"value","value":"2021","folded":false,"coefficient":0},
{"name":"at.year=other","feature":"at.year","role":"other","date":{"column":"at","part":"year","first":"2020-01-01","last":"2021-12-31"},"folded":false,"coefficient":0},
{"name":"age*at.year#","feature":"age*at.year","role":"buckets","folded":false,"buckets":{"count":8,"cross":["age","at.year"],"kept":[2,3,7],"coefficients":[10,20,30]}},
{"name":"age*at.year=other","feature":"age*at.year","role":"other","folded":false,"coefficient":40}],"training_rows":10,"train_rounds":1}`

// Cells of numbers and dates are named by their buckets and parts, not by the many values in them.
func TestCellsOfBucketsAndDatesAreNamed(t *testing.T) {
	m := parse(t, shifts)
	file := write(t, "id,age,at\n1,18,2021-05-03\n2,29.99,2021-12-31 23:59:59\n3,,2021-01-01\n4,30,2020-01-01\n5,-3,2021-01-01T00:30:00+01:00\n")
	named, err := File{Rows: source.Binding{File: file}}.Names(t.Context(), m, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(named), "[{age*at.year#7 [30] 1 [{(missing) × 2021 1}]} {age*at.year#3 [20] 2 [{18..30 × 2021 2}]} {age*at.year#2 [10] 0 []}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	out := filepath.Join(t.TempDir(), "scores.csv")
	if _, err := (File{Rows: source.Binding{File: file}, Out: out, Keep: []string{"id"}, Explain: true}).Score(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range read(t, out, ',') {
		got = append(got, strings.Join(append(row[:3:3], row[4:]...), "|"))
	}
	want := []string{
		"id|encoded:age*at.year|names:age*at.year|logit|logit:(intercept)|logit:age|logit:at.year|logit:age*at.year",
		"1|age*at.year#3|18..30 × 2021|22.5|0.5|2|0|20", "2|age*at.year#3|18..30 × 2021|22.5|0.5|2|0|20",
		"3|age*at.year#7|(missing) × 2021|34.5|0.5|4|0|30", "4|age*at.year=other||43.5|0.5|3|0|40", "5|age*at.year=other||41.5|0.5|1|0|40",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	// The same of a Parquet file, which has the cells of this one.
	asParquet, again := out+".parquet", out+".again.csv"
	if _, err := (File{Rows: source.Binding{File: file}, Out: asParquet}).Score(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := (File{Rows: source.Binding{File: asParquet}, Out: again, Keep: []string{"id"}, Explain: true}).Score(t.Context(), m); err != nil || !slices.Equal(texts(t, again), texts(t, out)) {
		t.Errorf("%q, of CSV %q: %v", texts(t, again), texts(t, out), err)
	}
	code, served := post(t, Handler(m, []byte(shifts)), nil, `{"row":{"age":18,"at":"2021-05-03"},"explain":true}`)
	if code != 200 || !strings.Contains(served, `{"column":"age*at.year","encoded":"age*at.year#3","logit":20}`) {
		t.Errorf("%d %s", code, served)
	}
	c, _, _ := dial(t, shifts)
	reply, err := pb.NewScoringClient(c).Score(t.Context(), &pb.ScoreRequest{Rows: []*pb.ScoreRow{cells(t, `{"age":18,"at":"2021-05-03"}`)}, Explain: true})
	if err != nil || reply.Results[0].Explanation.Columns[2].Encoded != "age*at.year#3" || reply.Results[0].Explanation.Logit != 22.5 {
		t.Errorf("%v %v", reply, err)
	}
}
