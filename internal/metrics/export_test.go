package metrics

// Figures calls fn for each table of statistics, with the zero statistics and
// a function that returns all values of given statistics of that type.
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
	each(fn, grpcFigures())
	each(fn, redisFigures())
	each(fn, redisCacheFigures())
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
