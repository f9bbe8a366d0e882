// Package audit compares the speed of redoubt/audit and of its ledger with
// other libraries.
package audit
