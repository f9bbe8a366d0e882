// Package keyed simulates floods of keys and bans against a ratelimit.Keyed, in
// virtual time, next to an exact map without a bound of its memory and an LRU
// map of limiters with the same number of keys.
//
//	go test -v ./ratelimit/sim/keyed             # a few seconds
//	go test -v ./ratelimit/sim/keyed -args -long # a few minutes
package keyed
