// Package audit compares redoubt/audit and its ledger with other libraries, and
// checks that they read the ledger's checkpoints and proofs.
package audit
