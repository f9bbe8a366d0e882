package semver

import (
	"math"
	"strings"
)

// Limits on input, in bytes, checked before anything else. The longest
// version on crates.io has 147 bytes, its longest requirement 53; the longest
// range in npm's advisories has 83.
const (
	MaxLength      = 256  // of a version
	MaxRangeLength = 8192 // of a range, a vers URI or a stored range
)

// Mode says which departures from SemVer 2.0.0 a parser admits. What it
// admits it normalises: "v1.2" becomes the version 1.2.0 and prints so. Modes
// are combined with |, and each is a parser: Tolerant.Parse is a
// func(string) (Version, error).
type Mode uint8

// The modes.
const (
	AllowV       Mode = 1 << iota // a leading "v": v1.2.3
	AllowPartial                  // 1 and 1.2 for 1.0.0 and 1.2.0, without pre-release or build
	AllowZeros                    // leading zeros in the three numbers: 2025.04.02
	AllowSpace                    // spaces, tabs and line ends around the version

	Strict   Mode = 0                                               // SemVer 2.0.0 to the letter
	Tolerant Mode = AllowV | AllowPartial | AllowZeros | AllowSpace // all of the above
)

// Parse parses a version strictly by SemVer 2.0.0, numbers of any size
// included. It does not allocate: the version refers to s, see
// [Version.Clone]. The error is a [*ParseError] of class ErrSyntax,
// ErrTooLong, ErrLeadingZero or ErrEmptyIdent.
func Parse(s string) (Version, error) {
	// Nearly all versions go straight through, in registers. What scan would
	// do otherwise, or where it would find a fault, is left to it.
	if len(s) > MaxLength {
		return scanned(s)
	}
	major, i := digits(s, 0)
	minor, j := digits(s, i+1)
	patch, k := digits(s, j+1)
	if !small(s, 0, i) || !small(s, i+1, j) || !small(s, j+1, k) || s[i] != '.' || s[j] != '.' {
		return scanned(s)
	}
	if k == len(s) {
		return Version{major: major, minor: minor, patch: patch}, nil
	}
	pre, _, err := tail(s, k)
	if err != nil {
		return scanned(s)
	}
	return Version{major: major, minor: minor, patch: patch, ext: s[k:], pre: uint16(pre)}, nil
}

// scanned is Parse by scan alone.
func scanned(s string) (Version, error) {
	var v Version
	if _, at, err := scan(s, Strict, &v); err != nil {
		return Version{}, parseError("version", s, at, err)
	}
	return v, nil
}

// MustParse is Parse for texts known to be right, constants mostly; it panics
// with the error of Parse.
func MustParse(s string) Version {
	v, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return v
}

// Valid reports whether s is a version by the strict rules. It does not
// allocate.
func Valid(s string) bool {
	var v Version
	_, _, err := scan(s, Strict, &v)
	return err == nil
}

// Parse parses a version with m's liberties. The errors are those of the
// function [Parse].
func (m Mode) Parse(s string) (Version, error) {
	text, cut := s, 0
	if m&AllowSpace != 0 && len(s) <= MaxLength {
		text = strings.TrimLeft(s, spaces)
		cut = len(s) - len(text)
		text = strings.TrimRight(text, spaces)
	}
	var v Version
	if _, at, err := scan(text, m, &v); err != nil {
		return Version{}, parseError("version", s, cut+at, err)
	}
	return v, nil
}

const spaces = " \t\r\n"

// normal rewrites the text of a saturated number that was parsed with
// liberties: all three parts, no leading zeros.
func (v Version) normal(parts int) Version {
	n := [3]string{"0", "0", "0"}
	for i, s := range strings.SplitN(v.ext[:v.core], ".", parts) {
		n[i] = strings.TrimLeft(s[:len(s)-1], "0") + s[len(s)-1:]
	}
	w := fromDecimals(n)
	w.ext, w.pre = w.ext+v.ext[v.core:], v.pre
	return w
}

// scan reads all of s as a version by the rules of m into v, which was zero,
// and returns how many of the three numbers were given. With an error, at is
// the offset of the fault, and v is of no use.
func scan(s string, m Mode, v *Version) (parts, at int, err error) {
	if len(s) > MaxLength {
		return 0, MaxLength, ErrTooLong
	}
	i := 0
	if m&AllowV != 0 && len(s) > 0 && s[0] == 'v' {
		i = 1
	}
	start := i
	for {
		n, end := digits(s, i)
		if !small(s, i, end) {
			if n, err = number(s[i:end], m); err != nil {
				return 0, i, err
			}
		}
		i = end
		switch parts++; parts {
		case 1:
			v.major = n
		case 2:
			v.minor = n
		default:
			v.patch = n
		}
		if parts == 3 || i == len(s) && m&AllowPartial != 0 {
			break
		}
		if i == len(s) || s[i] != '.' {
			return 0, i, ErrSyntax
		}
		i++
	}
	core := i
	if i < len(s) && parts == 3 {
		pre, end, err := tail(s, i)
		if err != nil {
			return 0, end, err
		}
		i, v.pre = end, uint16(pre)
	}
	v.ext = s[core:]
	if max(v.major, v.minor, v.patch) == math.MaxUint64 {
		v.ext, v.core = s[start:], uint16(core-start)
		if m&(AllowPartial|AllowZeros) != 0 {
			*v = v.normal(parts)
		}
	}
	return parts, i, nil
}

// digits reads the digits at s[i:] and returns their value, if it fits, and
// where they end.
func digits(s string, i int) (n uint64, end int) {
	for i < len(s) && s[i]-'0' <= 9 {
		n = n*10 + uint64(s[i]-'0')
		i++
	}
	return n, i
}

// small reports whether the digits s[from:to] are a number that needs no
// second look: not none, not so many that they may overflow, and no leading
// zero.
func small(s string, from, to int) bool {
	return uint(to-from-1) < 19 && (s[from] != '0' || to == from+1)
}

// number returns the value of digits that are not small.
func number(s string, m Mode) (uint64, error) {
	if s == "" {
		return 0, ErrSyntax
	}
	if s[0] == '0' && len(s) > 1 && m&AllowZeros == 0 {
		return 0, ErrLeadingZero
	}
	return saturate(s), nil
}

// tail reads the pre-release and build at s[i:], which are all the rest, and
// returns the length of the former, hyphen included. With an error, end is the
// offset of the fault.
func tail(s string, i int) (pre, end int, err error) {
	end = i
	if s[i] == '-' {
		if end, err = identifiers(s, i+1, true); err != nil {
			return 0, end, err
		}
		pre = end - i
	}
	if end < len(s) && s[end] == '+' {
		if end, err = identifiers(s, end+1, false); err != nil {
			return 0, end, err
		}
	}
	if end < len(s) {
		return 0, end, ErrSyntax
	}
	return pre, end, nil
}

// saturate returns the value of the digits s, at most math.MaxUint64.
func saturate(s string) (n uint64) {
	for i := range len(s) {
		d := uint64(s[i] - '0')
		if n > (math.MaxUint64-d)/10 {
			return math.MaxUint64
		}
		n = n*10 + d
	}
	return n
}

// identifiers reads dot-separated identifiers at s[i:] and returns where they
// end. Numeric ones have no leading zero in a pre-release. With an error, end
// is the offset of the fault.
func identifiers(s string, i int, pre bool) (end int, err error) {
	for {
		start := i
		var seen uint8
		for i < len(s) && class[s[i]]&(digit|letter) != 0 {
			seen |= class[s[i]]
			i++
		}
		if i == start {
			return i, ErrEmptyIdent
		}
		if pre && seen == digit && s[start] == '0' && i > start+1 {
			return start, ErrLeadingZero
		}
		if i == len(s) || s[i] != '.' {
			return i, nil
		}
		i++
	}
}

// The classes of bytes, as bits.
const (
	digit  = 1 << iota // of a number or identifier
	letter             // of an identifier, or a hyphen
	joint              // . + or *, which other than the above are in versions of ranges
	tailed             // - or +, which begin a tail
	wild               // x, X or *
	space
	comparing // < = > ! ~ ^
)

var class = classes()

func classes() (t [256]uint8) {
	for _, set := range [...]struct {
		class uint8
		bytes string
	}{
		{digit, "0123456789"},
		{letter, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-"},
		{joint, ".+*"},
		{tailed, "-+"},
		{wild, "xX*"},
		{space, spaces},
		{comparing, "<=>!~^"},
	} {
		for _, b := range []byte(set.bytes) {
			t[b] |= set.class
		}
	}
	return t
}
