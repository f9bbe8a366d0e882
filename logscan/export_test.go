package logscan

// Poison reports whether this is a build with -tags logscanpoison.
const Poison = poison

// Index is needle.index.
func Index(data, text []byte) int {
	n := needles([][]byte{text})[0]
	return n.index(data)
}
