package trial

import (
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"tributary/crypto/dp/accountant"
	"tributary/models/dataset"
	"tributary/models/linear"
)

// generated is a small data set whose label follows both of its columns.
func generated(rows int) *Data {
	d := &Data{Name: "generated", Columns: []string{"x", "group", "y"}, Label: "y", Yes: "yes", No: "no", Numbers: []string{"x"}}
	random := rand.New(rand.NewPCG(3, 4))
	for i := range rows {
		x, group, y := 2*random.Float64()-1, random.IntN(2), "no"
		if x+float64(group)-0.5+random.NormFloat64()/2 > 0 {
			y = "yes"
		}
		d.Rows, d.Test = append(d.Rows, []string{strconv.FormatFloat(x, 'f', 4, 64), "g" + strconv.Itoa(group), y}), append(d.Test, i%3 == 0)
	}
	return d
}

func TestEveryRowIsDealtOnceAndTheSameWayBySeed(t *testing.T) {
	d := generated(500)
	first, err := d.Deal(7, 1)
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.Deal(7, 1)
	if err != nil {
		t.Fatal(err)
	}
	rows, positives, heldOut, total, codes := 0, 0, 0, 0.0, 0
	for i, table := range first {
		x, group := &table.Columns[0], &table.Columns[1]
		if table.Rows != again[i].Rows || table.Rows != len(table.Label) || table.Rows != len(x.Numbers) || table.Rows != len(group.Codes) || x.Values != nil || len(group.Values) != 2 {
			t.Fatalf("table %d: %d rows, then %d; columns %+v", i, table.Rows, again[i].Rows, table.Columns)
		}
		rows += table.Rows
		for r := range table.Rows {
			total += x.Numbers[r]
			codes += int(group.Codes[r])
			if table.Label[r] {
				positives++
			}
			if table.HeldOut[r] {
				heldOut++
			}
		}
	}
	wantTotal, wantCodes, wantPositives := 0.0, 0, 0
	for _, row := range d.Rows {
		v, _ := strconv.ParseFloat(row[0], 64)
		wantTotal += v
		if row[1] == "g1" {
			wantCodes++
		}
		if row[2] == "yes" {
			wantPositives++
		}
	}
	if rows != 500 || heldOut != 167 || positives != wantPositives || codes != wantCodes || math.Abs(total-wantTotal) > 1e-9 {
		t.Errorf("%d rows, %d held out, %d positive, codes %d, sum %v; want %d, %d, %v", rows, heldOut, positives, codes, total, wantPositives, wantCodes, wantTotal)
	}
	d.Rows[3][0] = "a lot"
	if _, err := d.Deal(7, 1); !errors.Is(err, ErrData) {
		t.Error(err)
	}
}

func TestAJobCostsNoMoreThanItAsksAndFindsASignal(t *testing.T) {
	d := generated(6000)
	r, err := d.Resolve("3")
	if err != nil {
		t.Fatal(err)
	}
	cost, err := CostOf(r)
	if err != nil || cost.Epsilon > 3 || cost.Epsilon < 2 || cost.Rounds < 3 {
		t.Errorf("%+v %v", cost, err)
	}
	// Forty runs, each with fresh noise, gave 0.9066 to 0.9068.
	if q, err := d.Run(t.Context(), r, 1); err != nil || q.AUC < 0.85 || q.AUC > 1 {
		t.Errorf("%+v %v", q, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Run(ctx, r, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := d.Resolve("none"); err == nil {
		t.Error("an ε that is no number resolves")
	}
}

func TestAUCIsTheShareOfPairsInTheRightOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var scores []float64
	table := &dataset.Table{Rows: 200}
	for range 200 {
		y := random.IntN(3) == 0
		score := float64(random.IntN(20)) // with ties
		if y {
			score += 5
		}
		scores, table.Label, table.HeldOut = append(scores, score), append(table.Label, y), append(table.HeldOut, random.IntN(2) == 0)
	}
	right, pairs := 0.0, 0.0
	for i := range scores {
		for j := range scores {
			if table.HeldOut[i] && table.HeldOut[j] && table.Label[i] && !table.Label[j] {
				pairs++
				switch {
				case scores[i] > scores[j]:
					right++
				case scores[i] == scores[j]:
					right += 0.5
				}
			}
		}
	}
	if got := exactAUC(scores, table); math.Abs(got-right/pairs) > 1e-12 {
		t.Errorf("AUC %v, want %v", got, right/pairs)
	}
}

func TestMissingAndShortenedFilesAreDistinguished(t *testing.T) {
	dir := t.TempDir()
	if _, err := Adult(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "adult"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, whole bool) {
		f, err := os.Create(filepath.Join(dir, "adult", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if !whole {
			f.WriteString("no gzip")
			return
		}
		z := gzip.NewWriter(f)
		z.Write([]byte("39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, 2174, 0, 40, United-States, <=50K\n"))
		z.Close()
	}
	for _, whole := range []bool{false, true} {
		write("adult.data.gz", whole)
		write("adult.test.gz", whole)
		if _, err := Adult(dir); !errors.Is(err, ErrData) || errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
}

// DP-SGD trains through the same sealed rounds, and its samples' charges stay within ε.
func TestSampledJobFindsASignal(t *testing.T) {
	d := generated(6000)
	r, err := d.Resolve("3", "solver: dp_gradient_descent", `solver: dp_sgd, max_rounds: 20, sampling: {rate: "0.3", learning_rate: 8}`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := d.Deal(Participants, 1)
	if err != nil {
		t.Fatal(err)
	}
	report, err := accountant.Epsilon(r.Releases(), delta)
	if err != nil || report.Epsilon > 3 || report.Epsilon < 1 {
		t.Errorf("ε = %g of 3: %v", report.Epsilon, err)
	}
	p, s, err := Train(t.Context(), r, tables)
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.Deal(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	scores, err := linear.Score(p, s, all[0])
	if err != nil {
		t.Fatal(err)
	}
	// Newton's method without noise gives 0.907.
	if got := exactAUC(scores, all[0]); got < 0.85 || got > 1 {
		t.Errorf("AUC %.4f", got)
	}
}
