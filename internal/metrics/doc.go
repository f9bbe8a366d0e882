// Package metrics lists the metrics of the library: the statistics of its
// types, and the figures that its events add. contrib/otel and
// contrib/prometheus export this list under the names of their systems.
//
// The list lives in the root module because it names fields of its packages.
// A program may combine this version of the root module with an older version
// of an exporter. So the exported names of this package are a promise to the
// exporters after the first release: they can be added to, and not changed.
package metrics
