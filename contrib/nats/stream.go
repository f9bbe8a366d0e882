package redoubtnats

import (
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// window is the time in which AuditStream recognizes an event that is sent
// again.
const window = 10 * time.Minute

// AuditStream returns the configuration of a stream for audit events. The
// stream keeps three copies of each event on disk. It removes no event: if it
// is full, it refuses new events. Events can be neither deleted nor purged. Set
// MaxBytes before you create the stream, or MaxAge if old events may be
// removed.
func AuditStream(name string, subjects ...string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: name, Subjects: subjects, Storage: jetstream.FileStorage, Replicas: 3,
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, Duplicates: window,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, DenyDelete: true, DenyPurge: true, AllowDirect: true,
	}
}

// checkStream reports every setting with which the stream can lose an event
// that it has acknowledged.
func checkStream(c jetstream.StreamConfig, subject string, replicas int, least time.Duration) error {
	p := problems{prefix: "stream " + quote.Name(c.Name)}
	p.add(!slices.ContainsFunc(c.Subjects, func(f string) bool { return covers(f, subject) }),
		"Subjects do not contain %s", quote.Name(subject))
	p.add(c.Replicas < replicas, "Replicas is %d, want at least %d", c.Replicas, replicas)
	p.add(c.Storage != jetstream.FileStorage, "Storage is %v, want File", c.Storage)
	p.add(c.Retention != jetstream.LimitsPolicy, "Retention is %v, want Limits: it removes events that were read", c.Retention)
	p.add(c.Discard != jetstream.DiscardNew, "Discard is %v, want DiscardNew: a full stream removes events", c.Discard)
	p.add(c.MaxMsgsPerSubject > 0 && !c.DiscardNewPerSubject,
		"MaxMsgsPerSubject is %d without DiscardNewPerSubject: it removes events", c.MaxMsgsPerSubject)
	p.add(c.Duplicates < least, "Duplicates is %v, want at least %v: an event that is sent again would be stored twice", c.Duplicates, least)
	p.add(c.NoAck, "NoAck is set: no event is acknowledged")
	p.add(c.Sealed, "Sealed is set: no event is accepted")
	p.add(c.AllowRollup, "AllowRollup is set: a message can replace all events")
	p.add(c.PersistMode != jetstream.DefaultPersistMode, "PersistMode is %v, want default: events are acknowledged before they are written", c.PersistMode)
	if err := p.join(); err != nil {
		return fmt.Errorf("%w:\n%w", ErrWeak, err)
	}
	return nil
}
