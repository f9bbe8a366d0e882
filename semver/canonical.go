package semver

import (
	"database/sql/driver"
	"log/slog"
	"math"
	"slices"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// maxStoredRange is the limit of a stored range in bytes. It is above
// MaxRangeLength because a computed set may have thousands of intervals.
const maxStoredRange = 1 << 20

var (
	_ slog.LogValuer = Range{}
	_ driver.Valuer  = Range{}
)

// A form is a way to write a set.
type form uint8

const (
	formNPM   form = iota // in the language of npm
	formPlain             // "plain " and comparators in plain precedence order
	formSplit             // the releases, " ; pre ", and the pre-releases
)

const (
	plainMark = "plain "
	preMark   = " ; pre "
	nothing   = "<0.0.0-0" // npm's text for no version
)

// shape returns the form of the canonical text of r.
func (r Range) shape() form {
	if r.gated() {
		return formNPM
	}
	plain := true
	r.intervals(func(s Interval) bool {
		plain = s.Releases && s.Prereleases
		return plain
	})
	if plain {
		return formPlain
	}
	return formSplit
}

// gated reports whether npm can express r: each interval of pre-releases has
// the numbers of a single release, and not all releases are members, because
// npm drops every other alternative then.
func (r Range) gated() bool {
	pre := r.kind(true)
	if len(pre) == 0 {
		return true
	}
	if len(pre)%2 == 1 || r.rel == 1 && r.cuts[0] == (Version{}) {
		return false
	}
	for i := 0; i < len(pre); i += 2 {
		if after := pre[i].Core().Next(); after.Compare(pre[i+1]) < 0 {
			return false
		}
	}
	return true
}

// String returns the text that r was parsed from, or otherwise its canonical
// text. A parsed text means the same set only in its own [Dialect].
func (r Range) String() string {
	if r.text != "" {
		return r.text
	}
	return r.Canonical()
}

// Canonical returns a text that is the same for equal ranges, in the first of
// three forms that can express r:
//
//	^1.2 as npm writes it:         >=1.2.0 <2.0.0
//	in plain precedence order:     plain >=1.0.0 <1.4.2 || >=2.0.0
//	with the two kinds apart:      >=1.0.0 <2.0.0 ; pre >=1.0.1-0 <1.4.2
//
// The sets of advisories have the second form. [ParseRange] reads all three, up
// to MaxRangeLength, and [Range.UnmarshalText] reads longer texts.
func (r Range) Canonical() string {
	r.text, r.form = "", r.shape()
	return string(r.appendText(nil, math.MaxInt-1))
}

// appendText appends the text of r to b. It stops when b has more than limit
// bytes.
func (r Range) appendText(b []byte, limit int) []byte {
	switch {
	case r.text != "":
		return append(b, r.text[:min(len(r.text), limit+1)]...)
	case r.IsEmpty():
		return append(b, nothing...)
	case r.form == formPlain:
		return r.appendPlain(append(b, plainMark...), limit)
	case r.form == formSplit:
		b = r.appendKind(b, false, limit)
		return r.appendKind(append(b, preMark...), true, limit)
	case r.rel == 0:
		return r.appendKind(b, true, limit)
	}
	b = r.appendKind(b, false, limit)
	if int(r.rel) < len(r.cuts) {
		b = r.appendKind(append(b, " || "...), true, limit)
	}
	return b
}

// appendPlain appends the intervals of r, which contain both kinds.
func (r Range) appendPlain(b []byte, limit int) []byte {
	start := len(b)
	r.intervals(func(s Interval) bool {
		if len(b) > start {
			b = append(b, " || "...)
		}
		b = s.append(b)
		return len(b) <= limit
	})
	return b
}

// append appends an interval of both kinds as comparators.
func (s Interval) append(b []byte) []byte {
	if !s.Unbounded && s.Lo.before(s.Hi) {
		return s.Lo.append(b)
	}
	if s.Lo != origin {
		if v, ok := s.Lo.afterRelease(); ok {
			b = v.append(append(b, '>'))
		} else {
			b = s.Lo.append(append(b, ">="...))
		}
		if s.Unbounded {
			return b
		}
		b = append(b, ' ')
	}
	if s.Unbounded {
		return append(b, '*')
	}
	if v, ok := s.Hi.afterRelease(); ok {
		return v.append(append(b, "<="...))
	}
	return s.Hi.append(append(b, '<'))
}

// before reports whether w is v.Next(). It does not allocate.
func (v Version) before(w Version) bool {
	if v.pre == 0 {
		return w == v.Next()
	}
	rest, ok := strings.CutPrefix(w.ext, v.ext)
	return ok && rest == ".0" && v.floor() == w.floor()
}

// afterRelease returns X.Y.Z if v is X.Y.(Z+1)-0, the successor of X.Y.Z.
func (v Version) afterRelease() (Version, bool) {
	if v.Prerelease() != "0" {
		return Version{}, false
	}
	return v.previousPatch()
}

// appendKind appends the members of one kind as comparators.
func (r Range) appendKind(b []byte, pre bool, limit int) []byte {
	cuts := r.kind(pre)
	if len(cuts) == 0 {
		return append(b, nothing...)
	}
	for i := 0; i < len(cuts) && len(b) <= limit; i += 2 {
		if i > 0 {
			b = append(b, " || "...)
		}
		lo := cuts[i]
		if i+1 < len(cuts) && (pre && lo.before(cuts[i+1]) || !pre && lo.step(Patch) == cuts[i+1]) {
			b = lo.append(b)
			continue
		}
		b = lo.append(append(b, ">="...))
		if i+1 < len(cuts) {
			hi := cuts[i+1]
			if v, ok := hi.afterRelease(); ok { // the same bound for pre-releases
				hi = v
			}
			b = hi.append(append(b, " <"...))
		}
	}
	return b
}

// ParseRange parses a version constraint in npm's language, see [NPM], or a
// text that [Range.Canonical] returns.
//
// Errors: the same as [Dialect.ParseRange].
func ParseRange(s string) (Range, error) {
	if strings.HasPrefix(s, plainMark) || strings.IndexByte(s, ';') >= 0 {
		return parseStored(s, MaxRangeLength)
	}
	return NPM.ParseRange(s)
}

// MustParseRange is like [ParseRange] but panics with the error of ParseRange.
// It is for constants.
func MustParseRange(s string) Range {
	r, err := ParseRange(s)
	if err != nil {
		panic(err)
	}
	return r
}

// parseStored parses a canonical text or npm's language without empty
// alternatives.
func parseStored(s string, limit int) (Range, error) {
	if len(s) > limit {
		return Range{}, parseError("range", s, limit, ErrTooLong)
	}
	order := NPM.With(PreAll)
	if strings.HasPrefix(s, plainMark) {
		return order.parse(s, len(plainMark), len(s), true)
	}
	middle := strings.Index(s, preMark)
	if middle < 0 {
		return NPM.parse(s, 0, len(s), true)
	}
	rel, err := order.parse(s, 0, middle, true)
	if err != nil {
		return Range{}, err
	}
	pre, err := order.parse(s, middle+len(preMark), len(s), true)
	if err != nil {
		return Range{}, err
	}
	r := rel.Intersect(Releases()).Union(pre.Difference(Releases()))
	r.text = s
	return r, nil
}

// MarshalText returns the canonical text for encoding/json and YAML.
//
// Errors: ErrTooLong if UnmarshalText would not read the text, because it has
// more than 1 MiB or contains a version of more than 1024 bytes.
func (r Range) MarshalText() ([]byte, error) {
	text := r.Canonical()
	if len(text) > maxStoredRange || slices.ContainsFunc(r.cuts, Version.unreadable) {
		return nil, parseError("range", text, min(len(text), maxStoredRange), ErrTooLong)
	}
	return []byte(text), nil
}

// unreadable reports whether UnmarshalText does not read the text of v.
func (v Version) unreadable() bool {
	if len(v.ext) <= MaxLength/2 {
		return false
	}
	s := v.String()
	return len(s) > maxStored || !fewDigits(s)
}

// UnmarshalText parses a text as [ParseRange] does, for encoding/json, YAML and
// flag.TextVar. It refuses an empty text or alternative, because a missing
// setting must not mean every release. It reads up to 1 MiB.
//
// Errors: the same as [ParseRange].
func (r *Range) UnmarshalText(text []byte) error {
	s, err := parseStored(string(text), maxStoredRange)
	if err == nil {
		*r = s
	}
	return err
}

// MarshalBinary returns the canonical text for encoding/gob.
//
// Errors: the same as [Range.MarshalText].
func (r Range) MarshalBinary() ([]byte, error) { return r.MarshalText() }

// UnmarshalBinary reads the bytes that MarshalBinary returns.
//
// Errors: the same as [Range.UnmarshalText].
func (r *Range) UnmarshalBinary(data []byte) error { return r.UnmarshalText(data) }

// Value implements driver.Valuer. It returns the canonical text.
//
// Errors: the same as [Range.MarshalText].
func (r Range) Value() (driver.Value, error) {
	b, err := r.MarshalText()
	if err != nil {
		return nil, err
	}
	return string(b), nil
}

// Scan implements sql.Scanner for text. For a column with NULLs, use
// sql.Null[Range].
//
// Errors: the same as [Range.UnmarshalText], and ErrUnsupported if src is NULL
// or not text.
func (r *Range) Scan(src any) error {
	text, err := columnText(src)
	if err != nil {
		return err
	}
	return r.UnmarshalText(text)
}

// LogValue implements slog.LogValuer. It returns the text that String returns,
// and "…" in place of the bytes after the first 64.
func (r Range) LogValue() slog.Value {
	return slog.StringValue(quote.Cut(string(r.appendText(nil, quote.Max))))
}
