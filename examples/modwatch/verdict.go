package main

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/gomod"
)

// A verdict is the answer to a question.
type verdict struct {
	module
	Kind       string   `json:"kind,omitempty"`       // of an unusual version: "pseudo-version"
	Compatible string   `json:"compatible,omitempty"` // the newest version that ^current admits
	Latest     string   `json:"latest,omitempty"`     // the newest release
	Update     string   `json:"update"`               // the kind of update to Latest: "patch", "minor", "major", "-"; "no answer", "not asked" or "not recorded" if unknown
	Advisories []string `json:"advisories,omitempty"`
	MoveTo     string   `json:"move_to,omitempty"` // the lowest published version that no advisory names, or noFix; without advisories, the newest
}

func (v verdict) vulnerable() bool { return len(v.Advisories) > 0 }
func (v verdict) outdated() bool   { return v.Latest != "" && v.Update != "-" }

// noFix is the version to move to if all published versions are vulnerable.
const noFix = "no fix yet"

// errNotAsked is the answer about modules that an interrupted run did not
// reach.
var errNotAsked = errors.New("not asked")

// notable reports whether the report lists the verdict.
func (v verdict) notable() bool {
	return v.vulnerable() || v.outdated() || v.Update == "no answer" || v.Update == "not recorded"
}

// judge returns the verdict about a module, from its published versions or from
// the error of the question.
func judge(m module, known hazards, versions []string, err error) verdict {
	v := verdict{module: m, Update: "-"}
	current, parseErr := semver.AllowV.Parse(m.Version)
	if parseErr != nil {
		v.Update = "unreadable version"
		return v
	}
	published := parseAll(versions)
	if bad := weak(known[m.Path], current, &v); !bad.IsEmpty() {
		v.MoveTo = noFix
		if safe, ok := bad.Complement().Intersect(semver.AtLeast(current)).Min(slices.Values(published)); ok {
			v.MoveTo = "v" + safe.String()
		}
	}
	switch {
	case errors.Is(err, cache.ErrNotFound):
		v.Update = "not recorded"
	case errors.Is(err, errNotAsked):
		v.Update = "not asked"
	case err != nil:
		v.Update = "no answer"
	}
	caret := semver.MustParseRange("^" + current.WithoutBuild().String())
	if best, ok := caret.Max(slices.Values(published)); ok && current.Less(best) {
		v.Compatible = "v" + best.String()
	}
	if latest, ok := semver.Releases().Max(slices.Values(published)); ok && current.Less(latest) {
		v.Latest, v.Update = "v"+latest.String(), strings.ToLower(current.Diff(latest).String())
		if v.Update == "pre" {
			v.Update = "pre-release"
		}
	}
	v.MoveTo = cmp.Or(v.MoveTo, v.Compatible, v.Latest)
	v.Kind = kindOf(current)
	return v
}

// weak records the advisories that affect the current version, and returns all
// affected versions of the module.
func weak(known []hazard, current semver.Version, v *verdict) (bad semver.Range) {
	for _, h := range known {
		if h.affected.Contains(current) && !slices.Contains(v.Advisories, h.id) { // a record may have several ranges
			v.Advisories = append(v.Advisories, h.id)
		}
		bad = bad.Union(h.affected)
	}
	if !v.vulnerable() {
		return semver.Range{}
	}
	return bad
}

// kindOf returns the kind of an unusual version.
func kindOf(v semver.Version) string {
	_, pseudo := gomod.ParsePseudo(v)
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

// parseAll skips texts that are not versions: the proxy is not trusted.
func parseAll(texts []string) (versions []semver.Version) {
	for _, text := range texts {
		if v, err := semver.AllowV.Parse(text); err == nil {
			versions = append(versions, v)
		}
	}
	return versions
}
