package config

// NamesOf returns the names of the values of a type whose String method does
// not return them.
func NamesOf(typ string) (names []string) {
	for _, n := range named[typ] {
		names = append(names, n.text)
	}
	return names
}
