// Package redoubtotel reports metrics and span events of redoubt to
// OpenTelemetry: circuit breakers, retries, rate limits, bulkheads, caches,
// audit logs and log scans.
//
// The first questions of an incident are which dependency is down, and whether
// the retries make it worse. The answers are in the statistics and events of
// the guards. This package exports both. It uses the API of OpenTelemetry only,
// so the program chooses the SDK.
//
// # Report statistics
//
// An [Exporter] takes a snapshot of each object at each collection, and costs
// nothing between collections:
//
//	if _, err := redoubtotel.New(meter).Observe("payments", b); err != nil {
//		return err
//	}
//
// # Count and measure events
//
// [Hooks] add the metrics that a snapshot does not contain: retries, because a
// retry.Policy keeps no statistics; transitions of breakers; the waiting times
// of refused requests; changes of adaptive limits.
//
//	config := redoubtotel.HooksConfig{Name: "payments"}
//	hooks, err := redoubtotel.NewHooks(meter, config)
//	if err != nil {
//		return err
//	}
//	policy.OnEvent = hooks.Retry(nil)
//
// # Show the guards in traces
//
// [SpanEvents] adds retries, hedges, transitions and refusals to the span of
// the call. It is a hook, and also an argument of the methods of [Hooks].
//
//	policy.OnEvent = redoubtotel.SpanEvents
//
// # Metrics
//
// Names are redoubt.<package>.<thing>. Units are UCUM: s, By, or the counted
// thing in braces. Instruments of counts are of integers. The list is
// testdata/metrics.txt. All counters and gauges exist from the start, with the
// value 0, except series under attributes of [HooksConfig].Keys. Series of a
// Hooks and histograms begin with their first event.
//
// redoubt.breaker.state has a value for each state: 1 for the present state, 0
// for every other state.
//
// The attribute redoubt.name is an argument. All other attributes take their
// values from short lists, in this package or in the program. No key, address
// or text of an error becomes an attribute of a metric unless it is listed, so
// the number of series is bounded. contrib/prometheus reports the same metrics
// to Prometheus.
//
// These objects have no metrics:
//
//   - package semver, which does nothing over time;
//   - events of a cache, because its statistics count every departure;
//   - events of an audit log, which are the content of the log.
//
// # Choosing values
//
//   - Names: a word of the program, never of its input. Objects of the same
//     package need different names.
//   - Replacement: call Observe with the new object and the same name. Its
//     counters go on, so that no monotonic sum falls.
//   - Removal: call the function that Observe has returned before you drop the
//     object. The exporter keeps the object alive. OpenTelemetry cannot remove
//     the series of a Hooks: use a Hooks for as long as the program runs.
//   - Number: the SDK keeps 2000 attribute sets of a metric by default. So let
//     a Group report its sums instead of thousands of breakers.
//   - Buckets: a View of the SDK can replace the buckets of a histogram.
//
// # Errors
//
// All errors are programming mistakes, or errors of the meter.
//
// # Concurrency and cost
//
// All functions and hooks are safe for use by many goroutines. This package
// starts no goroutine. A collection costs a call of Stats for each object. A
// hook allocates nothing and updates two or three instruments. Calls that
// succeed at once cause no event.
//
// The names follow the conventions of the OpenTelemetry specification 1.x.
package redoubtotel
