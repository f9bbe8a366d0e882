package semver

import (
	"math"
	"strings"
)

// Bump returns the lowest release above v that begins a new patch, minor or
// major version: Minor gives X.Y.0, Major X.0.0. From a pre-release that may
// be its own release: Bump(Minor) of 1.2.0-rc.1 is 1.2.0. Numbers grow to any
// size. Any other part leaves v as it is.
func (v Version) Bump(p Part) Version {
	if p < Patch {
		return v
	}
	aligned := p == Patch || v.patch == 0 && (p == Minor || v.minor == 0)
	if v.pre != 0 && aligned {
		return v.Core()
	}
	return v.step(p)
}

// step raises number p of v's core by one and sets those after it to 0.
func (v Version) step(p Part) Version {
	if v.core != 0 || max(v.major, v.minor, v.patch) >= math.MaxUint64-1 {
		return v.stepWide(p)
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

// stepWide is step in decimal.
func (v Version) stepWide(p Part) Version {
	n := v.decimals()
	i := int(Major - p)
	n[i] = increment(n[i])
	for i++; i < len(n); i++ {
		n[i] = "0"
	}
	return fromDecimals(n)
}

// BumpPre returns the next pre-release of the line id, such as "rc":
//
//	1.2.3-rc.1, "rc"   → 1.2.3-rc.2
//	1.2.3-alpha, "beta" → 1.2.3-beta.0
//	1.2.3, "rc"        → 1.2.4-rc.0
//
// With an empty id it stays in the line of v: the last identifier is raised
// if it is a number, else ".0" is added, so rc9 gives rc9.0. Build metadata
// is dropped. The error wraps ErrOrder if the result would not be higher, as
// for "beta" after rc.1, and is a [*ParseError] if id is malformed.
func (v Version) BumpPre(id string) (Version, error) {
	if v.pre == 0 {
		return v.StartPre(Patch, id)
	}
	pre := v.Prerelease()
	rest, same := strings.CutPrefix(pre, id+".")
	if first, _, _ := strings.Cut(rest, "."); id == "" || same && numeric(first) {
		return v.WithoutBuild().WithPrerelease(raise(pre))
	}
	return v.started(v.Core(), id)
}

// raise returns the pre-release that follows pre in its line.
func raise(pre string) string {
	i := strings.LastIndexByte(pre, '.') + 1
	if numeric(pre[i:]) {
		return pre[:i] + increment(pre[i:])
	}
	return pre + ".0"
}

// StartPre returns the first pre-release of the line id for the next patch,
// minor or major version after v's numbers: 1.2.3, Minor, "rc" gives
// 1.3.0-rc.0. An empty id gives 1.3.0-0. The error is a [*ParseError] if id
// is malformed, and wraps ErrOrder if the result would not be higher, which
// takes a p below Patch.
func (v Version) StartPre(p Part, id string) (Version, error) {
	return v.started(v.Core().Bump(p), id)
}

// started returns core-id.0, if that is above v.
func (v Version) started(core Version, id string) (Version, error) {
	if id != "" {
		id += "."
	}
	next, err := core.WithPrerelease(id + "0")
	if err != nil {
		return Version{}, err
	}
	if next.Compare(v) <= 0 {
		return Version{}, &Violation{Version: next, Rule: "above " + cut(v.String()), Err: ErrOrder}
	}
	return next, nil
}
