package ratelimithttp

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// ParseAny returns the quotas of the first of [ParseRateLimit],
// [ParseOldRateLimit], [ParseXRateLimit] and [ParseAnthropic] that finds any.
//
// Errors: if none finds quotas, the error of the first that fails.
func ParseAny(h http.Header) ([]Quota, error) {
	var first error
	for _, parse := range []func(http.Header) ([]Quota, error){ParseRateLimit, ParseOldRateLimit, ParseXRateLimit, ParseAnthropic} {
		quotas, err := parse(h)
		if len(quotas) > 0 {
			return quotas, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// ParseOldRateLimit parses the fields of drafts 0 to 7 of
// draft-ietf-httpapi-ratelimit-headers: RateLimit-Limit, RateLimit-Remaining
// and RateLimit-Reset or, in draft 7, RateLimit with the keys limit, remaining
// and reset.
//
// Errors: a field is longer than 4096 bytes, or is malformed. With an error,
// ParseOldRateLimit returns no quotas.
func ParseOldRateLimit(h http.Header) ([]Quota, error) {
	var quotas []Quota
	var err error
	if h["Ratelimit"] == nil {
		quotas, err = family{h: h, prefix: "Ratelimit-"}.parse()
	} else {
		quotas = []Quota{none("")}
		if err = quotas[0].dictionary(h); quotas[0] == none("") {
			quotas = nil
		}
	}
	for i := range quotas {
		if q := &quotas[i]; err == nil && q.Limit >= 0 && q.Window == 0 {
			err = parseField(h, "Ratelimit-Policy", q.policies)
		}
	}
	if err != nil {
		return nil, err
	}
	return quotas, nil
}

// dictionary parses RateLimit of draft 7.
func (q *Quota) dictionary(h http.Header) error {
	keys := map[string]string{"limit": "q", "remaining": "r", "reset": "t"}
	return parseField(h, "Ratelimit", func(p *parser) error {
		entries, err := p.dictionary()
		for _, e := range entries {
			if key := keys[e.key]; err == nil && key != "" && !q.set(key, e.value) {
				err = errParam
			}
		}
		return err
	})
}

// ParseXRateLimit parses the fields X-RateLimit-Limit, X-RateLimit-Remaining
// and X-RateLimit-Reset in the forms of widely used servers, such as GitHub,
// GitLab, Reddit, Discord, Kong and Envoy, and with the spelling X-Rate-Limit.
// Fields with a suffix, such as X-RateLimit-Remaining-Tokens, are a quota with
// the name of the suffix. The suffix requests or tokens, with a prefix or not,
// is a token bucket as of OpenAI: its reset is the time until the whole limit
// is available.
//
// A reset is a number of seconds, a date, or a duration such as 6m0s. A number
// of at least 10^8 is a Unix time in seconds, and of at least 10^11 in
// milliseconds. Dates are compared with the Date field, if present.
//
// Errors: a field is longer than 4096 bytes, or is malformed. With an error,
// ParseXRateLimit returns no quotas.
func ParseXRateLimit(h http.Header) ([]Quota, error) {
	quotas, err := family{h: h, prefix: "X-Ratelimit-"}.parse()
	if err == nil && quotas == nil {
		return family{h: h, prefix: "X-Rate-Limit-"}.parse()
	}
	return quotas, err
}

// ParseAnthropic parses fields such as Anthropic-RateLimit-Requests-Limit,
// -Remaining and -Reset, which describe token buckets by the time at which the
// whole limit is available.
//
// Errors: a field is longer than 4096 bytes, or is malformed. With an error,
// ParseAnthropic returns no quotas.
func ParseAnthropic(h http.Header) ([]Quota, error) {
	return family{h: h, prefix: "Anthropic-Ratelimit-", nameFirst: true}.parse()
}

// A family is a set of fields with a common prefix. Each field contains a value
// of a quota. The name of a quota, if any, follows the kind of the value, or
// comes first.
type family struct {
	h         http.Header
	prefix    string
	nameFirst bool
}

// maxNames bounds the quotas of a family.
const maxNames = 16

func (f family) parse() ([]Quota, error) {
	names := f.names()
	var quotas []Quota
	for _, name := range names {
		q, err := f.quota(name)
		if err != nil {
			return nil, err
		}
		if q.Limit >= 0 || q.Remaining >= 0 {
			quotas = append(quotas, q)
		}
	}
	return quotas, nil
}

// names returns the names for which the header has a limit or a remainder.
func (f family) names() (names []string) {
	for key := range f.h {
		rest, ok := strings.CutPrefix(key, f.prefix)
		if !ok {
			continue
		}
		for _, kind := range []string{"Limit", "Remaining"} {
			name, found := strings.CutPrefix(rest, kind)
			if f.nameFirst {
				name, found = strings.CutSuffix(rest, "-"+kind)
			}
			if found && (name == "" || f.nameFirst || name[0] == '-') && !slices.Contains(names, name) && len(names) < maxNames {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// field returns the name of the field for a kind of value.
func (f family) field(kind, name string) string {
	if f.nameFirst {
		return f.prefix + name + "-" + kind
	}
	return f.prefix + kind + name
}

func (f family) quota(name string) (Quota, error) {
	q := none(strings.ToLower(strings.TrimPrefix(name, "-")))
	if q.Name != "requests" && strings.HasSuffix(q.Name, "tokens") {
		q.Unit = "tokens"
	}
	err := parseField(f.h, f.field("Limit", name), q.policies)
	if err == nil {
		err = parseField(f.h, f.field("Remaining", name), func(p *parser) error { return q.remaining(p.text) })
	}
	reset, field := f.h[f.field("Reset-After", name)], f.field("Reset-After", name)
	if reset == nil {
		field = f.field("Reset", name)
	}
	if err == nil {
		err = parseField(f.h, field, func(p *parser) error { return q.reset(p.text, f.now()) })
	}
	if period, ok := periods[q.Name]; ok && q.Window == 0 {
		q.Window = period
	}
	if f.nameFirst || q.Name == "requests" || strings.HasSuffix(q.Name, "-requests") || q.Unit != "" {
		q.refill()
	}
	return q, err
}

// periods are the windows that names of quotas give.
var periods = map[string]time.Duration{
	"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour,
}

// now returns the time of the server, as far as the header gives it.
func (f family) now() time.Time {
	if t, err := http.ParseTime(f.h.Get("Date")); err == nil {
		return t
	}
	return time.Now()
}

// policies parses a limit, and the policies that may follow it, as in 10,
// 10;w=1;name="per-ip". The first policy with the same number is the policy of
// the quota.
func (q *Quota) policies(p *parser) error {
	if p.text == "" {
		return nil
	}
	members, err := p.list()
	if err != nil {
		return err
	}
	for i := range members {
		m := &members[i]
		if m.value.kind != kindInteger || m.value.n < 0 {
			return errType
		}
		if q.Limit < 0 {
			q.Limit = m.value.n
		}
		w, ok := m.param("w")
		if q.Window > 0 || !ok || m.value.n != q.Limit {
			continue
		}
		if !q.set("w", w) {
			return errParam
		}
		if name, ok := m.param("name"); ok && name.kind == kindString && q.Name == "" {
			q.Name = name.text
		}
	}
	return nil
}

// remaining parses a number of events, which may have decimals.
func (q *Quota) remaining(text string) error {
	v, ok := number(strings.Trim(text, " \t"))
	if text != "" && !ok {
		return errType
	}
	if text != "" {
		q.Remaining = int64(min(v, maxInteger))
	}
	return nil
}

// number parses digits with at most one point.
func number(s string) (float64, bool) {
	if len(s) > 20 || s == "" || !isDigit(s[0]) || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

// reset parses the time until more events are available.
func (q *Quota) reset(text string, now time.Time) error {
	text = strings.Trim(text, " \t")
	if text == "" {
		return nil
	}
	if v, ok := number(text); ok {
		switch {
		case v >= 1e11:
			v -= float64(now.UnixMilli())
			v /= 1e3
		case v >= 1e8:
			v -= float64(now.UnixNano()) / 1e9
		}
		q.Reset = time.Duration(min(max(v, 0)*1e9, math.MaxInt64/2))
		return nil
	}
	if d, err := time.ParseDuration(text); err == nil && isDigit(text[0]) {
		q.Reset = d
		return nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		if t, err = http.ParseTime(text); err != nil {
			return errors.New("want seconds, a date or a duration, got " + quote.Text(text))
		}
	}
	q.Reset = max(t.Sub(now), 0)
	return nil
}

// refill changes the reset of a token bucket from the time until the whole
// limit is available to the time until one more event is, and finds the rate.
func (q *Quota) refill() {
	if used := q.Limit - q.Remaining; q.Remaining >= 0 && used > 0 && q.Reset > 0 {
		q.Burst = q.Limit
		q.Window = time.Duration(min(float64(q.Reset)/float64(used)*float64(q.Limit), math.MaxInt64/2))
		q.Reset = max(q.Reset/time.Duration(used), 1)
	}
}
