package redoubtprometheus

import "github.com/redoubt-go/redoubt/internal/metrics"

// FullName returns the name that Prometheus gives to m.
func FullName(m metrics.Metric) string { return fullName(m) }
