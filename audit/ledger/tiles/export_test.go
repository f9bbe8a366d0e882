package tiles

// TilePath is tilePath, for tests.
func TilePath(level string, n uint64, width int) string { return tilePath(level, n, width) }
