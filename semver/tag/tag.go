package tag

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
)

// ErrFormat is the error for a tag that does not have the prefix or the
// variant of its [Format].
var ErrFormat = errors.New("tag: other prefix or variant")

// A Format describes the tags of a repository. The zero Format reads tags such
// as v1.2.3, 1.2, 1.27rc1 and 1.2.3_b7. In every tag, a "v" or "V" before the
// version is optional, missing numbers are 0, and "_" stands for the "+" that
// container registries do not allow.
type Format struct {
	// Prefix is the text before the version and its "v", for instance
	// "contrib/redis/" or "release-".
	Prefix string

	// Variant is a pattern as in path.Match for the text after the version and
	// a hyphen, for instance "alpine*". Empty means that tags have no variant,
	// and a text after a hyphen is a pre-release.
	Variant string

	// Vendors are names of vendors, for instance "eks". A pre-release that
	// begins with such a name and does not continue with a letter becomes build
	// metadata, so that the version counts as its release.
	Vendors []string
}

// Validate returns an error if Variant is a malformed pattern.
func (f Format) Validate() error {
	if _, err := path.Match(f.Variant, ""); err != nil {
		return fmt.Errorf("tag: Variant is %s, want a pattern as in path.Match", quote.Text(f.Variant))
	}
	return nil
}

// A Tag is a parsed tag.
type Tag struct {
	Text    string         // the tag as it was pushed
	Version semver.Version // its version; missing numbers are 0
	Numbers int            // how many of the three numbers Text contains
	Variant string         // the text that matches Format.Variant: "alpine3.19"
}

var _ slog.LogValuer = Tag{}

// String returns the text of the tag.
func (t Tag) String() string { return t.Text }

// LogValue implements slog.LogValuer. It returns the text of the tag.
func (t Tag) LogValue() slog.Value { return slog.StringValue(quote.Cut(t.Text)) }

// Compare returns -1 if t is below u, 0 if they are equal, and +1 otherwise. It
// compares precedence, then build metadata, then the number of numbers given,
// so that 1.27.0 is above 1.27, then the variant and the text as strings.
func (t Tag) Compare(u Tag) int {
	return cmp.Or(
		t.Version.CompareTotal(u.Version),
		cmp.Compare(t.Numbers, u.Numbers),
		strings.Compare(t.Variant, u.Variant),
		strings.Compare(t.Text, u.Text),
	)
}

// maxTag is the limit of a tag behind its prefix, in bytes. Registries admit
// 128 bytes.
const maxTag = 2 * semver.MaxLength

// Parse parses a tag, which has at most 512 bytes behind its prefix. The
// version does not refer to text.
//
// Errors: [ErrFormat], a [*semver.ParseError] if the version is malformed or
// the tag is too long, and the error of [Format.Validate].
func (f Format) Parse(text string) (Tag, error) {
	if err := f.Validate(); err != nil {
		return Tag{}, err
	}
	if limit := len(f.Prefix) + maxTag; len(text) > limit {
		return Tag{}, &semver.ParseError{
			Kind: "tag", Input: quote.Cut(text), Offset: limit, Err: semver.ErrTooLong,
		}
	}
	rest, ok := strings.CutPrefix(text, f.Prefix)
	if !ok {
		return Tag{}, f.mismatch(text)
	}
	version, variant, ok := f.split(rest)
	if !ok {
		return Tag{}, f.mismatch(text)
	}
	at := len(text) - len(rest)
	if version != "" && (version[0] == 'v' || version[0] == 'V') {
		version = version[1:]
		at++
	}
	v, err := semver.AllowPartial.Parse(f.plain(version))
	if err != nil {
		fault, _ := errors.AsType[*semver.ParseError](err)
		return Tag{}, &semver.ParseError{
			Kind: "tag", Input: quote.Cut(text),
			Offset: min(at+fault.Offset, len(text)), Err: fault.Err,
		}
	}
	return Tag{Text: text, Version: v.Clone(), Numbers: numbers(version), Variant: variant}, nil
}

// mismatch returns the error for a tag of another format.
func (f Format) mismatch(text string) error {
	return fmt.Errorf("%w: %s, want %s", ErrFormat, quote.Text(text), quote.Text(f.Prefix+"VERSION"+f.variantMark()))
}

// variantMark returns the pattern of the variant with its hyphen.
func (f Format) variantMark() string {
	if f.Variant == "" {
		return ""
	}
	return "-" + f.Variant
}

// split splits a tag at the first hyphen before a text that is a variant.
func (f Format) split(s string) (version, variant string, ok bool) {
	if f.Variant == "" {
		return s, "", true
	}
	for i := range len(s) {
		if s[i] == '-' {
			if match, _ := path.Match(f.Variant, s[i+1:]); match {
				return s[:i], s[i+1:], true
			}
		}
	}
	return "", "", false
}

// plain returns the text of the semantic version that a tag stands for:
// 1.27rc1 becomes 1.27-rc.1, "_" becomes "+", and a vendor's pre-release
// becomes build metadata.
func (f Format) plain(s string) string {
	s = strings.Replace(s, "_", "+", 1)
	s = f.hyphenated(s)
	core, pre, ok := strings.Cut(s, "-")
	if !ok || strings.ContainsRune(core, '+') {
		return s
	}
	for _, vendor := range f.Vendors {
		after, ok := strings.CutPrefix(pre, vendor)
		if !ok || vendor == "" || after != "" && isLetter(after[0]) {
			continue
		}
		return core + "+" + strings.Replace(pre, "+", ".", 1)
	}
	return s
}

// hyphenated returns s with a hyphen before letters that directly follow the
// numbers, and a dot before the digits that follow these letters.
func (f Format) hyphenated(s string) string {
	i := len(s) - len(strings.TrimLeft(s, digits+"."))
	if i == 0 || i == len(s) || !isLetter(s[i]) {
		return s
	}
	j := i
	for j < len(s) && isLetter(s[j]) {
		j++
	}
	if j < len(s) && strings.IndexByte(digits, s[j]) >= 0 {
		return s[:i] + "-" + s[i:j] + "." + s[j:]
	}
	return s[:i] + "-" + s[i:]
}

const digits = "0123456789"

// isLetter reports whether c is an ASCII letter.
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// numbers returns how many numbers s begins with.
func numbers(s string) int {
	n := s[:len(s)-len(strings.TrimLeft(s, digits+"."))]
	return min(1+strings.Count(n, "."), 3)
}

// Latest returns the highest tag that has the format and passes the rule, by
// [Tag.Compare]. It skips other tags, and returns false if no tag is left. A
// nil rule passes every version. If [Format.Validate] returns an error, no tag
// has the format.
func (f Format) Latest(tags iter.Seq[string], rule semver.Rule) (best Tag, ok bool) {
	for text := range tags {
		t, err := f.Parse(text)
		if err != nil || rule != nil && rule(t.Version) != nil {
			continue
		}
		if !ok || t.Compare(best) > 0 {
			best, ok = t, true
		}
	}
	return best, ok
}
