// Package cache compares the hit ratios of the cache with other caches, checks
// recorded histories of it for linearizability, and plays outages with the
// guards of this library in the loader.
//
// BenchmarkHitRatio always replays the traces that it generates. The
// environment variable REDOUBT_TRACES may name a folder with recorded traces:
// files named *.u64.gz, each a sequence of little-endian uint64 keys, one for
// each request.
package cache
