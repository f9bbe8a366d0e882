package metrics

import "github.com/redoubt-go/redoubt/breaker"

// SumOf returns the statistics of a key whose breaker replaced another.
func SumOf(past, now breaker.Stats) breaker.Stats {
	k := keyBreaker{past: past}
	return k.sums(now)
}
