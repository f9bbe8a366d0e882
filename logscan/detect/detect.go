package detect

import (
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

const (
	defaultMaxKeys  = 1 << 16
	defaultEvidence = 3
	maxLimit        = 1 << 16
	maxEvidence     = 16
	evidenceSize    = 256     // bytes of a piece of evidence
	maxDuration     = 1 << 60 // 36 years in ns; longer ones are no different
)

// AnyEvent as Config.Limit makes every event an alert.
const AnyEvent = -1

// A Config says when a detector raises an alert.
type Config struct {
	_ [0]func()

	// Name appears in alerts and Stats.
	Name string

	// Limit is how many are tolerated in Per, from 1 to 65536; one more is an
	// alert. AnyEvent makes every event an alert. Required.
	Limit int

	// Per is the length of the window: at time t it is (t-Per, t]. Required.
	Per time.Duration

	// Cooldown is for how long after an alert its key raises no other. The
	// default is Per; negative means none.
	Cooldown time.Duration

	// MaxSkew is how much earlier than the latest event of its key an event may
	// be. What is earlier is late: it is counted in Stats.Late and does not count
	// for an alert, until more than Limit in a row were late. Then the clock has
	// been set back, and counting begins anew. The default is Per; negative
	// means that events come in order.
	MaxSkew time.Duration

	// MaxKeys is the most keys held. The default is 65536. There is no
	// unlimited: less than zero means the default. The size of a key, where it
	// is a string, is for the caller to bound.
	MaxKeys int

	// Evidence is how many pieces of the evidence given to a detector are held
	// of each key and shown by an alert, at most 16. The default is 3, negative
	// means none.
	Evidence int
}

// Validate reports all that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("detect: "+format, args...))
	}
	if c.Limit != AnyEvent && (c.Limit < 1 || c.Limit > maxLimit) {
		bad("Limit is %d, want 1 to %d, or AnyEvent", c.Limit, maxLimit)
	}
	if c.Per <= 0 {
		bad("Per is %v, want at least 1ns", c.Per)
	}
	if c.MaxKeys < 0 {
		bad("MaxKeys is %d, want at least 0 (%d)", c.MaxKeys, defaultMaxKeys)
	}
	if c.Evidence > maxEvidence {
		bad("Evidence is %d, want at most %d", c.Evidence, maxEvidence)
	}
	return errors.Join(errs...)
}

// withDefaults panics with the error of Validate.
func (c Config) withDefaults() Config {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	c.Limit = max(c.Limit, 0) // AnyEvent tolerates none
	if c.Cooldown == 0 {
		c.Cooldown = c.Per
	}
	if c.MaxSkew == 0 {
		c.MaxSkew = c.Per
	}
	c.Per, c.Cooldown = min(c.Per, maxDuration), min(c.Cooldown, maxDuration)
	c.MaxSkew = min(max(c.MaxSkew, 0), maxDuration)
	if c.MaxKeys == 0 {
		c.MaxKeys = defaultMaxKeys
	}
	c.MaxKeys = min(c.MaxKeys, 1<<30) // so that places are int32
	if c.Evidence == 0 {
		c.Evidence = defaultEvidence
	}
	return c
}

// An Alert tells that a key has exceeded the limit. It shares no memory with its
// detector.
type Alert[K comparable] struct {
	Name  string    // Config.Name
	Key   K         // who
	Count int       // how many in the window, as far as they are held: always more than Limit
	First time.Time // the earliest of them
	Last  time.Time // the latest of them
	Exact bool      // false: events may have been forgotten, so that Count is a lower bound

	// Evidence is the latest that was given with events of the key, the
	// earliest first: at most Config.Evidence pieces of at most 256 bytes. It is as the
	// attacker wrote it; to print it, use %q or String, which escape what a terminal
	// would obey.
	Evidence []string
}

// String returns a line for people, and one for each piece of evidence. The key,
// cut at 64 bytes, and the evidence are quoted.
func (a Alert[K]) String() string {
	var b strings.Builder
	if a.Name != "" {
		b.WriteString(quote.Name(a.Name) + ": ")
	}
	fmt.Fprintf(&b, "%s: %d from %s to %s", quote.Text(fmt.Sprint(a.Key)), a.Count, a.First.Format(time.RFC3339), a.Last.Format(time.RFC3339))
	for _, e := range a.Evidence {
		fmt.Fprintf(&b, "\n\t%q", e)
	}
	return b.String()
}

// LogValue returns the fields as a group, the key as text.
func (a Alert[K]) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("name", a.Name),
		slog.String("key", quote.Cut(fmt.Sprint(a.Key))),
		slog.Int("count", a.Count),
		slog.Time("first", a.First),
		slog.Time("last", a.Last),
		slog.Bool("exact", a.Exact),
		slog.Any("evidence", a.Evidence),
	)
}

// Stats are the counts of a detector.
type Stats struct {
	Name     string `json:"name"`     // Config.Name
	Observed uint64 `json:"observed"` // calls of Observe, Fail and Succeed
	Alerts   uint64 `json:"alerts"`   // alerts raised
	Late     uint64 `json:"late"`     // events older than MaxSkew allows
	Evicted  uint64 `json:"evicted"`  // keys forgotten for want of room
	Keys     int    `json:"keys"`     // keys held now
}

var shardSeed = maphash.MakeSeed()

// Shard returns which of n detectors, from 0 on, is to see the events of key: the
// same for equal keys as long as the process runs, and not to be foreseen by who
// chooses them. n below 1 counts as 1.
func Shard[K comparable](key K, n int) int {
	return int(maphash.Comparable(shardSeed, key) % uint64(max(n, 1)))
}
