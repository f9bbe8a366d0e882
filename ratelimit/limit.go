package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Limit is a rate and a burst: N events per Per on average, and at most Burst at one instant. It is a small
// comparable value; its text, "100/s burst 20", is what [ParseLimit] reads.
//
// N and Burst may be zero: without a rate the burst is all there ever is, without a burst nothing is admitted.
// A Limit with a negative N or Burst, or with a Per that is not positive, admits nothing; so does the zero Limit.
// Rates above 16 events per nanosecond count as 16 per nanosecond, bursts above 2^61 events as 2^61.
type Limit struct {
	N     int64         // events per Per; [math.MaxInt64] means without limit, whatever Burst says
	Per   time.Duration // the time in which N events come back
	Burst int64         // events that may happen at one instant, after a pause long enough
}

// Inf is the limit that admits everything.
var Inf = Limit{N: math.MaxInt64, Per: time.Second, Burst: math.MaxInt64}

// maxText bounds the text of a limit, in bytes. The longest that String writes has 70.
const maxText = 128

// Per returns the limit of n events per d, with a burst of n.
func Per(n int64, d time.Duration) Limit { return Limit{N: n, Per: d, Burst: n} }

// PerSecond returns the limit of n events per second, with a burst of n.
func PerSecond(n int64) Limit { return Per(n, time.Second) }

// PerMinute returns the limit of n events per minute, with a burst of n.
func PerMinute(n int64) Limit { return Per(n, time.Minute) }

// PerHour returns the limit of n events per hour, with a burst of n.
func PerHour(n int64) Limit { return Per(n, time.Hour) }

// Every returns the limit of one event per d, with a burst of one: events at least d apart. As with any Limit, a d
// that is not positive admits nothing.
func Every(d time.Duration) Limit { return Per(1, d) }

// WithBurst returns l with a burst of n events.
func (l Limit) WithBurst(n int64) Limit {
	l.Burst = n
	return l
}

// infinite reports whether l admits everything.
func (l Limit) infinite() bool { return l.N == math.MaxInt64 && l.Per > 0 }

// check reports why l admits nothing by mistake rather than by intent.
func (l Limit) check() error {
	switch {
	case l.N < 0:
		return errors.New("negative number of events")
	case l.Per <= 0:
		return errors.New("period is not positive")
	case l.Burst < 0:
		return errors.New("negative burst")
	}
	return nil
}

// String returns the text of l: "100/s", "5/1m30s burst 10" or "inf". The burst is left out when it equals N.
func (l Limit) String() string {
	if l.infinite() {
		return "inf"
	}
	text := strconv.FormatInt(l.N, 10) + "/" + periodText(l.Per)
	if l.Burst != l.N {
		text += " burst " + strconv.FormatInt(l.Burst, 10)
	}
	return text
}

// periodText is d.String without zeros at the end, and without the number if that is one: 24h, m, 1m30s.
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

// ParseLimit reads "N/PERIOD" or "N/PERIOD burst B": N and B in decimal, PERIOD a positive duration as
// [time.ParseDuration] reads it, in which a first number of one may be left out, as in "5/s". Without a burst, it is N.
// The word "inf" is [Inf].
//
// The error says what is wrong with the text, and quotes at most 64 bytes of it.
func ParseLimit(s string) (Limit, error) {
	l, err := parseLimit(s)
	if err != nil {
		return Limit{}, fmt.Errorf("ratelimit: limit %q: %w", s[:min(len(s), 64)], err)
	}
	return l, nil
}

func parseLimit(s string) (l Limit, err error) {
	if len(s) > maxText {
		return l, fmt.Errorf("longer than %d bytes", maxText)
	}
	if s == "inf" {
		return Inf, nil
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
	}
	return l, l.check()
}

// parseCount reads digits only: no sign, no blanks.
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

// MarshalText implements [encoding.TextMarshaler] with the text of [Limit.String]. The error says why l has no text
// that [ParseLimit] would accept.
func (l Limit) MarshalText() ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("ratelimit: limit: %w", err)
	}
	return []byte(l.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseLimit] and returns its errors. After an error l is
// as before.
func (l *Limit) UnmarshalText(text []byte) error {
	parsed, err := ParseLimit(string(text))
	if err == nil {
		*l = parsed
	}
	return err
}
