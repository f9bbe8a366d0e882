package semver

import (
	"strings"
	"time"
)

// Pseudo is what a Go pseudo-version says of a commit without a tag,
// https://go.dev/ref/mod#pseudo-versions.
type Pseudo struct {
	Base Version   // the tag before the commit; the zero Version if there is none
	Time time.Time // when the commit was made, UTC, to the second
	Rev  string    // the commit, mostly 12 hexadecimal digits
}

// Pseudo takes a Go pseudo-version apart and reports whether v is one. The
// three forms are
//
//	X.0.0-yyyymmddhhmmss-REV        no tag before
//	X.Y.Z-pre.0.yyyymmddhhmmss-REV  after X.Y.Z-pre
//	X.Y.(Z+1)-0.yyyymmddhhmmss-REV  after X.Y.Z
//
// each possibly with +incompatible, which Base then has too. Parse them with
// AllowV, for Go writes a "v" before them. A pseudo-version sorts above its
// base and below whatever would be tagged next.
func (v Version) Pseudo() (Pseudo, bool) {
	i := strings.LastIndexByte(v.Prerelease(), '-')
	if i < 0 {
		return Pseudo{}, false
	}
	stamped, rev := v.Prerelease()[:i], v.Prerelease()[i+1:]
	j := strings.LastIndexByte(stamped, '.') + 1
	stamp, err := time.Parse("20060102150405", stamped[j:])
	if err != nil || len(stamped)-j != 14 || rev == "" || strings.Contains(rev, ".") {
		return Pseudo{}, false
	}
	base, ok := v.base(strings.TrimSuffix(stamped[:j], "."))
	return Pseudo{Base: base, Time: stamp, Rev: rev}, ok
}

// base returns the version that a pseudo-version with the given text before
// its time was made from.
func (v Version) base(before string) (Version, bool) {
	switch pre, ok := strings.CutSuffix(before, ".0"); {
	case before == "":
		return Version{}, v.minor == 0 && v.patch == 0 && v.Build() == ""
	case before == "0":
		if v.patch == 0 {
			return Version{}, false
		}
		n := v.decimals()
		n[2] = decrement(n[2])
		base, err := fromDecimals(n).WithBuild(v.Build())
		return base, err == nil
	case ok:
		base, err := v.WithPrerelease(pre)
		return base, err == nil
	default:
		return Version{}, false
	}
}
