package main

import (
	"bufio"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"

	"tributary/models/dataset"
	"tributary/models/linear"
)

// write makes a file of little-endian numbers for peers.py.
func write(path string, fill func(put func(data []byte))) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	fill(func(data []byte) { w.Write(data) }) // Flush returns its error
	return w.Flush()
}

func writeNumbers(path string, values []float64) error {
	return write(path, func(put func([]byte)) {
		for _, v := range values {
			put(binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)))
		}
	})
}

// writeRows writes labels, and the columns and values that each row has.
func writeRows(dir string, d *linear.Design) error {
	if err := write(filepath.Join(dir, "labels"), func(put func([]byte)) {
		d.Each(false, func(label linear.Label, _ []int32, _ []float64) {
			if label.Positive {
				put([]byte{1})
			} else {
				put([]byte{0})
			}
		})
	}); err != nil {
		return err
	}
	var row []byte
	if err := write(filepath.Join(dir, "columns"), func(put func([]byte)) {
		d.Each(false, func(_ linear.Label, columns []int32, _ []float64) {
			row = row[:0]
			for _, c := range columns {
				row = binary.LittleEndian.AppendUint32(row, uint32(c))
			}
			put(row)
		})
	}); err != nil {
		return err
	}
	return write(filepath.Join(dir, "values"), func(put func([]byte)) {
		d.Each(false, func(_ linear.Label, _ []int32, values []float64) {
			row = row[:0]
			for _, v := range values {
				row = binary.LittleEndian.AppendUint64(row, math.Float64bits(v))
			}
			put(row)
		})
	})
}

// writePairs writes users and items of a table's rows.
func writePairs(dir string, t *dataset.Table) error {
	for name, numbers := range map[string][]int32{"users": t.User, "items": t.Columns[0].Codes} {
		if err := write(filepath.Join(dir, name), func(put func([]byte)) {
			for _, n := range numbers {
				put(binary.LittleEndian.AppendUint32(nil, uint32(n)))
			}
		}); err != nil {
			return err
		}
	}
	return nil
}
