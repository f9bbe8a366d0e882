package semver

import (
	"cmp"
	"fmt"
	"slices"
)

// Event is a point in the history of a vulnerability, as in the OSV schema,
// https://ossf.github.io/osv-schema/#affectedrangesevents-fields. Exactly one
// field is set, to a strict version; Introduced may be "0", before every
// version, and Limit "*", after every version.
type Event struct {
	Introduced   string `json:"introduced,omitempty"`    // the first version affected
	Fixed        string `json:"fixed,omitempty"`         // the first version no longer affected
	LastAffected string `json:"last_affected,omitempty"` // the last version affected
	Limit        string `json:"limit,omitempty"`         // versions from here on are not concerned
}

// The keys of an event, in the order in which events at one version count.
const (
	keyIntroduced = iota
	keyLastAffected
	keyFixed
	keyLimit
)

// change is an event, parsed.
type change struct {
	key int
	at  Version
	end bool // Limit "*"
}

// ParseOSV returns the versions that events of an OSV range of type SEMVER
// declare affected, in any order of the events. Order is plain precedence:
// fixed in 1.2.0 leaves 1.2.0-rc.1 affected. The error wraps ErrEvents, and
// holds a [*ParseError] for a malformed version: there is no event, an event
// has no field or several, none is Introduced, or Fixed and LastAffected are
// mixed. Note that an advisory without SEMVER ranges says nothing of the
// versions, which does not make them safe.
func ParseOSV(events ...Event) (Range, error) {
	changes := make([]change, len(events))
	var has [keyLimit + 1]bool
	for i, e := range events {
		c, err := e.parse()
		if err != nil {
			return Range{}, fmt.Errorf("semver: event %d: %w", i, err)
		}
		changes[i], has[c.key] = c, true
	}
	if !has[keyIntroduced] {
		return Range{}, fmt.Errorf("semver: %w: none introduces the vulnerability", ErrEvents)
	}
	if has[keyFixed] && has[keyLastAffected] {
		return Range{}, fmt.Errorf("semver: %w: both fixed and last_affected", ErrEvents)
	}
	slices.SortFunc(changes, func(a, b change) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.key, b.key))
	})
	return affected(changes, has[keyLimit]), nil
}

// parse returns the event's key and version.
func (e Event) parse() (change, error) {
	var text string
	c := change{key: -1}
	for key, s := range [...]string{e.Introduced, e.LastAffected, e.Fixed, e.Limit} {
		if s == "" {
			continue
		}
		if c.key >= 0 {
			return c, fmt.Errorf("%w: several keys", ErrEvents)
		}
		c.key, text = key, s
	}
	switch {
	case c.key < 0:
		return c, fmt.Errorf("%w: no key", ErrEvents)
	case c.key == keyIntroduced && text == "0":
		c.at = origin
		return c, nil
	case c.key == keyLimit && text == "*":
		c.end = true
		return c, nil
	}
	v, err := Parse(text)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrEvents, err)
	}
	c.at = v
	return c, nil
}

// affected runs through sorted changes as the evaluation algorithm of the
// schema does.
func affected(changes []change, limited bool) Range {
	var spans []Interval
	last := func() *Interval { return &spans[len(spans)-1] }
	limit := plain(origin, origin)
	limit.Unbounded = !limited
	for _, c := range changes {
		on := len(spans) > 0 && last().Unbounded
		switch {
		case c.key == keyLimit: // the highest counts
			limit.Hi, limit.Unbounded = c.at, limit.Unbounded || c.end
		case c.key == keyIntroduced && !on:
			spans = append(spans, from(c.at))
		case c.key == keyFixed && on:
			last().atMost(c.at)
		case c.key == keyLastAffected && on:
			last().atMost(c.at.next())
		}
	}
	return newRange("", spans).Intersect(newRange("", []Interval{limit}))
}
