// Package otel reports metrics of redoubt to OpenTelemetry: circuit breakers,
// retries, rate limits, bulkheads, caches, audit logs and log scans.
//
//	meter := provider.Meter("example.com/shop")
//	if _, err := otel.Observe(meter, "payments", b); err != nil {
//		return err
//	}
//	policy.OnEvent, err = otel.OnEvent(meter, "payments", policy.OnEvent)
//
// [Observe] takes a snapshot at each collection and costs nothing between
// collections. [OnEvent] adds metrics that a snapshot does not contain:
//
//   - retries, because a retry.Policy keeps no statistics;
//   - transitions of breakers, also of breakers in a Group;
//   - the waiting times of refused requests;
//   - changes of adaptive limits.
//
// # Metrics
//
// Names are redoubt.<package>.<thing>. Units are UCUM: s, By, or the counted
// thing in braces. The list is testdata/metrics.txt. All metrics except
// histograms exist from the start, with the value 0. redoubt.breaker.state has
// a value for each state: 1 for the present state, 0 for every other state.
//
// The attribute name is an argument of the two functions. All other attributes
// take their values from short lists in this package. No key, address or text
// of an error becomes an attribute, so the number of series is bounded.
// contrib/prometheus reports the same metrics to Prometheus.
//
// These objects have no metrics:
//
//   - package semver, which does nothing over time;
//   - events of a cache, because its statistics count every departure;
//   - events of an audit log, which are the content of the log;
//   - detectors of logscan/detect, which belong to one goroutine.
//
// A Limiter counts nothing. It reports its tokens.
//
// # Choosing values
//
//   - name: a word of the program, never of its input. Objects of the same type
//     need different names, because the SDK does not define the sum.
//   - Unregister the result of Observe before you drop the object. The
//     registration keeps the object alive.
//   - Buckets: a View of the SDK can replace the buckets of a histogram.
//
// # Errors
//
// Both functions return the errors of the meter. Observe also returns an error
// for a type that it does not know. All are programming mistakes.
//
// # Concurrency and cost
//
// All functions and hooks are safe for use by many goroutines. This package
// starts no goroutine. A collection costs a call of Stats. A hook allocates
// nothing and updates two or three instruments. Calls that succeed at once
// cause no event.
//
// The names follow the conventions of the OpenTelemetry specification 1.x.
package otel
