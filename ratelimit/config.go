package ratelimit

import (
	"context"
	"errors"
	"slices"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// Config configures a [Limiter].
type Config struct {
	Name       string  // names the Limiter in events and Stats, and its limits in errors; may be empty
	Limits     []Limit // all limits that an event must keep; required
	StartEmpty bool    // the bursts are not available at first, so that frequent restarts gain nothing

	// OnEvent is called with refusals. OnEvent may be nil. It is called
	// synchronously, outside locks, after the change that the event reports, in
	// the order of the changes. It may call back into this package and must not
	// block.
	OnEvent func(context.Context, Event)
}

// Validate returns an error that joins all problems of c.
func (c Config) Validate() error {
	prefix := "ratelimit: "
	if c.Name != "" {
		prefix += quote.Name(c.Name) + ": "
	}
	p := problems{prefix: prefix}
	p.add(len(c.Limits) == 0, "no limit, want at least 1")
	for _, l := range c.Limits {
		p.errs = append(p.errs, l.validate(prefix+"limit: "))
	}
	return errors.Join(p.errs...)
}

// withDefaults returns a copy of c with the defaults filled in.
func (c Config) withDefaults() Config {
	c.Limits = slices.Clone(c.Limits)
	for i, l := range c.Limits {
		c.Limits[i] = l.normal()
	}
	return c
}

// Config returns the configuration in force, with defaults filled in. Change
// the copy and pass it to [Limiter.Set] to change a rate or a burst alone.
func (l *Limiter) Config() Config {
	c := l.current().config
	c.Limits = slices.Clone(c.Limits)
	return c
}

// Set replaces the configuration in one step. No event is lost or admitted
// twice meanwhile.
//
//	kept:    tokens, debts, waiting callers, Stats, reservations not yet due
//	applied: the limits, Name and OnEvent, to the next call
//	reset:   reservations that are due: Cancel and Settle return nothing
//
// The first finite limit continues with the tokens or the debt of the first
// finite limit before, and so on, up to the new bursts. A finite limit without
// a predecessor starts full. StartEmpty has no effect.
//
// A waiting caller whose turn can never come now gets an error when it is the
// first. Reservations keep their instants, and later events make room for them.
//
// Errors: see [Config.Validate]; nothing changes. The zero Limiter cannot be
// changed.
func (l *Limiter) Set(c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if l.epoch.IsZero() {
		return errors.New("ratelimit: the zero Limiter cannot be changed, want a Limiter made by New")
	}
	r := newRules(c)
	r.word.Store(sealed)
	ns := l.begin()
	defer l.unseal()
	old := l.current().buckets
	tats := make([]int64, len(r.buckets))
	for i := range tats {
		tats[i] = full
		if i < len(old) {
			tats[i] = r.buckets[i].inherit(&old[i], l.tats[i], ns)
		}
	}
	l.tats = tats
	l.history.convert(r.buckets)
	l.rules.Store(r)
	l.promote(ns)
	return nil
}
