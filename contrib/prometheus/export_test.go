package prometheus

import "slices"

// Figures calls fn for each table of statistics, with a function that gives the values of any statistics of its type.
func Figures(fn func(zero any, values func(any) []float64)) {
	each(fn, breakerFigures())
	each(fn, groupFigures())
	each(fn, throttleFigures())
	each(fn, keyedFigures())
	each(fn, bulkheadFigures())
	each(fn, cacheFigures())
	each(fn, auditFigures())
	each(fn, bufferFigures())
	each(fn, ledgerFigures())
	each(fn, logscanFigures())
}

func each[S any](fn func(any, func(any) []float64), table []figure[S]) {
	var zero S
	fn(zero, func(s any) []float64 {
		var all []float64
		for _, f := range table {
			all = append(all, f.of(s.(S))...)
		}
		return all
	})
}

// A Row tells of a metric what a dashboard must know.
type Row struct{ Name, Kind, Unit, Help, Key string }

// Rows returns all metrics, in the order of their packages.
func Rows() []Row {
	metrics := slices.Concat(
		metricsOf(breakerFigures()), metricsOf(groupFigures()), metricsOf(throttleFigures()), hooksOf(breakerActions()),
		hooksOf(retryActions()),
		metricsOf(keyedFigures()), metricsOf(limiterFigures()), hooksOf(ratelimitActions()),
		metricsOf(bulkheadFigures()), hooksOf(bulkheadActions()),
		metricsOf(cacheFigures()), metricsOf(auditFigures()), metricsOf(bufferFigures()), metricsOf(ledgerFigures()),
		metricsOf(logscanFigures()))
	kinds := []string{counter: "counter", sum: "sum", gauge: "gauge", histogram: "histogram"}
	var rows []Row
	for _, m := range metrics {
		rows = append(rows, Row{fullName(m), kinds[m.kind], m.unit, m.help, m.key})
	}
	return rows
}

func metricsOf[S any](table []figure[S]) (ms []metric) {
	for _, f := range table {
		ms = append(ms, f.metric)
	}
	return ms
}

func hooksOf[E Event](table []action[E]) (ms []metric) {
	for _, a := range table {
		ms = append(ms, a.metric)
	}
	return ms
}
