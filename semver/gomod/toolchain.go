package gomod

import (
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
)

// ParseToolchain parses the name of a Go toolchain or the version of a go
// directive, https://go.dev/doc/toolchain#version:
//
//	go1.26.0        1.26.0
//	1.26rc2         1.26.0-rc.2
//	1.26            1.26.0-0, a language version, below 1.26rc1
//	1.20            1.20.0, as Go 1.20 and older have no 1.20.0
//	go1.26.0-acme   1.26.0+acme
//
// The results compare as Go compares the names, apart from build metadata,
// which precedence ignores as Go does.
//
// Errors: a [*semver.ParseError].
func ParseToolchain(name string) (semver.Version, error) {
	rest := strings.TrimPrefix(name, "go")
	number, suffix, custom := strings.Cut(rest, "-")
	end := len(number)
	number = strings.TrimRight(number, digits)
	count := rest[len(number):end]
	number = strings.TrimRight(number, "abcdefghijklmnopqrstuvwxyz")
	kind := rest[len(number) : end-len(count)]
	if kind == "" {
		number, count = rest[:end], ""
	}
	v, err := semver.AllowPartial.Parse(number)
	dots := strings.Count(number, ".")
	switch {
	case err != nil || strings.Trim(number, digits+".") != "" || kind != "" && dots != 1:
		return fail(name, len(name)-len(rest))
	case kind != "":
		v, err = v.WithPrerelease(strings.TrimSuffix(kind+"."+count, "."))
	case dots == 1 && v.Minor() >= 21:
		v, err = v.WithPrerelease("0")
	}
	if err == nil && custom {
		v, err = v.WithBuild(suffix)
	}
	if err != nil || custom && suffix == "" {
		return fail(name, len(name)-len(suffix))
	}
	return v, nil
}

const digits = "0123456789"

// fail returns the error of a malformed toolchain name.
func fail(name string, offset int) (semver.Version, error) {
	return semver.Version{}, &semver.ParseError{
		Kind: "toolchain", Input: quote.Cut(name), Offset: offset, Err: semver.ErrSyntax,
	}
}

// ToolchainName returns the name of a toolchain, and false if v is not a
// version that [ParseToolchain] returns.
func ToolchainName(v semver.Version) (string, bool) {
	name := "go" + v.Core().String()
	short := strings.TrimSuffix(name, ".0")
	old := v.Minor() < 21
	kind, count, _ := strings.Cut(v.Prerelease(), ".")
	switch {
	case v.Prerelease() == "0" && !old:
		name = short
	case v.IsPrerelease():
		name = short + kind + count
	case old:
		name = short
	}
	if v.Build() != "" {
		name += "-" + v.Build()
	}
	back, err := ParseToolchain(name)
	return name, err == nil && back == v
}
