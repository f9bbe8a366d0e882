// Package sketch counts in bounded memory with sketches that merge: HyperLogLog
// for distinct keys, Space-Saving for the top k keys (heavy hitters), DDSketch
// for quantiles, and exact counts of few keys.
//
// Each host can read its own logs: only the sketches travel, in their binary
// form, and are merged.
//
// # Quantiles of a latency
//
//	lat := sketch.NewQuantile()
//	for ms := 1.0; ms <= 1000; ms++ {
//		lat.Add(ms)
//	}
//	fmt.Printf("p99 %.0f of %d\n", lat.Value(0.99), lat.Count())
//
// # The most frequent keys of several hosts
//
//	total := sketch.NewTopK(100)
//	for _, b := range parts {
//		var host sketch.TopK
//		if err := host.UnmarshalBinary(b); err != nil {
//			return nil, err
//		}
//		if err := total.Merge(&host); err != nil {
//			return nil, err
//		}
//	}
//
// # The number of different keys
//
//	d := sketch.NewDistinct(0)
//	for i := range 1000 {
//		d.Add(fmt.Append(nil, "user-", i%100))
//	}
//	fmt.Println(d.Estimate())
//
// # Choosing values
//
//   - [Counts] is exact for the keys it has room for and sums up the others.
//   - [TopK] finds the frequent keys among any number of keys. A count is too
//     high by at most [Item].Err. Before a merge, every key with more than 1/k
//     of the total is held.
//   - [Distinct] is nearly exact up to about 1500 keys. Beyond that its
//     standard error is 0.8 %. If clients choose the keys, give all sketches
//     that are merged the same secret 64-bit key. The hash is not
//     cryptographic.
//   - [Quantile] is accurate to 1 % of the value.
//
// # Errors
//
// Merge returns [ErrMismatch] for sketches made with different values.
// UnmarshalBinary returns [ErrFormat] for anything but a sketch of its kind; it
// then leaves the receiver unchanged. It allocates in proportion to its input.
//
// # Concurrency and cost
//
// Sketches are not safe for concurrent use: make one per goroutine and merge
// them. A [Distinct] or a [Quantile] takes at most 16 KiB. Adding a known key
// does not allocate.
//
// Costs, binary forms and sources: docs/logscan.md.
package sketch
