package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
)

const numbers = 24

// writeRows writes about so many bytes, and tells how many rows: a few thousand different ones again and again, each time under
// other keys.
func writeRows(file string, size int64, seed uint64) (int64, error) {
	r := rand.New(rand.NewPCG(7, seed))
	var rows [][]byte
	for range 5000 {
		var row []byte
		margin := -0.5
		for c := range numbers {
			v := max(-7.9, min(r.NormFloat64(), 7.9))
			row = strconv.AppendFloat(append(row, ','), v, 'g', 16, 64)
			margin += v * 0.3 / float64(c+1)
		}
		row = append(row, ","+[]string{"DE", "FR", "NL", "AT"}[r.IntN(4)]+","+[]string{"mobile", "desktop", ""}[r.IntN(3)]...)
		rows = append(rows, append(row, map[bool]string{true: ",yes\n", false: ",no\n"}[r.NormFloat64() < margin]...))
	}
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	w.WriteString("id")
	for c := range numbers {
		fmt.Fprintf(w, ",x%d", c)
	}
	w.WriteString(",country,device,churned\n")
	var key []byte
	n := int64(0)
	for written := int64(0); written < size; n++ {
		key = strconv.AppendInt(append(key[:0], "customer-"...), n, 10)
		row := rows[n%int64(len(rows))]
		w.Write(key)
		w.Write(row)
		written += int64(len(key) + len(row))
	}
	return n, errors.Join(w.Flush(), f.Close()) // a bufio.Writer keeps its first error for Flush
}

func contract() string {
	var b strings.Builder
	b.WriteString("version: 1\nname: wide\nrevision: 1\nkey: id\nmax_rows: 500000000\nlabel: {column: churned, positive: \"yes\", negative: \"no\"}\ncolumns:\n")
	for c := range numbers {
		fmt.Fprintf(&b, "  x%d: {type: number, min: -8, max: 8}\n", c)
	}
	b.WriteString("  country: {type: category, values: [DE, FR, NL], other: keep}\n  device: {type: category, values: [mobile, desktop], nullable: true}\n")
	return b.String()
}

var spec = func() string {
	var names []string
	for c := range numbers {
		names = append(names, fmt.Sprintf("x%d", c))
	}
	return fmt.Sprintf(`version: 1
name: memory
contract: wide@1
features:
  - {columns: [%s], transform: standardize}
  - {columns: [country, device], transform: one_hot}
model: {type: logistic_regression, l2: 1.0, solver: newton, max_rounds: 3}
evaluate: {holdout: 0.2, metrics: [auc, log_loss, accuracy]}
privacy: exact
run: {mode: sealed, participants: all, committee: {threshold: 3, of: 3}, round_timeout: 1h, expires: 24h}
`, strings.Join(names, ", "))
}()

const config = `policy: {contracts: [wide@1], privacy: [exact], modes: [sealed], min_cohort: 3, approve: automatic}
data:
  - {contract: wide@1, contract_file: wide.yaml, id: rows, source: {csv: rows.csv}}
`
