// Package detect finds brute-force logins and other excess in logs: sliding
// windows, leaky buckets, distinct counts and sequences, per key and in bounded
// memory.
//
//	c := detect.Config{Limit: 5, Per: 10 * time.Minute}
//	w := detect.NewWindow[netip.Addr](c)
//	for _, e := range events {
//		if alert, ok := w.Observe(e.time, e.addr, 1, e.line); ok {
//			fmt.Println(alert)
//		}
//	}
//
// A detector uses the times of the events and not the clock, so an old log
// raises the same alerts as a growing log. It never counts an event that did
// not occur. If it may have forgotten events that count, the alert is not
// Exact.
//
// # Failed logins of an sshd
//
// [SSHAuth] reads the messages of OpenSSH, and [Network] makes a key of an
// address.
//
//	addr, ok := detect.ParseAddr(rec.Get("addr"))
//	if !ok || !rec.Is("outcome", "failed") {
//		continue
//	}
//	network := detect.Network(addr, 32, 64)
//	alert, ok := w.Observe(rec.Time(), network, rec.Weight(), rec.Line)
//	if ok {
//		fmt.Println(alert)
//	}
//
// # Many user names from an address
//
//	if a, ok := d.Observe(noon, "203.0.113.9", []byte(user)); ok {
//		fmt.Println(a.Key, a.Count)
//	}
//
// # A success after many failures
//
//	s.Fail(noon, "203.0.113.9", 3)
//	a, ok := s.Succeed(noon.Add(time.Minute), "203.0.113.9")
//
// # Continue after a restart
//
// A snapshot contains the state of a detector. It can be restored in another
// process, into a detector with the same [Config]:
//
//	b, err := w.MarshalBinary()
//
// In the other process:
//
//	w2 := detect.NewWindow[netip.Addr](c)
//	err = w2.UnmarshalBinary(b)
//
// # Choosing values
//
//   - Detector: [Window] counts events exactly. [Leak] allows Limit events at
//     once and then Limit per Per, and holds one event per key. [Distinct]
//     counts different values. [Sequence] counts failures before a success.
//   - Limit: the number that you tolerate. With 5, the sixth event in Per is an
//     alert.
//   - Key: an attacker has a whole network of IPv6 addresses, so use [Network]
//     with 64 bits.
//   - MaxKeys: as large as memory allows, about 135 bytes per address, and 128
//     more once all keys have recent events. From then on a new key gets a
//     place at its third event, so that keys with one event displace no other.
//     Such an alert is not Exact.
//
// # Errors
//
// The constructors panic with the error of [Config.Validate]. Errors of
// [SSHAuth] match logscan.ErrMalformed. Bytes that are not a snapshot are
// [ErrSnapshot].
//
// # Concurrency and cost
//
// Detectors are not safe for concurrent use: use a mutex, or several detectors
// and [Shard]. An event takes about 130 ns and, for a known key, no allocation.
//
// Costs and sources: docs/logscan.md.
package detect
