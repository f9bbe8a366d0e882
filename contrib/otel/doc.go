// Package otel reports the statistics and events of redoubt's guards, caches, logs and scans by OpenTelemetry.
//
//	meter := provider.Meter("example.com/shop")
//	if _, err := otel.Observe(meter, "payments", b); err != nil { // a breaker, a cache, a limiter ...
//		return err
//	}
//	policy.OnEvent, err = otel.OnEvent(meter, "payments", policy.OnEvent)
//
// [Observe] asks for a snapshot with each collection and costs nothing between them. [OnEvent] adds what snapshots do not
// tell: retries, which keep no statistics, transitions of breakers, also of those in a Group, how long refused requests are
// told to wait, and adaptive limits as they change.
//
// # Metrics
//
// Names are redoubt.<package>.<thing>, units are UCUM: s, By, and in braces what is counted. The list is testdata/metrics.txt.
// All but the histograms are there from the start, with zeros; of redoubt.breaker.state there is one for each state, 1 for the present one
// and 0 for the others. The attribute name is the one given here. All other attributes take their values from short lists
// in this package: no key, address or text of an error becomes one, so that the number of series is bounded.
// contrib/prometheus has the same metrics under the names that Prometheus gives them.
//
// Not reported are a semver, which does nothing over time; the events of a cache, whose statistics count what leaves, and
// of an audit log, which are its content; and the counts of logscan/detect, whose detectors belong to one goroutine.
// A Limiter counts nothing: it reports the tokens it has.
//
// # Choosing values
//
// The name should be a word of the program, never of its input, and differ among things of one type: what the
// SDK makes of two values with one name is not defined. Unregister what Observe returned before what it is about is dropped; until then it is kept.
// Histograms have the buckets that this package advises; a View of the SDK can change them.
//
// # Errors
//
// Those of the meter, which tell of mistakes in the program; and that x is nothing this package knows.
//
// # Concurrency
//
// Both functions, and the hooks, may be called by many goroutines. No goroutine is started.
//
// # Cost
//
// A snapshot costs what Stats costs. A hook allocates nothing, and adds two or three updates of instruments to an event;
// calls that succeed at once make no event.
//
// # Source
//
// The OpenTelemetry specification 1.x: metrics API, naming and units; the metric k8s.node.condition.status for states.
package otel
