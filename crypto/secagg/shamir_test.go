package secagg

import (
	"crypto/rand"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func dealt(t tb, threshold, m int) (key [ringDegree]int64, p points) {
	t.Helper()
	if err := sampleKey(&key, rand.Reader); err != nil {
		t.Fatalf("sampleKey: %v", err)
	}
	coins, err := freshCoins(rand.Reader)
	if err != nil {
		t.Fatalf("freshCoins: %v", err)
	}
	for i, v := range shareKey(&key, threshold, m, coins) {
		p.xs, p.ys = append(p.xs, uint64(i+1)), append(p.ys, v)
	}
	return key, p
}

func keyOf(t tb, p points) (key [ringDegree]int64) {
	t.Helper()
	if _, ok := p.interpolate().centred(MaxContributors*noiseBound, &key); !ok {
		t.Fatalf("the key is out of range")
	}
	return key
}

func TestAnyThresholdOfSharesGivesTheKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.IntRange(1, 12).Draw(t, "m")
		threshold := rapid.IntRange(1, m).Draw(t, "t")
		key, p := dealt(t, threshold, m)
		rows := rapid.Permutation(upTo(m)).Draw(t, "rows")[:threshold]
		for i := range rows {
			rows[i]--
		}
		if keyOf(t, p.take(rows)) != key {
			t.Fatalf("shares %v of %d don't give the key", rows, m)
		}
	})
}

// For each value of one key coefficient there is exactly one polynomial through
// any t−1 shares: here through the share at 1 of a 2-of-m sharing. Over many
// sharings of one key the share takes many values.
func TestSharesBelowThresholdVaryFreely(t *testing.T) {
	var key [ringDegree]int64 // all zero
	coins, err := freshCoins(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint32]bool{}
	for _, v := range shareKey(&key, 2, 1, coins)[0] {
		seen[v] = true
	}
	// 4,096 uniform draws of 65,537 leave about 3,970 distinct values, standard
	// deviation 11; below 3,800 with probability under 10⁻⁶.
	if len(seen) < 3800 {
		t.Fatalf("4,096 shares of 0 take %d values", len(seen))
	}
}

func TestSharesOfSumsAreSumsOfShares(t *testing.T) {
	k1, a := dealt(t, 3, 5)
	k2, b := dealt(t, 3, 5)
	for i := range a.ys {
		a.ys[i].add(b.ys[i])
	}
	got := keyOf(t, a.take([]int{4, 1, 2}))
	for i := range got {
		if got[i] != k1[i]+k2[i] {
			t.Fatalf("coefficient %d: %d, want %d", i, got[i], k1[i]+k2[i])
		}
	}
}

func TestKeySumOfTheLargestCohortKeepsItsSign(t *testing.T) {
	var v vector
	top := int64(19 * MaxContributors)
	v[0], v[1] = uint32(top), uint32(fieldPrime-top)
	var key [ringDegree]int64
	if largest, ok := v.centred(20*MaxContributors, &key); !ok || largest != top || key[0] != top || key[1] != -top {
		t.Fatalf("got %d %d, largest %d", key[0], key[1], largest)
	}
	if _, ok := v.centred(top-1, &key); ok {
		t.Fatal("a key beyond the limit was accepted")
	}
}

// Errors of every weight up to ⌊(r−t)/2⌋, in a few columns or in all, on other
// columns for each row.
func TestReedSolomonFindsWrongRowsUpToHalfTheDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.IntRange(1, 16).Draw(t, "m")
		threshold := rapid.IntRange(1, m).Draw(t, "t")
		key, p := dealt(t, threshold, m)
		wrong := rapid.IntRange(0, (m-threshold)/2).Draw(t, "wrong")
		rows := rapid.Permutation(upTo(m)).Draw(t, "rows")[:wrong]
		for _, row := range rows {
			for range rapid.IntRange(1, 5).Draw(t, "columns") {
				c := rapid.IntRange(0, ringDegree-1).Draw(t, "column")
				p.ys[row-1][c] = (p.ys[row-1][c] + 1) % fieldPrime
			}
		}
		good, found, ok := p.correct(threshold)
		if !ok || found != wrong {
			t.Fatalf("%d of %d, rows %v wrong: ok=%v, %d found", threshold, m, rows, ok, found)
		}
		for _, row := range rows {
			if slices.Contains(good.xs, uint64(row)) {
				t.Fatalf("wrong row %d was kept", row)
			}
		}
		if keyOf(t, good) != key {
			t.Fatalf("the corrected key is wrong")
		}
		if off, _ := p.offPolynomial(good); len(off) != wrong {
			t.Fatalf("rows %v are off the polynomials, want %v", off, rows)
		}
	})
}

// Beyond half the distance a decoder may fail or find another codeword; it must
// do neither more nor worse.
func TestReedSolomonBeyondHalfTheDistanceFailsOrGivesACodeword(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.IntRange(2, 12).Draw(t, "m")
		threshold := rapid.IntRange(1, m-1).Draw(t, "t")
		_, p := dealt(t, threshold, m)
		for row := range rapid.IntRange((m-threshold)/2+1, m).Draw(t, "wrong") {
			c := rapid.IntRange(0, 3).Draw(t, "column")
			p.ys[row][c] = rapid.Uint32Range(0, fieldPrime-1).Draw(t, "value")
		}
		good, wrong, ok := p.correct(threshold)
		if !ok {
			return
		}
		if off, _ := p.offPolynomial(good); len(off) != wrong || wrong > (m-threshold)/2 {
			t.Fatalf("%d rows are off the codeword, %d said", len(off), wrong)
		}
	})
}
