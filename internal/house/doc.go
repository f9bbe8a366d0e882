// Package house contains the rules of this repository that a program can check.
//
// Each file contains the rules of one subject, and the test beside it breaks
// each rule once in a small tree of its own. The root test TestHouse checks the
// repository:
//
//	go test -run TestHouse .
//	go test -run TestHouse . -update    rewrites testdata/api
//	go test -run TestHouse . -ceilings  lowers the ceilings
package house
