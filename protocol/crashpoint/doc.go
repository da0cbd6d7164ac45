// Package crashpoint lets the crash harness of deploy/e2e stop a process with SIGKILL at every place where durable state changes.
// Without the build tag `crashpoints` Here does nothing and no trace of it is in the binary, which a test checks.
package crashpoint
