// Package detect finds who does something too often: failed logins from one
// address, many user names tried by one host, a login that succeeds after many
// that failed.
//
//	w := detect.NewWindow[netip.Addr](detect.Config{Limit: 5, Per: 10 * time.Minute})
//	for _, e := range events {
//		if alert, ok := w.Observe(e.time, e.addr, 1); ok {
//			fmt.Println(alert.Key, alert.Count)
//		}
//	}
//
// Time is that of the events, so that an old log gives the alerts it would have
// given. A detector holds at most MaxKeys keys, whoever chooses them. When it is
// full, the key whose last event came first is forgotten: a key stays known as
// long as fewer than MaxKeys others come between two of its events. An alert
// tells whether events may have been forgotten that would count.
//
// # Choosing values
//
// Limit is what is tolerated: with 5, the sixth event in Per is an alert. Window
// counts events exactly. Leak allows Limit at once and then Limit per Per,
// smoothly, in eight bytes a key. Distinct counts different values, Sequence
// failures before a success. Attackers have whole networks of IPv6 addresses:
// use Network, with 64 bits, for the key.
//
// # Concurrency
//
// Detectors are not safe for concurrent use. Shard the keys, or use a mutex.
//
// # Cost
//
// An event takes about 300 ns and allocates only when it is the first of its key
// or one more of a key than ever before. A key with one event takes about 260
// bytes with an address for a key; each further event that a window may need 16
// bytes, at most three times Limit of them with the default MaxSkew.
package detect
