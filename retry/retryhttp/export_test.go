package retryhttp

// Hosts returns the number of hosts whose delay h has learned.
func Hosts(h *Hedge) int { return len(h.hosts) }
