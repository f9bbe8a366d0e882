package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Limit is a rate and a burst: on average N events in each Per, and at most
// Burst events at the same instant. It is a small comparable value.
// [ParseLimit] reads the text of a Limit, such as "100/s burst 20".
//
// Rates above 16 events per nanosecond count as 16 events per nanosecond.
// Bursts above 2^61 events count as 2^61 events.
type Limit struct {
	N     int64         // events per Per; zero means that the burst never comes back; [math.MaxInt64] means no limit
	Per   time.Duration // the time in which N events come back; required
	Burst int64         // events at the same instant, after a pause; zero means N; [NoBurst] means none
	Name  string        // names the limit in errors and logs; not part of its text; may be empty
}

// NoBurst is the Burst of a Limit that admits nothing on purpose.
const NoBurst = -1

// Inf returns the limit that admits everything.
func Inf() Limit { return Limit{N: math.MaxInt64, Per: time.Second, Burst: math.MaxInt64} }

// maxText bounds the text of a limit, in bytes. String returns at most 70.
const maxText = 128

// Per returns the limit of n events per d, with a burst of n.
func Per(n int64, d time.Duration) Limit { return Limit{N: n, Per: d, Burst: n} }

// PerSecond returns the limit of n events per second, with a burst of n.
func PerSecond(n int64) Limit { return Per(n, time.Second) }

// PerMinute returns the limit of n events per minute, with a burst of n.
func PerMinute(n int64) Limit { return Per(n, time.Minute) }

// PerHour returns the limit of n events per hour, with a burst of n.
func PerHour(n int64) Limit { return Per(n, time.Hour) }

// PerDay returns the limit of n events per 24 hours, with a burst of n.
func PerDay(n int64) Limit { return Per(n, 24*time.Hour) }

// Every returns the limit of one event per d, with a burst of 1: events are
// at least d apart.
func Every(d time.Duration) Limit { return Per(1, d) }

// Rate returns the limit of perSecond events per second, with a burst of
// burst, for rates that are not whole numbers. It is exact to 1e-9 events per
// second. Rate(math.Inf(1), n) is [Inf]. If perSecond is negative or not a
// number, the limit is invalid.
func Rate(perSecond float64, burst int64) Limit {
	switch {
	case math.IsInf(perSecond, 1):
		return Inf()
	case !(perSecond >= 0):
		return Limit{N: -1, Per: time.Second, Burst: burst}
	case perSecond >= 1e9:
		return PerSecond(int64(min(perSecond, 1<<62))).WithBurst(burst)
	}
	const scale = 1_000_000_000
	n := int64(math.Round(perSecond * scale))
	a, b := int64(scale), n
	for b != 0 { // the greatest common divisor keeps the text short
		a, b = b, a%b
	}
	return Per(n/a, scale/time.Duration(a)*time.Second).WithBurst(burst)
}

// WithBurst returns l with a burst of n events. As in a literal, WithBurst(0)
// means a burst of N.
func (l Limit) WithBurst(n int64) Limit {
	l.Burst = n
	return l
}

// WithName returns l with a name.
func (l Limit) WithName(name string) Limit {
	l.Name = name
	return l
}

// infinite reports whether l admits everything.
func (l Limit) infinite() bool { return l.N == math.MaxInt64 && l.Per > 0 }

// normal returns l with the default of Burst filled in.
func (l Limit) normal() Limit {
	if l.Burst == 0 {
		l.Burst = l.N
	}
	return l
}

// Validate returns an error that joins all problems of l. A limit that admits
// nothing is an error, unless its Burst is [NoBurst].
func (l Limit) Validate() error { return l.validate("ratelimit: limit: ") }

func (l Limit) validate(prefix string) error {
	if l.Name != "" {
		prefix += quote.Name(l.Name) + ": "
	}
	p := problems{prefix: prefix}
	p.add(l.N < 0, "N is %d, want at least 0", l.N)
	p.add(l.Per <= 0, "Per is %v, want more than 0", l.Per)
	p.add(l.Burst < NoBurst, "Burst is %d, want at least 0, or NoBurst", l.Burst)
	p.add(l.N == 0 && l.Burst == 0, "N and Burst are 0, want more, or the Burst NoBurst to admit nothing")
	return errors.Join(p.errs...)
}

// validateWindow is validate for a Window or Counter of at most most events.
func (l Limit) validateWindow(prefix string, most int64) error {
	p := problems{prefix, []error{l.validate(prefix)}}
	p.add(l.N == 0 || l.N > most, "N is %d, want 1 to %d", l.N, most)
	p.add(l.Burst != 0 && l.Burst != l.N, "Burst is %d, want 0 or N", l.Burst)
	return errors.Join(p.errs...)
}

// problems collects the errors of a configuration.
type problems struct {
	prefix string
	errs   []error
}

func (p *problems) add(wrong bool, format string, args ...any) {
	if wrong {
		p.errs = append(p.errs, errors.New(p.prefix+fmt.Sprintf(format, args...)))
	}
}

// String returns the text of l: "100/s", "5/1m30s burst 10" or "inf". It
// leaves out a burst of N and the name. The text of NoBurst is "burst 0".
func (l Limit) String() string {
	if l.infinite() {
		return "inf"
	}
	text := strconv.FormatInt(l.N, 10) + "/" + periodText(l.Per)
	if burst := l.normal().Burst; burst != l.N {
		if burst == NoBurst {
			burst = 0
		}
		text += " burst " + strconv.FormatInt(burst, 10)
	}
	return text
}

// periodText returns d.String without trailing zeros, and without a number
// that is 1: 24h, m, 1m30s.
func periodText(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	if s[0] == '1' && !strings.ContainsAny(s[1:], ".0123456789") {
		s = s[1:]
	}
	return s
}

// ParseLimit parses "N/PERIOD" or "N/PERIOD burst B". N and B are decimal
// numbers. PERIOD is a positive duration in the syntax of
// [time.ParseDuration], in which a leading 1 may be left out, as in "5/s".
// Without a burst, the burst is N. "burst 0" is [NoBurst], and "inf" is [Inf].
//
// Errors: the error describes the problem and quotes at most 64 bytes of s.
func ParseLimit(s string) (Limit, error) {
	l, err := parseLimit(s)
	if err != nil {
		return Limit{}, fmt.Errorf("ratelimit: limit %s: %w", quote.Text(s), err)
	}
	return l, nil
}

// MustParseLimit is [ParseLimit] for texts that are part of the program. It
// panics with the error of ParseLimit.
func MustParseLimit(s string) Limit {
	l, err := ParseLimit(s)
	if err != nil {
		panic(err)
	}
	return l
}

func parseLimit(s string) (l Limit, err error) {
	if len(s) > maxText {
		return l, fmt.Errorf("longer than %d bytes", maxText)
	}
	if s == "inf" {
		return Inf(), nil
	}
	rate, burst, hasBurst := strings.Cut(s, " burst ")
	n, per, ok := strings.Cut(rate, "/")
	if !ok {
		return l, errors.New(`want the form "100/s burst 20"`)
	}
	if l.N, err = parseCount(n); err != nil {
		return l, err
	}
	if l.Per, err = parsePeriod(per); err != nil {
		return l, err
	}
	l.Burst = l.N
	if hasBurst {
		if l.Burst, err = parseCount(burst); err != nil {
			return l, err
		}
		if l.Burst == 0 {
			l.Burst = NoBurst
		}
	}
	return l, l.validate("")
}

// parseCount parses digits only: no sign, no blanks.
func parseCount(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, errors.New("want a whole number of events below 2^63")
	}
	return int64(n), nil
}

func parsePeriod(s string) (time.Duration, error) {
	if s != "" && s[0] > '9' { // a unit, or nonsense
		s = "1" + s
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, errors.New("want a period such as s, m, h or 1m30s")
	}
	return d, nil
}

// MarshalText implements [encoding.TextMarshaler] with the text of
// [Limit.String].
//
// Errors: see [Limit.Validate].
func (l Limit) MarshalText() ([]byte, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	return []byte(l.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseLimit]. It
// keeps the name of l.
//
// Errors: see [ParseLimit]; l does not change.
func (l *Limit) UnmarshalText(text []byte) error {
	parsed, err := ParseLimit(string(text))
	if err == nil {
		*l = parsed.WithName(l.Name)
	}
	return err
}
