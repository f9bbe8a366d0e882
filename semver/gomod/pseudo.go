package gomod

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
)

// A Pseudo is the content of a Go pseudo-version: the identity of a commit that
// has no tag, https://go.dev/ref/mod#pseudo-versions.
type Pseudo struct {
	Base    semver.Version // the last tag before the commit, if HasBase
	HasBase bool           // whether there is a tag before the commit
	Time    time.Time      // the time of the commit, UTC, in seconds
	Rev     string         // the commit, usually 12 hexadecimal digits
}

// stampLayout is the layout of the time of a pseudo-version.
const stampLayout = "20060102150405"

// ParsePseudo returns the content of a pseudo-version and reports whether v is
// a pseudo-version. The forms are
//
//	X.0.0-yyyymmddhhmmss-REV        no tag before the commit
//	X.Y.Z-pre.0.yyyymmddhhmmss-REV  after the tag X.Y.Z-pre
//	X.Y.(Z+1)-0.yyyymmddhhmmss-REV  after the tag X.Y.Z
//
// Each may end with +incompatible, which Base then has too. Go writes a "v"
// before the version, so parse it with semver.AllowV.
func ParsePseudo(v semver.Version) (Pseudo, bool) {
	i := strings.LastIndexByte(v.Prerelease(), '-')
	if i < 0 {
		return Pseudo{}, false
	}
	stamped, rev := v.Prerelease()[:i], v.Prerelease()[i+1:]
	j := strings.LastIndexByte(stamped, '.') + 1
	stamp, err := time.Parse(stampLayout, stamped[j:])
	if err != nil || len(stamped)-j != len(stampLayout) || rev == "" || strings.Contains(rev, ".") {
		return Pseudo{}, false
	}
	p := Pseudo{Time: stamp, Rev: rev}
	switch before := strings.TrimSuffix(stamped[:j], "."); {
	case before == "":
		return p, v.Minor() == 0 && v.Patch() == 0 && v.Build() == ""
	case before == "0":
		p.Base, p.HasBase = previousPatch(v)
	default:
		pre, ok := strings.CutSuffix(before, ".0")
		p.Base, err = v.WithPrerelease(pre)
		p.HasBase = ok && err == nil
	}
	if !p.HasBase {
		return Pseudo{}, false
	}
	return p, true
}

// previousPatch returns the release before v with the build metadata of v.
func previousPatch(v semver.Version) (semver.Version, bool) {
	core := v.Core().String()
	i := strings.LastIndexByte(core, '.') + 1
	n, ok := new(big.Int).SetString(core[i:], 10)
	if !ok || n.Sign() == 0 {
		return semver.Version{}, false
	}
	text := core[:i] + n.Sub(n, big.NewInt(1)).String()
	if v.Build() != "" {
		text += "+" + v.Build()
	}
	base, err := semver.Parse(text)
	return base, err == nil
}

// Version returns the pseudo-version of p. If p has no Base, major is its
// first number. The pseudo-version is above Base and below the next release;
// [ParsePseudo] restores p.
//
// Errors: a [*semver.ParseError] if Rev is malformed, and
// semver.ErrUnsupported if the year of Time does not have four digits.
func (p Pseudo) Version(major uint64) (semver.Version, error) {
	if y := p.Time.UTC().Year(); y < 1000 || y > 9999 {
		return semver.Version{}, fmt.Errorf("gomod: year %d: %w", y, semver.ErrUnsupported)
	}
	if p.Rev == "" || strings.ContainsAny(p.Rev, ".+-") {
		return semver.Version{}, &semver.ParseError{Kind: "revision", Input: quote.Cut(p.Rev), Err: semver.ErrSyntax}
	}
	tail := p.Time.UTC().Format(stampLayout) + "-" + p.Rev
	switch {
	case !p.HasBase:
		return semver.Parse(strconv.FormatUint(major, 10) + ".0.0-" + tail)
	case p.Base.IsPrerelease():
		return p.Base.WithPrerelease(p.Base.Prerelease() + ".0." + tail)
	}
	v, err := p.Base.Bump(semver.Patch).WithPrerelease("0." + tail)
	if err != nil {
		return v, err
	}
	return v.WithBuild(p.Base.Build())
}
