package advisory

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/redoubt-go/redoubt/semver"
)

// ErrEvents is the class of the errors of [ParseOSV].
var ErrEvents = errors.New("advisory: malformed OSV events")

// An Event is a point in the history of a vulnerability, as in the OSV schema,
// https://ossf.github.io/osv-schema/#affectedrangesevents-fields. Exactly one
// field is set, to a strict version. Introduced may be "0", which is below
// every version, and Limit may be "*", which is above every version.
type Event struct {
	Introduced   string `json:"introduced,omitempty"`    // the first affected version
	Fixed        string `json:"fixed,omitempty"`         // the first version that is no longer affected
	LastAffected string `json:"last_affected,omitempty"` // the last affected version
	Limit        string `json:"limit,omitempty"`         // the advisory does not concern versions from here on
}

// The keys of an event, in the order in which events at the same version
// apply.
const (
	keyIntroduced = iota
	keyLastAffected
	keyFixed
	keyLimit
)

// A change is a parsed event.
type change struct {
	key int
	at  semver.Version
	end bool // Limit is "*"
}

// ParseOSV returns the versions that the events of an OSV range of type SEMVER
// declare affected. The events may have any order. Versions compare by plain
// precedence: fixed in 1.2.0 leaves 1.2.0-rc.1 affected. An advisory without
// SEMVER ranges does not make any version safe.
//
// Errors: ErrEvents if there is no event, an event has no field or several
// fields, no event is Introduced, or events are Fixed and LastAffected. For a
// malformed version it also wraps a [*semver.ParseError].
func ParseOSV(events ...Event) (semver.Range, error) {
	changes := make([]change, len(events))
	var has [keyLimit + 1]bool
	for i, e := range events {
		c, err := e.parse()
		if err != nil {
			return semver.Range{}, fmt.Errorf("%w: event %d: %w", ErrEvents, i, err)
		}
		changes[i], has[c.key] = c, true
	}
	if !has[keyIntroduced] {
		return semver.Range{}, fmt.Errorf("%w: no event is introduced", ErrEvents)
	}
	if has[keyFixed] && has[keyLastAffected] {
		return semver.Range{}, fmt.Errorf("%w: both fixed and last_affected", ErrEvents)
	}
	slices.SortFunc(changes, func(a, b change) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.key, b.key))
	})
	return affected(changes, has[keyLimit]), nil
}

// parse returns the key and the version of the event.
func (e Event) parse() (change, error) {
	var text string
	c := change{key: -1}
	for key, s := range [...]string{e.Introduced, e.LastAffected, e.Fixed, e.Limit} {
		if s == "" {
			continue
		}
		if c.key >= 0 {
			return c, errors.New("several keys")
		}
		c.key, text = key, s
	}
	switch {
	case c.key < 0:
		return c, errors.New("no key")
	case c.key == keyIntroduced && text == "0":
		c.at = lowest
		return c, nil
	case c.key == keyLimit && text == "*":
		c.end = true
		return c, nil
	}
	v, err := semver.Parse(text)
	c.at = v
	return c, err
}

// lowest is the lowest version.
var lowest = semver.MustParse("0.0.0-0")

// affected applies sorted changes as the evaluation algorithm of the schema
// does.
func affected(changes []change, limited bool) semver.Range {
	var (
		parts    []semver.Range
		since    semver.Version // the start of the affected versions
		on       bool           // whether versions are affected from since on
		limit    = lowest
		noLimits = !limited
	)
	for _, c := range changes {
		switch {
		case c.key == keyLimit: // the highest counts
			limit, noLimits = c.at, noLimits || c.end
		case c.key == keyIntroduced && !on:
			since, on = c.at, true
		case c.key == keyFixed && on:
			parts, on = append(parts, semver.Between(since, c.at)), false
		case c.key == keyLastAffected && on:
			parts, on = append(parts, semver.Closed(since, c.at)), false
		}
	}
	if on {
		parts = append(parts, semver.AtLeast(since))
	}
	all := semver.Range{}.Union(parts...)
	if noLimits {
		return all
	}
	return all.Intersect(semver.Below(limit))
}
