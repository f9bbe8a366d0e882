// Package prometheus reports metrics of redoubt to Prometheus: circuit
// breakers, retries, rate limits, bulkheads, caches, audit logs and log scans.
//
//	reg.MustRegister(prometheus.NewCollector("payments", b))
//	policy.OnEvent = prometheus.OnEvent(reg, "payments", policy.OnEvent)
//	http.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
//
// [NewCollector] takes a snapshot at each scrape and costs nothing between
// scrapes. [OnEvent] adds metrics that a snapshot does not contain:
//
//   - retries, because a retry.Policy keeps no statistics;
//   - transitions of breakers, also of breakers in a Group;
//   - the waiting times of refused requests;
//   - changes of adaptive limits.
//
// The client library has the same package name. A program that imports both
// gives another name to this package, such as redoubtprom.
//
// # Metrics
//
// Names are redoubt_<package>_<thing>_<unit>, and end with _total for counters.
// The list is testdata/metrics.txt. dashboard.json shows all metrics in
// Grafana. Every metric exists from the start, with the value 0.
// redoubt_breaker_state has a value for each state: 1 for the present state, 0
// for every other state.
//
// The label name is an argument of the two functions. All other labels take
// their values from short lists in this package. No key, address or text of an
// error becomes a label, so the number of series is bounded. contrib/otel
// reports the same metrics to OpenTelemetry.
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
//     need different names.
//   - Unregister the collector before you drop its object. The collector keeps
//     the object alive.
//   - Buckets: histograms have fixed buckets from 1 ms to 5 min.
//
// # Errors
//
// No function returns an error. A programming mistake panics at the start.
//
// # Concurrency and cost
//
// All functions and hooks are safe for use by many goroutines. This package
// starts no goroutine. A scrape costs a call of Stats. A hook allocates nothing
// and makes two or three atomic additions. Calls that succeed at once cause no
// event.
//
// The names follow "Metric and label naming" of Prometheus, and "Prometheus and
// OpenMetrics Compatibility" of OpenTelemetry.
package prometheus
