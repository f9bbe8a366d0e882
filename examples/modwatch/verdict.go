package main

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/semver"
)

// A verdict is the answer to a question.
type verdict struct {
	module
	allowed    string // the newest version that ^current admits
	latest     string // the newest release of all
	step       string // how far latest is: "patch", "minor", "major", "-"; "no answer" or "not recorded" if unknown
	advisories []string
	moveTo     string // the lowest published version that no advisory names, or "none yet"; without advisories, the newest
}

func (v verdict) vulnerable() bool { return len(v.advisories) > 0 }
func (v verdict) outdated() bool   { return v.latest != "" && v.step != "-" }

// judge weighs what is known of a module: its published versions, or why they are not known.
func judge(m module, versions []string, err error) verdict {
	v := verdict{module: m, step: "-"}
	current, parseErr := semver.AllowV.Parse(m.version)
	if parseErr != nil {
		v.step = "unreadable version"
		return v
	}
	known := parseAll(versions)
	if bad := weak(m.path, current, &v); !bad.IsEmpty() {
		v.moveTo = "none yet"
		if safe, ok := bad.Complement().Intersect(semver.AtLeast(current)).Min(slices.Values(known)); ok {
			v.moveTo = "v" + safe.String()
		}
	}
	switch {
	case errors.Is(err, cache.ErrNotFound):
		v.step = "not recorded"
	case err != nil:
		v.step = "no answer"
	}
	caret := semver.MustParseRange("^" + current.WithoutBuild().String())
	if best, ok := caret.Max(slices.Values(known)); ok && current.Less(best) {
		v.allowed = "v" + best.String()
	}
	if latest, ok := semver.Releases().Max(slices.Values(known)); ok && current.Less(latest) {
		v.latest, v.step = "v"+latest.String(), strings.ToLower(current.Diff(latest).String())
	}
	v.moveTo = cmp.Or(v.moveTo, v.allowed, v.latest)
	if kind := kindOf(current); kind != "" {
		v.step += " (in use: " + kind + ")"
	}
	return v
}

// weak notes the advisories that name the current version, and returns the versions that those of its module name.
func weak(path string, current semver.Version, v *verdict) (bad semver.Range) {
	for _, a := range advisories {
		affected, err := semver.ParseOSV(a.events...)
		if a.module != path || err != nil {
			continue
		}
		if affected.Contains(current) {
			v.advisories = append(v.advisories, a.id)
		}
		bad = bad.Union(affected)
	}
	if !v.vulnerable() {
		return semver.Range{}
	}
	return bad
}

// kindOf names what is unusual about a version in use.
func kindOf(v semver.Version) string {
	_, pseudo := v.Pseudo()
	switch {
	case pseudo:
		return "pseudo-version"
	case v.IsPrerelease():
		return "pre-release"
	case v.Build() == "incompatible":
		return "+incompatible"
	}
	return ""
}

// parseAll leaves out what is no version: a proxy's word is not trusted.
func parseAll(texts []string) (versions []semver.Version) {
	for _, text := range texts {
		if v, err := semver.AllowV.Parse(text); err == nil {
			versions = append(versions, v)
		}
	}
	return versions
}
