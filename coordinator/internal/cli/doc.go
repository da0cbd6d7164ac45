// Package cli is the coordinator's command line: init and serve for whoever runs the coordinator, the rest for data scientists and
// operators, who reach it over the network with the certificate that login stored.
//
// Every command prints text for people, or with --output json one JSON document (job watch: one a line) for programs, errors
// included. Exit codes: 0 ok, 1 internal, 2 usage or invalid input, 3 refused, 4 run aborted or expired, 5 unreachable,
// 6 unauthorised, 130 interrupted. job watch also exits with 3 when the job was cancelled.
package cli
