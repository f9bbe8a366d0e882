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
	maxDuration     = 1 << 60 // 36 years in ns; longer durations make no difference
)

// AnyEvent is the [Config].Limit that makes every event an alert.
const AnyEvent = -1

// A Config describes when a detector raises an alert.
type Config struct {
	_ [0]func()

	// Name appears in alerts and [Stats]. It may be empty.
	Name string

	// Limit is the number of tolerated events in Per, from 1 to 65536. The
	// next event is an alert. [AnyEvent] tolerates none. Required.
	Limit int

	// Per is the length of the window. At time t, the window is (t-Per, t].
	// Required.
	Per time.Duration

	// Cooldown is the time after an alert in which its key raises no other
	// alert. Zero means Per. Negative means no cooldown.
	Cooldown time.Duration

	// MaxSkew is the time by which an event may be earlier than the latest
	// event of its key. An earlier event is late: it is counted in
	// [Stats].Late and not in the window. After more than Limit+1 late
	// events in a row, the clock is taken to be set back, and the count of
	// the key begins again. Zero means Per. Negative means that every
	// earlier event is late.
	MaxSkew time.Duration

	// MaxKeys bounds the number of keys. The caller must bound the size of
	// a key that is a string. Zero means 65536. A negative value is
	// invalid.
	MaxKeys int

	// Evidence is the number of pieces of evidence that are kept for each
	// key and shown by an alert, at most 16. Zero means 3. Negative means
	// none.
	Evidence int
}

// Validate reports every field whose value is missing or out of range.
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

// An Alert reports that a key has exceeded the limit. It shares no memory with
// its detector.
type Alert[K comparable] struct {
	Name  string    // Config.Name
	Key   K         // the key of the events
	Count int       // events or values in the window, more than Limit
	First time.Time // time of the earliest
	Last  time.Time // time of the latest
	Exact bool      // if false, events may have been forgotten: Count is a lower bound

	// Evidence is the latest evidence of the key, the earliest piece first:
	// at most Config.Evidence pieces of at most 256 bytes. An attacker may
	// have written it. Print it with %q or [Alert.String], which escape
	// control characters.
	Evidence []string
}

// String returns a line for people and a further line for each piece of
// evidence. The key and the evidence are quoted, and the key is cut at 64
// bytes.
func (a Alert[K]) String() string {
	var b strings.Builder
	if a.Name != "" {
		b.WriteString(quote.Name(a.Name) + ": ")
	}
	first, last := a.First.Format(time.RFC3339), a.Last.Format(time.RFC3339)
	fmt.Fprintf(&b, "%s: %d from %s to %s", quote.Text(fmt.Sprint(a.Key)), a.Count, first, last)
	for _, e := range a.Evidence {
		fmt.Fprintf(&b, "\n\t%q", e)
	}
	return b.String()
}

// LogValue returns the fields as a group, with the key as text.
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

// Stats is a snapshot of the counts of a detector. All but Keys only grow.
type Stats struct {
	Name     string `json:"name"`     // Config.Name
	Observed uint64 `json:"observed"` // calls of Observe, Fail and Succeed
	Alerts   uint64 `json:"alerts"`   // alerts raised
	Late     uint64 `json:"late"`     // events older than MaxSkew allows
	Evicted  uint64 `json:"evicted"`  // keys forgotten to make room
	Screened uint64 `json:"screened"` // events of keys without a place that occur too seldom for a place
	Keys     int    `json:"keys"`     // keys held now
}

var shardSeed = maphash.MakeSeed()

// Shard returns the detector, from 0 to n-1, that observes the events of key.
// Equal keys have the same detector as long as the process runs. A client that
// chooses the keys cannot predict it. If n < 1, Shard returns 0.
func Shard[K comparable](key K, n int) int {
	return int(maphash.Comparable(shardSeed, key) % uint64(max(n, 1)))
}
