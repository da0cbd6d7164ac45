// Package trial runs jobs on public data within one process, with the real noise of private ones, the real encryption and the real
// opening, and says how good their models are. Tests and measurements use it; a job of several machines has nothing to do with it.
package trial
