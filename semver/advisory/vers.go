package advisory

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
)

// The versioning schemes of vers that follow SemVer.
var schemes = [...]string{"semver", "npm", "cargo", "golang"}

const versPrefix = "vers:"

// maxVERS is the limit of a vers specifier in bytes.
const maxVERS = 1 << 20

// ParseVERS parses a version range specifier such as
// vers:npm/1.2.3|>=2.0.0|<5.0.0, https://github.com/package-url/vers-spec. It
// returns the scheme, which is semver, npm, cargo or golang, and the set in
// plain precedence order. It also parses vers:all/* and vers:none/*. Only
// canonical text is valid: strict versions in ascending order, each once, and
// no percent-encoding. ParseVERS reads up to 1 MiB.
//
// Errors: a [*semver.ParseError], with the class semver.ErrUnsupported for
// another scheme.
func ParseVERS(s string) (scheme string, r semver.Range, err error) {
	fail := func(offset int, err error) (string, semver.Range, error) {
		return "", semver.Range{}, &semver.ParseError{Kind: "vers", Input: quote.Cut(s), Offset: offset, Err: err}
	}
	if len(s) > maxVERS {
		return fail(maxVERS, semver.ErrTooLong)
	}
	scheme, list, ok := strings.Cut(strings.TrimPrefix(s, versPrefix), "/")
	if !ok || !strings.HasPrefix(s, versPrefix) {
		return fail(0, semver.ErrSyntax)
	}
	all := list == "*"
	switch {
	case scheme == "none" && all:
		return scheme, semver.Range{}, nil
	case scheme == "all" && all, all && slices.Contains(schemes[:], scheme):
		return scheme, semver.All(), nil
	case !slices.Contains(schemes[:], scheme):
		return fail(len(versPrefix), semver.ErrUnsupported)
	}
	var p versParser
	at := len(s) - len(list)
	for term := range strings.SplitSeq(list, "|") {
		if off, err := p.constraint(term); err != nil {
			return fail(at+off, err)
		}
		at += len(term) + 1
	}
	return scheme, p.set(), nil
}

// A versParser collects the constraints of a vers specifier.
type versParser struct {
	in, not []semver.Range
	n       int            // how many constraints there were
	version semver.Version // of the last constraint
	equal   bool           // the last constraint, except !=, was a bare version
	bound   byte           // '<' or '>', the last bound
	since   semver.Version // the lower bound, if bound is '>'
}

// constraint reads the next constraint. If it fails, off is the offset of the
// fault in s.
func (p *versParser) constraint(s string) (off int, err error) {
	text := strings.TrimLeft(s, "<=>!")
	var v semver.Version
	if err := v.UnmarshalText([]byte(text)); err != nil {
		fault, _ := errors.AsType[*semver.ParseError](err)
		return len(s) - len(text) + fault.Offset, fault.Err
	}
	if p.n > 0 && v.Compare(p.version) <= 0 {
		return 0, fmt.Errorf("%w: versions not ascending", semver.ErrSyntax)
	}
	p.n++
	p.version = v
	if !p.add(s[:len(s)-len(text)], v) {
		return 0, fmt.Errorf("%w: comparator out of place", semver.ErrSyntax)
	}
	return 0, nil
}

// add adds a constraint and reports whether it may follow the constraints
// before it. An upper bound may not follow another upper bound or a bare
// version, and a lower bound may not follow another lower bound.
func (p *versParser) add(comparator string, v semver.Version) bool {
	switch comparator {
	case "!=":
		p.not = append(p.not, semver.Exactly(v))
		return true
	case "":
		p.in = append(p.in, semver.Exactly(v))
		p.equal = true
		return true
	case ">", ">=":
		if p.bound == '>' {
			return false
		}
		if comparator == ">" {
			v = v.Next()
		}
		p.since, p.bound = v, '>'
	case "<", "<=":
		if p.equal || p.bound == '<' {
			return false
		}
		if comparator == "<=" {
			v = v.Next()
		}
		if p.bound != '>' {
			p.since = lowest
		}
		p.in = append(p.in, semver.Between(p.since, v))
		p.bound = '<'
	default:
		return false
	}
	p.equal = false
	return true
}

// set returns the versions that the constraints admit. Exclusions alone
// exclude from all versions.
func (p *versParser) set() semver.Range {
	if p.bound == '>' {
		p.in = append(p.in, semver.AtLeast(p.since))
	}
	r := semver.All()
	if len(p.in) > 0 {
		r = semver.Range{}.Union(p.in...)
	}
	return r.Difference(semver.Range{}.Union(p.not...))
}

// FormatVERS returns r as a version range specifier of a scheme, which is
// semver, npm, cargo or golang. The empty range is vers:none/*. [ParseVERS]
// reads the result.
//
// Errors: semver.ErrUnsupported for another scheme, and for a range that has no
// finite specifier. In vers a pre-release is a version like any other, so ^1.2
// would be a list of all its releases. semver.ErrTooLong if the specifier is
// longer than 1 MiB.
func FormatVERS(scheme string, r semver.Range) (string, error) {
	if !slices.Contains(schemes[:], scheme) {
		return "", fmt.Errorf("advisory: vers: scheme %s: %w", quote.Text(scheme), semver.ErrUnsupported)
	}
	if r.IsEmpty() {
		return versPrefix + "none/*", nil
	}
	w := versWriter{text: []byte(versPrefix + scheme + "/")}
	for iv := range r.Intervals() {
		if err := w.interval(iv); err != nil {
			return "", err
		}
	}
	if err := w.flush(); err != nil {
		return "", err
	}
	return string(w.text[:len(w.text)-1]), nil
}

// A versWriter writes intervals in plain order.
type versWriter struct {
	text    []byte          // ends with "|" after the first interval
	pending semver.Interval // may still grow
	some    bool            // whether there is a pending interval
	long    bool            // a version is too long for ParseVERS
}

// interval writes an interval. If it contains a single kind, it writes each
// release, or the pre-releases before each release, apart.
func (w *versWriter) interval(iv semver.Interval) error {
	if iv.Releases && iv.Prereleases {
		return w.add(iv)
	}
	if iv.Unbounded || iv.Lo.Diff(iv.Hi) > semver.Patch { // contains X.Y.Z for every Z
		return fmt.Errorf("advisory: vers: pre-releases apart: %w", semver.ErrUnsupported)
	}
	if iv.Hi.Patch()-iv.Lo.Patch() > maxVERS/uint64(len("0.0.0|")) {
		return fmt.Errorf("advisory: vers: %w", semver.ErrTooLong)
	}
	for lo := iv.Lo; lo.Less(iv.Hi); {
		release := lo.Core()
		piece := semver.Interval{Lo: lo, Hi: release}
		lo = release.Next()
		if iv.Releases {
			piece = semver.Interval{Lo: release, Hi: lo}
		}
		if iv.Hi.Less(piece.Hi) {
			piece.Hi = iv.Hi
		}
		if err := w.add(piece); err != nil {
			return err
		}
	}
	return nil
}

// add writes an interval of both kinds, unless it is empty.
func (w *versWriter) add(iv semver.Interval) error {
	switch {
	case !iv.Unbounded && !iv.Lo.Less(iv.Hi):
		return nil
	case w.some && w.pending.Hi == iv.Lo:
		w.pending.Hi, w.pending.Unbounded = iv.Hi, iv.Unbounded
		return nil
	}
	err := w.flush()
	w.pending, w.some = iv, true
	return err
}

// flush writes the pending interval.
func (w *versWriter) flush() error {
	if !w.some {
		return nil
	}
	iv := w.pending
	appendVersion := func(comparator string, v semver.Version) {
		start := len(w.text) + len(comparator)
		w.text, _ = v.AppendText(append(w.text, comparator...))
		w.long = w.long || len(w.text)-start > 4*semver.MaxLength
		w.text = append(w.text, '|')
	}
	switch {
	case iv.Unbounded && iv.Lo == lowest:
		w.text = append(w.text, "*|"...)
	case iv.Unbounded:
		appendVersion(">=", iv.Lo)
	case iv.Hi == iv.Lo.Next():
		appendVersion("", iv.Lo)
	case iv.Lo == lowest:
		appendVersion("<", iv.Hi)
	default:
		appendVersion(">=", iv.Lo)
		appendVersion("<", iv.Hi)
	}
	if w.long || len(w.text) > maxVERS {
		return fmt.Errorf("advisory: vers: %w", semver.ErrTooLong)
	}
	return nil
}
