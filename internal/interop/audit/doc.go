// Package audit tests that other implementations read the checkpoints and
// proofs of the ledger, and that the ledger reads theirs.
package audit
