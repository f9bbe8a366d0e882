// Package detect finds who does something too often: failed logins from one
// address, many user names tried by one host, a login that succeeds after many
// that failed.
//
//	w := detect.NewWindow[netip.Addr](detect.Config{Limit: 5, Per: 10 * time.Minute})
//	for _, e := range events {
//		if alert, ok := w.Observe(e.time, e.addr, 1, e.line); ok {
//			fmt.Println(alert)
//		}
//	}
//
// Time is that of the events, so that an old log gives the alerts it would have
// given. A detector holds at most MaxKeys keys, whoever chooses them, and on
// average 16 events of each. When it is full, the key whose last event came first is
// forgotten: a key stays known as long as fewer than MaxKeys others come between
// two of its events. An alert tells whether events may have been forgotten that
// would count; it never counts one that was not there.
//
// # Choosing values
//
// Limit is what is tolerated: with 5, the sixth event in Per is an alert. Window
// counts events exactly. Leak allows Limit at once and then Limit per Per,
// smoothly, and holds one event a key. Distinct counts different values, Sequence
// failures before a success. Attackers have whole networks of IPv6 addresses:
// use Network, with 64 bits, for the key. Who has MaxKeys addresses can make any
// key be forgotten, by using each of them between two attempts; choose MaxKeys
// by what memory allows.
//
// # Concurrency
//
// Detectors are not safe for concurrent use. Use a mutex, or several detectors
// and Shard, which tells which of them a key belongs to.
//
// # Cost
//
// An event takes about 130 ns and allocates only for a key, or an event of a key,
// for which there has never been room. A key takes about 135 bytes with an address for a
// key, and each further event that a window may need 16, at most three times Limit
// of them with the default MaxSkew; events of one time are one, except in Distinct.
// An event of a key with many takes longer, in proportion. Evidence takes what
// it is long: with the default of three pieces at most 900 bytes a key.
//
// # Composition
//
// SSHAuth, after logscan.Syslog in a logscan.Chain, finds who tried to log in,
// ParseAddr and Network make a key of it, Record.Weight says how many times, and
// Record.Line is the evidence. What Scanner.Redact takes away is in no alert.
package detect
