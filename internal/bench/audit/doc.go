// Package audit compares redoubt/audit and its ledger with their peers, and checks
// that other implementations read what the ledger writes, and it what they write.
package audit
