package semver

import (
	"fmt"
	"slices"
	"strings"
)

// The versioning schemes of vers that follow SemVer.
var schemes = [...]string{"semver", "npm", "cargo", "golang"}

const versPrefix = "vers:"

// ParseVERS parses a version range specifier such as
// vers:npm/1.2.3|>=2.0.0|<5.0.0 and returns its scheme, one of semver, npm,
// cargo and golang, and the set, in plain precedence order: https://github.com/package-url/vers-spec.
// It also takes vers:all/* and vers:none/*. Only canonical text is valid:
// strict versions, sorted, each once, nothing percent-encoded. The error is a
// [*ParseError], of class ErrUnsupported for another scheme.
func ParseVERS(s string) (typ string, r Range, err error) {
	if len(s) > MaxRangeLength {
		return "", Range{}, parseError("vers", s, MaxRangeLength, ErrTooLong)
	}
	typ, list, ok := strings.Cut(strings.TrimPrefix(s, versPrefix), "/")
	if !ok || !strings.HasPrefix(s, versPrefix) {
		return "", Range{}, parseError("vers", s, 0, ErrSyntax)
	}
	all := list == "*"
	switch {
	case typ == "none" && all:
		return typ, Range{}, nil
	case typ == "all" && all, all && slices.Contains(schemes[:], typ):
		return typ, All(), nil
	case !slices.Contains(schemes[:], typ):
		return "", Range{}, parseError("vers", s, len(versPrefix), ErrUnsupported)
	}
	var p versParser
	at := len(s) - len(list)
	for term := range strings.SplitSeq(list, "|") {
		if off, err := p.constraint(term); err != nil {
			return "", Range{}, parseError("vers", s, at+off, err)
		}
		at += len(term) + 1
	}
	return typ, p.set(), nil
}

// versParser collects the constraints of a vers URI.
type versParser struct {
	in, not []Interval
	n       int     // how many constraints there were
	version Version // the last one's version
	equal   bool    // the last one, but for !=, was a bare version
	bound   op      // the last one of < <= > >=, as opLt or opGt
}

// constraint reads the next constraint. If it fails, off is the offset of the
// fault.
func (p *versParser) constraint(s string) (off int, err error) {
	text := strings.TrimLeft(s, "<=>!")
	var v Version
	if _, at, err := scan(text, Strict, &v); err != nil {
		return len(s) - len(text) + at, err
	}
	if p.n > 0 && v.Compare(p.version) <= 0 {
		return 0, fmt.Errorf("%w: versions not ascending", ErrSyntax)
	}
	p.n++
	p.version = v
	if !p.add(s[:len(s)-len(text)], v) {
		return 0, fmt.Errorf("%w: comparator out of place", ErrSyntax)
	}
	return 0, nil
}

// add adds a constraint and reports whether it may follow those before: an
// upper bound neither another nor a bare version, a lower bound no other.
func (p *versParser) add(comparator string, v Version) bool {
	switch comparator {
	case "!=":
		p.not = append(p.not, plain(v, v.next()))
		return true
	case "":
		p.in = append(p.in, plain(v, v.next()))
		p.equal = true
		return true
	case ">", ">=":
		if p.bound == opGt {
			return false
		}
		if comparator == ">" {
			v = v.next()
		}
		p.in = append(p.in, from(v))
		p.bound = opGt
	case "<", "<=":
		if p.equal || p.bound == opLt {
			return false
		}
		if comparator == "<=" {
			v = v.next()
		}
		if p.bound == opGt { // then the last interval is still open
			p.in[len(p.in)-1].atMost(v)
		} else {
			p.in = append(p.in, plain(origin, v))
		}
		p.bound = opLt
	default:
		return false
	}
	p.equal = false
	return true
}

// set returns what the constraints admit; only exclusions exclude from all.
func (p *versParser) set() Range {
	r := All()
	if len(p.in) > 0 {
		r = newRange("", p.in)
	}
	return r.Difference(newRange("", p.not))
}

// VERS returns r as a version range specifier of scheme typ, one of semver,
// npm, cargo and golang; the empty range is vers:none/*. The error wraps
// ErrUnsupported for another scheme, and for a range of which vers, where
// pre-releases are versions like others, would have to list more releases than
// MaxRangeLength allows: ^1.2 is one.
func (r Range) VERS(typ string) (string, error) {
	if !slices.Contains(schemes[:], typ) {
		return "", fmt.Errorf("semver: vers: %w: scheme %q", ErrUnsupported, cut(typ))
	}
	if r.IsEmpty() {
		return versPrefix + "none/*", nil
	}
	spans, ok := r.plainly()
	if !ok {
		return "", fmt.Errorf("semver: vers: %w: pre-releases apart", ErrUnsupported)
	}
	b := []byte(versPrefix + typ + "/")
	for i, s := range spans {
		if i > 0 {
			b = append(b, '|')
		}
		b = s.appendVERS(b)
	}
	return string(b), nil
}

// plainly returns r as intervals of both kinds, if they are few enough. Where
// r has one kind only, each release, or what is before it, is one.
func (r Range) plainly() (out []Interval, ok bool) {
	add := func(s Interval) {
		if last := len(out) - 1; last >= 0 && out[last].Hi == s.Lo {
			out[last].Hi, out[last].Unbounded = s.Hi, s.Unbounded
		} else if s.Unbounded || s.Lo.Less(s.Hi) {
			out = append(out, s)
		}
	}
	for s := range r.Intervals() {
		if s.Releases && s.Prereleases {
			add(s)
			continue
		}
		for lo := s.Lo; s.Unbounded || lo.Less(s.Hi); {
			if len(out) > MaxRangeLength/len("0.0.0|") {
				return nil, false
			}
			release := lo.Core()
			piece := plain(lo, release)
			lo = release.next()
			if s.Releases {
				piece = plain(release, lo)
			}
			piece.clip(&s)
			add(piece)
		}
	}
	return out, true
}

// appendVERS appends an interval in plain order.
func (s Interval) appendVERS(b []byte) []byte {
	switch {
	case s.Unbounded && s.Lo == origin:
		return append(b, '*')
	case s.Unbounded:
		return s.Lo.append(append(b, ">="...))
	case s.Hi == s.Lo.next():
		return s.Lo.append(b)
	case s.Lo == origin:
		return s.Hi.append(append(b, '<'))
	}
	b = s.Lo.append(append(b, ">="...))
	return s.Hi.append(append(b, "|<"...))
}
