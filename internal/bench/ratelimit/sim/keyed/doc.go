// Package keyed simulates floods of keys and bans against a ratelimit.Keyed, in
// virtual time, next to an exact map without a bound of its memory and an LRU
// map of limiters with the same number of keys.
//
//	go test -v ./ratelimit/sim/keyed                         # seconds
//	go test -v ./ratelimit/sim/keyed -args -long -size 1024  # a minute
//
// The size is MaxKeys, from 256 to 65536. The exact map takes 400 bytes a key
// of the flood. So floods of more than 1e6 keys are left out.
package keyed
