// Package source reads an organisation's own table and maps it to a contract:
// names, values, ranges and folds. What it returns stays with the participant.
//
// A file of transactions becomes rows of customers first, where the binding says
// so: see Customers.
//
// Read freezes the rows in the order of the file and takes their digest; the
// digest covers every mapped value and each row's folds, and not which of them a
// job holds out. Rows.Table then makes one job's table.
//
// Text is parsed once. Where Options.Dir says so, columns are written to disk as they
// are read, and mapped: see package spill. What stays in memory doesn't grow with the
// rows then, but with customers, where rows are made of transactions, and with users,
// where a contract has no label or a job asks whose the rows are.
//
// Errors are for the operator at the organisation's own terminal: they name the
// file, the row as a person counts it (the header is row 1), the column, and may
// show the value. They must not be sent to anyone.
package source
