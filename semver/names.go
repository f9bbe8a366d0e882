package semver

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A nameList is the text form of an enumeration that starts at 0.
type nameList struct {
	kind  string
	names []string
}

// text returns the name of value n.
func (l nameList) text(n int) string {
	if n < len(l.names) {
		return l.names[n]
	}
	return l.kind + "(" + strconv.Itoa(n) + ")"
}

// marshal returns the name of value n, if n has a name.
func (l nameList) marshal(n int) ([]byte, error) {
	if n < len(l.names) {
		return []byte(l.names[n]), nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnsupported, l.text(n))
}

// unmarshal sets value to the value of a name.
func unmarshal[T ~uint8](l nameList, name []byte, value *T) error {
	n := slices.Index(l.names, string(name))
	if n < 0 {
		return fmt.Errorf("%w: %s %s", ErrUnsupported, l.kind, quote.Text(string(name)))
	}
	*value = T(n)
	return nil
}
