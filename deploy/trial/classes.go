package trial

import (
	"encoding/csv"
	"fmt"
	"slices"
)

// Letter is the data set "Letter Recognition" (Slate 1991, UCI), from multinomial/letter_recognition.csv.gz: 26 classes, the first
// 16,000 rows for training.
func Letter(folder string) (*Data, error) {
	return classes(folder, "letter", "multinomial/letter_recognition.csv.gz", "lettr", 20_000, 16_000)
}

// Shuttle is the data set "Statlog (Shuttle)" (UCI), from multinomial/shuttle.csv.gz: 7 classes, the first 43,500 rows for training.
func Shuttle(folder string) (*Data, error) {
	return classes(folder, "shuttle", "multinomial/shuttle.csv.gz", "Class", 58_000, 43_500)
}

// classes reads a table of numbers and one label, whose values are its classes in order.
func classes(folder, name, file, label string, rows, train int) (*Data, error) {
	f, err := Open(folder, file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrData, file, err)
	}
	if len(records) != rows+1 || !slices.Contains(records[0], label) {
		return nil, fmt.Errorf("%w: %s has %d rows, not %d, or no column %s", ErrData, file, len(records)-1, rows, label)
	}
	d := &Data{Name: name, Columns: records[0], Rows: records[1:], Label: label}
	at := slices.Index(d.Columns, label)
	for i, row := range d.Rows {
		d.Test = append(d.Test, i >= train)
		if !slices.Contains(d.Classes, row[at]) {
			d.Classes = append(d.Classes, row[at])
		}
	}
	slices.Sort(d.Classes)
	d.Numbers = slices.DeleteFunc(slices.Clone(d.Columns), func(c string) bool { return c == label })
	return d, nil
}
