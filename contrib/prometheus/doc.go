// Package redoubtprometheus reports metrics of redoubt to Prometheus: circuit
// breakers, retries, rate limits, bulkheads, caches, audit logs and log scans.
//
// The first questions of an incident are which dependency is down, and whether
// the retries make it worse. The answers are in the statistics and events of
// the guards. This package exports both, with a Grafana dashboard and alerts.
//
// # Export statistics and events
//
// [NewCollector] takes a snapshot at each scrape, and costs nothing between
// scrapes. [Hooks] add the figures that a snapshot does not contain: retries,
// because a retry.Policy keeps no statistics; transitions of breakers; the
// waiting times of refused requests; changes of adaptive limits.
//
//	config := redoubtprometheus.HooksConfig{Name: "payments"}
//	hooks := redoubtprometheus.NewHooks(config)
//	policy.OnEvent = hooks.Retry(nil)
//	payments := redoubtprometheus.NewCollector("payments", b)
//	reg.MustRegister(hooks, payments)
//	http.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
//
// # Ask which upstream is open
//
// A group, a pool and a keyed limit report sums, and breakers by state. Keys
// that the program lists have series of their own:
//
//	group := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts"})
//	hosts := redoubtprometheus.NewCollector("", group, "a.test", "b.test")
//	reg.MustRegister(hosts)
//
// # Look and alert
//
// dashboard.json shows all metrics in Grafana: import it. alerts.yaml contains
// recording rules and alerts: name it in rule_files of Prometheus.
//
// # Metrics
//
// Names are redoubt_<package>_<thing>_<unit>, and end with _total for counters.
// The list is testdata/metrics.txt. Metrics exist from the start, with the
// value 0, except series under labels of [HooksConfig].Keys: they begin with
// their first event.
//
// redoubt_breaker_state has a value for each state: 1 for the present state, 0
// for every other state. A Limiter reports its tokens, and a Keyed the tokens
// of the listed keys.
//
// The label name is an argument. All other labels take their values from short
// lists, in this package or in the program. No key, address or text of an error
// becomes a label unless it is listed, so the number of series is bounded. An
// empty label is no label. contrib/otel reports the same metrics to
// OpenTelemetry.
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
//   - Unregister the collector before you drop its object. The collector keeps
//     the object alive. After a replacement under the same name, counters begin
//     at 0 again, as after a restart: rate and increase know this.
//   - Exemplars: set [HooksConfig].TraceID, and EnableOpenMetrics of promhttp.
//     With OpenTelemetry, TraceID returns the TraceID of
//     trace.SpanContextFromContext if the span is sampled.
//   - Buckets: histograms have fixed buckets from 1 ms to 5 min.
//
// # Errors
//
// No function returns an error. A programming mistake panics at the start.
//
// # Concurrency and cost
//
// All functions and hooks are safe for use by many goroutines. This package
// starts no goroutine. A scrape costs a call of Stats, and the client library
// about 3 allocations a series. A hook allocates nothing, except with an
// exemplar. Calls that succeed at once cause no event.
//
// The names follow "Metric and label naming" of Prometheus, and "Prometheus and
// OpenMetrics Compatibility" of OpenTelemetry.
package redoubtprometheus
