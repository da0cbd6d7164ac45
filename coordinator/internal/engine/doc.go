// Package engine is the coordinator at work: it runs every open job's round.Coordinator, persists what it decides and answers
// the services.
//
// One rule holds everywhere: an input's effects are stored, with their ledger entries, in one transaction, and only then is
// anything shown to anyone. If storing fails, the machine is thrown away and restored from the store. So a process that is
// killed at any point goes on from what participants may have seen.
package engine
