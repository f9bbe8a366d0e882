// Package prometheus reports the statistics and events of redoubt's guards, caches, logs and scans to Prometheus.
//
//	reg.MustRegister(prometheus.NewCollector("payments", b)) // a breaker, a cache, a limiter ...
//	policy.OnEvent = prometheus.OnEvent(reg, "payments", policy.OnEvent)
//	http.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
//
// [NewCollector] asks for a snapshot with each scrape and costs nothing between them. [OnEvent] adds what snapshots do not
// tell: retries, which keep no statistics, transitions of breakers, also of those in a Group, how long refused requests are
// told to wait, and adaptive limits as they change. A program that uses the client library too imports this one by another
// name, such as redoubtprom.
//
// # Metrics
//
// Names are redoubt_<package>_<thing>_<unit>, with _total for counters. The list is testdata/metrics.txt, and dashboard.json
// shows all of them in Grafana. Every value is there from the start, with zero; of redoubt_breaker_state there is one for
// each state, 1 for the present one and 0 for the others. The label name is the one given here. All other labels take their
// values from short lists in this package: no key, address or text of an error becomes one, so that the number of series is
// bounded. contrib/otel has the same metrics under the names of OpenTelemetry.
//
// Not reported are a semver, which does nothing over time; the events of a cache, whose statistics count what leaves, and
// of an audit log, which are its content; and the counts of logscan/detect, whose detectors belong to one goroutine.
// A Limiter counts nothing: it reports the tokens it has.
//
// # Choosing values
//
// The name should be a word of the program, never of its input, and differ among things of one type. Unregister the collector
// of what is dropped; until then it is kept. Histograms have buckets from 1 ms to 5 min.
//
// # Errors
//
// None are returned: what can go wrong is a mistake in the program, and panics when it starts.
//
// # Concurrency
//
// All may be called by many goroutines. No goroutine is started.
//
// # Cost
//
// A scrape costs what Stats costs. A hook allocates nothing, and adds two or three atomic additions to an event; calls that
// succeed at once make no event.
//
// # Source
//
// Prometheus' "Metric and label naming" and the names that OpenTelemetry's "Prometheus and OpenMetrics Compatibility" gives.
package prometheus
