package tag

import (
	"cmp"
	"regexp"

	"github.com/redoubt-go/redoubt/semver"
)

// The expressions find up to three numbers of at most 16 digits, without a
// digit before or after, and with tail also a pre-release and build metadata.
var (
	coercible     = regexp.MustCompile(before + core + after)
	coercibleFull = regexp.MustCompile(before + core + tail + after)
)

const (
	before = `(?:^|[^0-9])`
	core   = `([0-9]{1,16})(?:\.([0-9]{1,16}))?(?:\.([0-9]{1,16}))?`
	ident  = `(?:[0-9]*[A-Za-z-][0-9A-Za-z-]*|0|[1-9][0-9]*)`
	tail   = `(-` + ident + `(?:\.` + ident + `)*)?(\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?`
	after  = `(?:$|[^0-9])`
)

// Coerce returns the first version in a text, as the function coerce of the
// npm package semver does by default: up to three numbers of at most 16 digits
// with dots between them. Missing numbers are 0, and everything else is
// ignored: "v3.4 replaces 3.3.1" gives 3.4.0. It reports whether there is a
// version, and searches at most the first 8192 bytes.
func Coerce(text string) (semver.Version, bool) { return coerce(coercible, text) }

// CoerceFull is like [Coerce] but keeps a pre-release and build metadata after
// the numbers, as npm's coerce with includePrerelease does.
func CoerceFull(text string) (semver.Version, bool) { return coerce(coercibleFull, text) }

// coerce returns the first version in text that expression finds.
func coerce(expression *regexp.Regexp, text string) (semver.Version, bool) {
	m := expression.FindStringSubmatch(text[:min(len(text), semver.MaxRangeLength)])
	if m == nil {
		return semver.Version{}, false
	}
	s := m[1] + "." + cmp.Or(m[2], "0") + "." + cmp.Or(m[3], "0")
	for _, rest := range m[4:] {
		s += rest
	}
	v, err := semver.Parse(s)
	return v.Clone(), err == nil
}
