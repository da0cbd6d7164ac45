package source

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"tributary/protocol/jobspec"
)

const purchasesContract = `
version: 1
name: purchases
revision: 1
key: customer_id
max_rows: 5000
columns:
  item:  {type: category, values: [A, B, C], other: keep, nullable: true}
  fold:  {type: split, values: [train, test]}
`

const purchases = `customer_id,item,fold
u1,A,train
u2,B,train
u1,A,test
u1,C,train
u3,X,train
u2,,test
`

func readPurchases(t *testing.T, text string) *Rows {
	t.Helper()
	c, problems := jobspec.ParseContract([]byte(purchasesContract))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	b := Binding{Contract: "purchases@1", ID: "purchases", File: write(t, "purchases.csv", []byte(text))}
	rows, err := Read(context.Background(), b, c, secret())
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestUsersAreNumberedByTheirKeys(t *testing.T) {
	rows := readPurchases(t, purchases)
	table, err := rows.PairTable(jobspec.Holdout{}, "item")
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Validate(); err != nil {
		t.Error(err)
	}
	equal(t, "users", table.User, []int32{0, 1, 0, 0, 2, 1})
	equal(t, "keys", rows.Users(), []string{"u1", "u2", "u3"})
	if table.Label != nil || table.HeldOut != nil || rows.Count() != 6 {
		t.Errorf("%+v", table)
	}
	split, err := rows.PairTable(jobspec.Holdout{Column: "fold", Equals: "test"}, "item")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "split", split.HeldOut, []bool{false, false, true, false, false, true})
}

// Tenths are of pairs: one user has items on both sides, all rows of a pair are on one, and the shares are as asked for.
func TestPairsAreHeldOut(t *testing.T) {
	var b strings.Builder
	b.WriteString("customer_id,item,fold\n")
	for u := range 500 {
		for _, item := range []string{"A", "B", "C", "A"} {
			b.WriteString("u" + string(rune('a'+u%26)) + strings.Repeat("x", u/26) + "," + item + ",train\n")
		}
	}
	rows := readPurchases(t, b.String())
	table, err := rows.PairTable(jobspec.Holdout{Tenths: 3}, "item")
	if err != nil {
		t.Fatal(err)
	}
	held, split := 0, 0
	for i := 0; i < table.Rows; i += 4 {
		h := table.HeldOut[i : i+4]
		if h[0] != h[3] {
			t.Fatal("rows of one pair on both sides")
		}
		for _, pair := range h[:3] {
			if pair {
				held++
			}
		}
		if h[0] != h[1] || h[1] != h[2] {
			split++
		}
	}
	// 1,500 pairs at 0.3: mean 450, deviation 18. The secret is fixed.
	if held < 380 || held > 520 || split < 200 {
		t.Errorf("%d of 1500 pairs held out, %d of 500 users on both sides", held, split)
	}
	if _, err := rows.PairTable(jobspec.Holdout{Tenths: 3}, "fold"); err == nil {
		t.Error("a split serves as items")
	}
	if _, err := mustRead(t, shopRows).PairTable(jobspec.Holdout{Tenths: 3}, "country"); err == nil {
		t.Error("a contract with a label serves as pairs")
	}
}

// The digest covers whose a row is.
func TestDigestCoversUsers(t *testing.T) {
	seen := map[[32]byte]string{}
	for name, text := range map[string]string{
		"base":         purchases,
		"another user": strings.Replace(purchases, "u1,C", "u2,C", 1),
		"new user":     strings.Replace(purchases, "u1,C", "u4,C", 1),
		"renamed user": strings.ReplaceAll(purchases, "u3", "u5"),
	} {
		d := readPurchases(t, text).Digest
		if other, same := seen[d]; same {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[d] = name
	}
}

// The folds of a cross-validated recommender hold each pair out once, as those of other models do each row.
func TestFoldsOfPairsHoldEachOutOnce(t *testing.T) {
	var text strings.Builder
	text.WriteString("customer_id,item,fold\n")
	for i := range 300 {
		text.WriteString("u" + strconv.Itoa(i) + "," + string(rune('A'+i%3)) + ",train\n")
	}
	rows := readPurchases(t, text.String())
	held := make([]int, rows.Count())
	for from := 0; from < 10; from += 2 {
		table, err := rows.PairTable(jobspec.Holdout{Tenths: 2, From: from}, "item")
		if err != nil {
			t.Fatal(err)
		}
		for i := range held {
			if table.Held(i) {
				held[i]++
			}
		}
	}
	for i, n := range held {
		if n != 1 {
			t.Fatalf("row %d is held out in %d of 5 folds", i, n)
		}
	}
}
