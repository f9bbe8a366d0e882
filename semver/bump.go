package semver

import (
	"math"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// Bump returns the lowest release above v that begins a new patch, minor or
// major version. The result for Minor has the form X.Y.0, the result for Major
// X.0.0. A pre-release may be bumped to its own release: Bump(Minor) of
// 1.2.0-rc.1 is 1.2.0. For any other part, Bump returns v.
func (v Version) Bump(p Part) Version {
	if p < Patch || p > Major {
		return v
	}
	aligned := p == Patch || v.patch == 0 && (p == Minor || v.minor == 0)
	if v.pre != 0 && aligned {
		return v.Core()
	}
	return v.step(p)
}

// step adds 1 to number p of v and sets the numbers after it to 0.
func (v Version) step(p Part) Version {
	if v.core != 0 || max(v.major, v.minor, v.patch) >= math.MaxUint64-1 {
		return v.stepWide(p, +1)
	}
	switch p {
	case Major:
		return Version{major: v.major + 1}
	case Minor:
		return Version{major: v.major, minor: v.minor + 1}
	default:
		return Version{major: v.major, minor: v.minor, patch: v.patch + 1}
	}
}

// BumpPre returns the next pre-release of the line id, such as "rc":
//
//	1.2.3-rc.1, "rc"    → 1.2.3-rc.2
//	1.2.3-alpha, "beta" → 1.2.3-beta.0
//	1.2.3, "rc"         → 1.2.4-rc.0
//
// If id ends with a number, a new line begins with it: "rc.1" gives rc.1 first
// and then rc.2. This is the identifierBase of npm. If id is "", BumpPre
// continues the line of v: it adds 1 to the last identifier if that is a
// number, and otherwise appends ".0", so that rc9 becomes rc9.0. The result has
// no build metadata.
//
// Errors: a [*ParseError] if id is malformed, and a [*Violation] with the
// class ErrOrder if the result would not be above v, as for "beta" after rc.1.
func (v Version) BumpPre(id string) (Version, error) {
	if v.pre == 0 {
		return v.StartPre(Patch, id)
	}
	core, pre := v.Core(), v.Prerelease()
	if _, err := core.WithPrerelease(id); err != nil {
		return Version{}, err
	}
	line, _ := splitBase(id)
	rest, same := strings.CutPrefix(pre, line+".")
	first, _, _ := strings.Cut(rest, ".")
	if id == "" || (same || line == "") && numeric(first) {
		return core.WithPrerelease(raise(pre))
	}
	return v.started(core, id)
}

// splitBase splits an id such as "rc.1" into its line and the number with
// which the line begins.
func splitBase(id string) (line, base string) {
	i := strings.LastIndexByte(id, '.')
	if last := id[i+1:]; last != "" && numeric(last) {
		return id[:max(i, 0)], last
	}
	return id, "0"
}

// raise returns the pre-release that follows pre in its line.
func raise(pre string) string {
	i := strings.LastIndexByte(pre, '.') + 1
	if numeric(pre[i:]) {
		return pre[:i] + add(pre[i:], 1)
	}
	return pre + ".0"
}

// StartPre returns the first pre-release of the line id, see
// [Version.BumpPre], for the next patch, minor or major version after the
// numbers of v. For 1.2.3, Minor and "rc" it returns 1.3.0-rc.0, and for an
// empty id 1.3.0-0. For a line without a number, call [Version.Bump] and
// [Version.WithPrerelease].
//
// Errors: a [*ParseError] if id is malformed, and a [*Violation] with the
// class ErrOrder if p is not Patch, Minor or Major.
func (v Version) StartPre(p Part, id string) (Version, error) {
	return v.started(v.Core().Bump(p), id)
}

// started returns the first pre-release of the line id before core, if that
// is above v.
func (v Version) started(core Version, id string) (Version, error) {
	line, base := splitBase(id)
	if line != "" {
		line += "."
	}
	next, err := core.WithPrerelease(line + base)
	if err != nil {
		return Version{}, err
	}
	if next.Compare(v) <= 0 {
		return Version{}, &Violation{Version: next, Rule: "above " + quote.Cut(v.String()), Err: ErrOrder}
	}
	return next, nil
}
