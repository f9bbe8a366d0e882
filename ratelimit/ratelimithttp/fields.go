package ratelimithttp

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// AddFields adds the fields RateLimit-Policy and RateLimit of a decision to h.
// The policies are the limits, or d.Limit if there are none. A policy has the
// name of its limit. A limit without a name is called "default" if it is the
// only limit, and otherwise by its text, such as "5/s". If limits have the same
// name, it is followed by their texts, as in "api 5/s". Limits that admit
// everything are left out.
//
// RateLimit contains the parameter redoubt-burst if events come back one after
// the other. Then a [Transport] need not wait for whole seconds.
func AddFields(h http.Header, d ratelimit.Decision, limits ...ratelimit.Limit) {
	f := newFields(d.Limit, limits, defaultName)
	if f.policy != "" {
		h["Ratelimit-Policy"] = append(h["Ratelimit-Policy"], f.policy)
	}
	if line := f.state(d); line != "" {
		h["Ratelimit"] = append(h["Ratelimit"], line)
	}
}

// A fields is the constant part of the fields of a decision.
type fields struct {
	limit  ratelimit.Limit   // that decided
	limits []ratelimit.Limit // all limits
	name   string            // of limit
	quoted string            // the same, for a field
	policy string            // RateLimit-Policy
	burst  string            // the parameter of RateLimit for a token bucket
}

// newFields returns the fields of a limit that decided, among limits. A single
// limit without a name is called by the name def.
func newFields(decided ratelimit.Limit, limits []ratelimit.Limit, def string) *fields {
	f := &fields{limit: decided, limits: limits}
	if len(limits) == 0 {
		limits = []ratelimit.Limit{decided}
	}
	name := func(l ratelimit.Limit) string {
		alike := 0
		for _, other := range limits {
			if other.Name == l.Name {
				alike++
			}
		}
		switch {
		case alike > 1: // the names of the policies must differ
			return strings.TrimSpace(l.Name + " " + l.String())
		case l.Name == "" && len(limits) > 1:
			return l.String()
		}
		return cmp.Or(l.Name, def)
	}
	f.name = name(decided)
	f.quoted = quoted(f.name)
	var policies []string
	for _, l := range limits {
		if l.N < math.MaxInt64 {
			policies = append(policies, quoted(name(l))+policy(l))
		}
	}
	f.policy = strings.Join(policies, ", ")
	if b := burst(decided); decided.N > 0 && b > 0 {
		f.burst = fmt.Sprintf(";"+burstParam+"=%d", min(b, maxInteger))
	}
	return f
}

// policy returns the parameters of a limit.
func policy(l ratelimit.Limit) string {
	if l.N <= 0 || l.Per <= 0 {
		return fmt.Sprintf(";q=%d", min(burst(l), maxInteger)) // never comes back
	}
	q, w := quota(l)
	return fmt.Sprintf(";q=%d;w=%d", q, w)
}

func burst(l ratelimit.Limit) int64 {
	if l.Burst == 0 {
		return max(l.N, 0)
	}
	return max(l.Burst, 0)
}

// state returns RateLimit for a decision.
func (f *fields) state(d ratelimit.Decision) string {
	if d.Limit.N == math.MaxInt64 {
		return ""
	}
	var buf [128]byte
	text := append(append(buf[:0], f.quoted...), ";r="...)
	text = strconv.AppendInt(text, min(max(d.Remaining, 0), maxInteger), 10)
	t := d.RetryAfter // the same instant as Retry-After
	if d.OK {
		t = more(d)
	}
	if t > 0 {
		text = strconv.AppendInt(append(text, ";t="...), seconds(t), 10)
	}
	if !d.AtOnce {
		text = append(text, f.burst...)
	}
	return string(text)
}

// more returns the time until Remaining grows. The bucket is whole after
// ResetAfter, and the events above Remaining come back one by one until then.
func more(d ratelimit.Decision) time.Duration {
	missing := burst(d.Limit) - d.Remaining - 1 // after the next event
	if d.AtOnce || d.ResetAfter <= 0 || d.Limit.N <= 0 || d.Limit.Per <= 0 || missing <= 0 {
		return d.ResetAfter
	}
	hi, lo := bits.Mul64(uint64(missing), uint64(d.Limit.Per))
	if hi >= uint64(d.Limit.N) {
		return d.ResetAfter
	}
	rest, _ := bits.Div64(hi, lo, uint64(d.Limit.N))
	return max(d.ResetAfter-time.Duration(rest), 1)
}

// maxInteger is the largest integer of a structured field.
const maxInteger = 999_999_999_999_999

// quota returns a number of events and a number of whole seconds that allow at
// most as much as l. It looks for a window of up to 100 times the period of l
// that allows less than 1 % less.
func quota(l ratelimit.Limit) (q, w int64) {
	least := max(1, seconds(l.Per))
	for m := int64(1); m <= 100 && least <= maxInteger/m; m++ {
		n, rest := events(l, least*m)
		if m == 1 || n*w > q*least*m { // more events per second
			q, w = n, least*m
		}
		if float64(rest) < 0.01*float64(l.Per)*float64(q) {
			break
		}
	}
	return q, w
}

// events returns the number of events of l in w seconds, and the time that
// remains, times l.N.
func events(l ratelimit.Limit, w int64) (n int64, rest uint64) {
	hi, lo := bits.Mul64(uint64(l.N), uint64(w))
	if hi > 0 {
		return maxInteger, 0
	}
	hi, lo = bits.Mul64(lo, 1e9)
	if hi >= uint64(l.Per) {
		return maxInteger, 0
	}
	v, rest := bits.Div64(hi, lo, uint64(l.Per))
	return int64(min(v, maxInteger)), rest
}

// seconds returns d in seconds, rounded up.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}

// quoted returns s as a String of a structured field, which is a JSON string
// too. Characters that a String cannot contain become "?".
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, c := range s {
		if i >= maxName {
			break
		}
		if c < ' ' || c > '~' {
			c = '?'
		}
		if c == '"' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	b.WriteByte('"')
	return b.String()
}

// maxName bounds the bytes of the name of a policy.
const maxName = 64
