package ratelimithttp

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Quota is one limit that a server announces.
type Quota struct {
	Name      string        // of the policy; may be empty
	Unit      string        // of the numbers, such as "tokens"; empty means requests
	Limit     int64         // events per Window; -1 if absent
	Window    time.Duration // 0 if absent
	Burst     int64         // events at the same instant, if events come back one by one; 0 if all come back at once, or if unknown
	Remaining int64         // events left; -1 if absent
	Reset     time.Duration // the time until more events are available; -1 if absent
}

// none returns a Quota without values.
func none(name string) Quota { return Quota{Name: name, Limit: -1, Remaining: -1, Reset: -1} }

// maxField bounds the bytes of a field over all lines, and so the number of
// quotas.
const maxField = 4096

// burstParam is the parameter of RateLimit by which AddFields announces a token
// bucket.
const burstParam = "redoubt-burst"

// ParseRateLimit parses the fields RateLimit and RateLimit-Policy of drafts 8
// to 11 of draft-ietf-httpapi-ratelimit-headers. It returns a Quota for each
// name, in the order of first occurrence. If a parameter occurs again for the
// same name, the last value counts. Unknown parameters are skipped.
//
// Errors: a field is longer than 4096 bytes, is not well-formed according to
// RFC 9651, or contains a member or a parameter of another type than the draft
// defines. With an error, ParseRateLimit returns no quotas.
func ParseRateLimit(h http.Header) ([]Quota, error) {
	var quotas []Quota
	for _, field := range []string{"Ratelimit-Policy", "Ratelimit"} {
		err := parseField(h, field, func(p *parser) error {
			members, err := p.list()
			for i := range members {
				if err == nil {
					quotas, err = addMember(quotas, &members[i])
				}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return quotas, nil
}

// parseField parses the lines of a field as one text.
func parseField(h http.Header, field string, parse func(*parser) error) error {
	text := strings.Join(h[field], ",")
	if len(text) > maxField {
		return fmt.Errorf("ratelimithttp: %s: longer than %d bytes", field, maxField)
	}
	p := parser{text: text}
	if err := parse(&p); err != nil {
		return fmt.Errorf("ratelimithttp: %s: at byte %d of %s: %w", field, p.pos, quote.Text(text), err)
	}
	return nil
}

func addMember(quotas []Quota, m *member) ([]Quota, error) {
	if m.value.kind != kindString {
		return nil, errType
	}
	i := 0
	for i < len(quotas) && quotas[i].Name != m.value.text {
		i++
	}
	if i == len(quotas) {
		quotas = append(quotas, none(m.value.text))
	}
	q := &quotas[i]
	for _, e := range m.params {
		if !q.set(e.key, e.value) {
			return nil, errParam
		}
	}
	return quotas, nil
}

// set sets the value of a known parameter. It reports whether the parameter is
// unknown or has the right type.
func (q *Quota) set(key string, v bare) bool {
	count := v.kind == kindInteger && v.n >= 0
	switch key {
	case "q":
		q.Limit = v.n
	case "w":
		q.Window, count = duration(v.n), count && v.n > 0
	case "r":
		q.Remaining = v.n
	case "t":
		q.Reset = duration(v.n)
	case burstParam:
		q.Burst = v.n
	case "qu":
		if q.Unit = v.text; v.text == "requests" {
			q.Unit = ""
		}
		return v.kind == kindString
	case "pk":
		return v.kind == kindBytes
	default:
		return true
	}
	return count
}

// duration returns s seconds, at most the largest Duration of whole seconds.
func duration(s int64) time.Duration {
	return time.Duration(min(s, math.MaxInt64/int64(time.Second))) * time.Second
}
