package trial

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tributary/models/dataset"
	"tributary/protocol/jobspec"
)

// ErrData: a data file isn't what it should be. That it is missing is fs.ErrNotExist.
var ErrData = errors.New("trial: unusable reference data")

// Data is a public data set as text, with its official test rows.
type Data struct {
	Name           string
	Columns        []string
	Rows           [][]string // as long as Columns
	Test           []bool     // by row
	Label, Yes, No string
	Classes        []string // of the label, in place of Yes and No
	Wide           float64  // how much wider than the data declared ranges are, as multiples of their bounds
	Range          *Range   // of a label that is a number, in place of Yes and No
	Numbers        []string // the other columns but the label are categories
}

// Range is that of a contract's number.
type Range struct{ Min, Max float64 }

const adultRows = 32561 + 16281

// Adult is the census data set "Adult" (Becker and Kohavi 1996, UCI), from adult/adult.data.gz and adult/adult.test.gz in a folder.
func Adult(folder string) (*Data, error) {
	d := &Data{Name: "adult", Label: "income", Yes: ">50K", No: "<=50K",
		Columns: strings.Fields("age workclass fnlwgt education education_num marital_status occupation relationship race sex capital_gain capital_loss hours_per_week native_country income"),
		Numbers: strings.Fields("age fnlwgt education_num capital_gain capital_loss hours_per_week")}
	for _, file := range []string{"adult/adult.data.gz", "adult/adult.test.gz"} {
		f, err := Open(folder, file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fields := strings.Split(lines.Text(), ", ")
			if len(fields) == len(d.Columns) {
				fields[14] = strings.TrimSuffix(fields[14], ".")
				d.Rows, d.Test = append(d.Rows, fields), append(d.Test, strings.HasSuffix(file, "test.gz"))
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrData, file, err)
		}
	}
	if len(d.Rows) != adultRows {
		return nil, fmt.Errorf("%w: adult has %d rows, not %d", ErrData, len(d.Rows), adultRows)
	}
	return d, nil
}

// Open opens a gzipped file of the reference data.
func Open(folder, name string) (io.ReadCloser, error) {
	f, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return nil, fmt.Errorf("the reference data are missing: %w", err)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: %s: %w", ErrData, name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// Contract declares ranges and values as the data have them; values are quoted, since YAML reads some of them as numbers.
func (d *Data) Contract() string {
	var b strings.Builder
	label := fmt.Sprintf("positive: %q, negative: %q", d.Yes, d.No)
	if d.Classes != nil {
		label = "classes: [" + quoted(d.Classes) + "]"
	}
	if r := d.Range; r != nil {
		label = fmt.Sprintf("type: number, min: %v, max: %v", r.Min, r.Max)
	}
	fmt.Fprintf(&b, "version: 1\nname: %s\nrevision: 1\nkey: row\nmax_rows: 100000\nlabel: {column: %s, %s}\ncolumns:\n", d.Name, d.Label, label)
	for c, column := range d.Columns {
		if column == d.Label {
			continue
		}
		if slices.Contains(d.Numbers, column) {
			low, high := math.Inf(1), math.Inf(-1)
			for _, row := range d.Rows {
				v, _ := strconv.ParseFloat(row[c], 64)
				low, high = min(low, v), max(high, v)
			}
			if d.Wide > 0 {
				low, high = low-d.Wide*max(-low, 0), high+d.Wide*max(high, 0)
			}
			fmt.Fprintf(&b, "  %s: {type: number, min: %v, max: %v, outside: reject}\n", column, low, high)
			continue
		}
		values := map[string]bool{}
		for _, row := range d.Rows {
			values[row[c]] = true
		}
		fmt.Fprintf(&b, "  %s: {type: category, values: [%s]}\n", column, quoted(slices.Sorted(maps.Keys(values))))
	}
	b.WriteString("  fold: {type: split, values: [train, test]}\n")
	return b.String()
}

func quoted(values []string) string {
	var out []string
	for _, v := range values {
		out = append(out, strconv.Quote(v))
	}
	return strings.Join(out, ", ")
}

// Categories are the columns that are neither numbers nor the label.
func (d *Data) Categories() []string {
	return slices.DeleteFunc(slices.Clone(d.Columns), func(c string) bool { return c == d.Label || slices.Contains(d.Numbers, c) })
}

// Deal deals all rows to n participants at random.
func (d *Data) Deal(n int, seed uint64) ([]*dataset.Table, error) {
	c, problems := jobspec.ParseContract([]byte(d.Contract()))
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	random := rand.New(rand.NewPCG(seed, 1))
	out := make([]*dataset.Table, n)
	for i := range out {
		out[i] = &dataset.Table{Classes: d.Classes}
		for _, name := range d.Columns {
			if name == d.Label {
				continue
			}
			column := dataset.Column{Name: name}
			if declared, ok := c.Column(name); ok && !slices.Contains(d.Numbers, name) {
				column.Values = declared.Values
			}
			out[i].Columns = append(out[i].Columns, column)
		}
	}
	for row := range d.Rows {
		if err := d.add(out[random.IntN(n)], row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (d *Data) add(to *dataset.Table, row int) error {
	to.Rows++
	to.HeldOut = append(to.HeldOut, d.Test[row])
	at := 0
	for i, name := range d.Columns {
		cell := d.Rows[row][i]
		if name == d.Label && d.Classes != nil {
			class := slices.Index(d.Classes, cell)
			if class < 0 {
				return fmt.Errorf("%w: row %d: no class %q", ErrData, row, cell)
			}
			to.Class = append(to.Class, int32(class))
			continue
		}
		if name == d.Label && d.Range != nil {
			y, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				return fmt.Errorf("%w: row %d, %s: %w", ErrData, row, name, err)
			}
			to.Target = append(to.Target, min(max(y, d.Range.Min), d.Range.Max)) // as a contract clips
			continue
		}
		if name == d.Label {
			to.Label = append(to.Label, cell == d.Yes)
			continue
		}
		column := &to.Columns[at]
		at++
		if !slices.Contains(d.Numbers, name) {
			column.Codes = append(column.Codes, int32(slices.Index(column.Values, cell)))
			continue
		}
		v, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			return fmt.Errorf("%w: row %d, %s: %w", ErrData, row, name, err)
		}
		column.Numbers = append(column.Numbers, v)
	}
	return nil
}
