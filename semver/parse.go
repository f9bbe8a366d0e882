package semver

import (
	"math"
	"strings"
)

// Limits on input, in bytes. They are checked before the text is parsed. The
// longest version on crates.io has 147 bytes, and its longest requirement 53;
// the longest range in npm's advisories has 83.
const (
	MaxLength      = 256  // of a version
	MaxRangeLength = 8192 // of a range
)

// maxDigits is the number of digits that a number in a text has at most, so
// that the length of the next number fits into a byte of a key.
const maxDigits = 254

// A Mode is a set of departures from SemVer 2.0.0 that a parser admits. The
// result is normalized: "v1.2" becomes the version 1.2.0 and prints as 1.2.0.
// Modes are combined with |, and each Mode is a parser: Tolerant.Parse is a
// func(string) (Version, error).
type Mode uint8

// The modes.
const (
	AllowV       Mode = 1 << iota // a leading "v": v1.2.3
	AllowPartial                  // missing numbers, which are 0: 1, 1.2 and 1.2-rc.1
	AllowZeros                    // leading zeros in the three numbers: 2025.04.02
	AllowSpace                    // spaces, tabs and line ends around the version

	Strict   Mode = 0                                               // SemVer 2.0.0 to the letter
	Tolerant Mode = AllowV | AllowPartial | AllowZeros | AllowSpace // all of the above
)

var modeNames = nameList{"Mode", []string{
	"strict", "v", "partial", "v|partial", "zeros", "v|zeros", "partial|zeros", "v|partial|zeros",
	"space", "v|space", "partial|space", "v|partial|space", "zeros|space", "v|zeros|space", "partial|zeros|space", "tolerant",
}}

// String returns the names of the modes in m, for instance "v|partial", or
// "strict" or "tolerant".
func (m Mode) String() string { return modeNames.text(int(m)) }

// MarshalText returns the text that String returns.
//
// Errors: ErrUnsupported if m is not a combination of modes.
func (m Mode) MarshalText() ([]byte, error) { return modeNames.marshal(int(m)) }

// UnmarshalText reads a text as String returns it.
//
// Errors: ErrUnsupported for another text.
func (m *Mode) UnmarshalText(text []byte) error { return unmarshal(modeNames, text, m) }

// Parse parses a version strictly by SemVer 2.0.0, with numbers of any size.
// It does not allocate, and the version refers to s, see [Version.Clone].
//
// Errors: a [*ParseError] with the class ErrSyntax, ErrTooLong,
// ErrLeadingZero or ErrEmptyIdent.
func Parse(s string) (Version, error) {
	// Nearly all versions take the path below, with the numbers in registers.
	// Everything else, faults included, is left to scan.
	if len(s) > MaxLength {
		return Strict.Parse(s)
	}
	major, i := digits(s, 0)
	minor, j := digits(s, i+1)
	patch, k := digits(s, j+1)
	if !small(s, 0, i) || !small(s, i+1, j) || !small(s, j+1, k) || s[i] != '.' || s[j] != '.' {
		return Strict.Parse(s)
	}
	if k == len(s) {
		return Version{major: major, minor: minor, patch: patch}, nil
	}
	pre, _, err := tail(s, k)
	if err != nil {
		return Strict.Parse(s)
	}
	return Version{major: major, minor: minor, patch: patch, ext: s[k:], pre: uint16(pre)}, nil
}

// MustParse is like [Parse] but panics with the error of Parse. It is for
// constants.
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
	_, _, err := scan(s, Strict, MaxLength, &v)
	return err == nil
}

// Parse parses a version and admits the departures in m.
//
// Errors: the same as the function [Parse].
func (m Mode) Parse(s string) (Version, error) {
	text, cut := s, 0
	if m&AllowSpace != 0 && len(s) <= MaxLength {
		text = strings.TrimLeft(s, spaces)
		cut = len(s) - len(text)
		text = strings.TrimRight(text, spaces)
	}
	var v Version
	if _, at, err := scan(text, m, MaxLength, &v); err != nil {
		return Version{}, parseError("version", s, cut+at, err)
	}
	return v, nil
}

const spaces = " \t\r\n"

// scan reads s as a version by the rules of m into v, which must be zero. It
// returns how many of the three numbers s contains. If err != nil, at is the
// offset of the fault and v is invalid. The text of v has at most limit bytes.
func scan(s string, m Mode, limit int, v *Version) (parts, at int, err error) {
	if len(s) > limit || len(s) > MaxLength && !fewDigits(s) {
		return 0, min(len(s), limit), ErrTooLong
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
		if parts == 3 || m&AllowPartial != 0 && (i == len(s) || class[s[i]]&tailed != 0) {
			break
		}
		if i == len(s) || s[i] != '.' {
			return 0, i, ErrSyntax
		}
		i++
	}
	core := i
	if i < len(s) {
		pre, end, err := tail(s, i)
		if err != nil {
			return 0, end, err
		}
		i, v.pre, v.ext = end, uint16(pre), s[core:]
	}
	if len(s)+2*(3-parts) > limit { // with the missing numbers
		return 0, i, ErrTooLong
	}
	if max(v.major, v.minor, v.patch) == math.MaxUint64 {
		v.ext, v.core = s[start:], uint16(core-start)
		if m&(AllowPartial|AllowZeros) != 0 {
			*v = v.normal(parts)
		}
	}
	return parts, i, nil
}

// fewDigits reports whether no number in s has more than maxDigits digits.
func fewDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		_, end := digits(s, i)
		if end-i > maxDigits {
			return false
		}
		i = max(i, end-1)
	}
	return true
}

// normal rewrites ext after a parse with departures: three numbers without
// leading zeros.
func (v Version) normal(parts int) Version {
	n := [3]string{"0", "0", "0"}
	for i, s := range strings.SplitN(v.ext[:v.core], ".", parts) {
		n[i] = strings.TrimLeft(s[:len(s)-1], "0") + s[len(s)-1:]
	}
	w := fromDecimals(n)
	w.ext, w.pre = w.ext+v.ext[v.core:], v.pre
	return w
}

// digits reads the digits at s[i:]. It returns their value, which is invalid
// on overflow, and the offset of their end.
func digits(s string, i int) (n uint64, end int) {
	for i < len(s) && s[i]-'0' <= 9 {
		n = n*10 + uint64(s[i]-'0')
		i++
	}
	return n, i
}

// small reports whether the digits s[from:to] are a number that needs no
// check: at least one digit, few enough not to overflow, no leading zero.
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

// tail reads the pre-release and build metadata at s[i:] up to the end of s.
// It returns the length of the pre-release including the hyphen. If err !=
// nil, end is the offset of the fault.
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

// identifiers reads dot-separated identifiers at s[i:] and returns the offset
// of their end. In a pre-release, numeric identifiers have no leading zero. If
// err != nil, end is the offset of the fault.
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

// Classes of bytes, as bits.
const (
	digit     = 1 << iota // in a number or identifier
	letter                // in an identifier, or a hyphen
	joint                 // . + *, the other bytes of a version in a range
	tailed                // - +, which begin a pre-release or build metadata
	wild                  // x X *
	space                 // white space
	comparing             // < = > ! ~ ^
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
