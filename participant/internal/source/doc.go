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
// Errors are for the operator at the organisation's own terminal: they name the
// file, the row as a person counts it (the header is row 1), the column, and may
// show the value. They must not be sent to anyone.
package source
