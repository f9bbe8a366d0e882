// Package cache compares redoubt's cache with other caches for Go, and checks recorded histories of it for
// linearizability. It holds nothing but tests and benchmarks.
//
// BenchmarkHitRatio always runs the traces that it generates. The environment variable REDOUBT_TRACES may name a folder with
// recorded ones, to be run too: files named *.u64.gz, each a sequence of little-endian uint64 keys, one per request.
package cache
