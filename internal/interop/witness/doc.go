// Package witness tests the checkpoints, cosignatures and tiles of a ledger
// with other implementations: golang.org/x/mod, torchwood with its witness, and
// Tessera.
package witness
