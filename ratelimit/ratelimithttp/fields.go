package ratelimithttp

import (
	"fmt"
	"math/bits"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// A policy is the field RateLimit-Policy of a limit.
type policy struct {
	limit ratelimit.Limit
	field string
}

func (g *guard) addFields(h http.Header, d ratelimit.Decision, p *pass) {
	p.add(h, "Ratelimit-Policy", 0, g.policyOf(d.Limit).field)
	var buf [128]byte
	text := append(append(buf[:0], g.name...), ";r="...)
	text = strconv.AppendInt(text, min(d.Remaining, maxInteger), 10)
	t := d.ResetAfter
	if !d.OK {
		t = d.RetryAfter // the same instant as Retry-After
	}
	if t > 0 {
		text = strconv.AppendInt(append(text, ";t="...), seconds(t), 10)
	}
	p.add(h, "Ratelimit", 1, string(text))
}

// add adds a line to a field of h, in memory of p if it is the first.
func (p *pass) add(h http.Header, name string, i int, line string) {
	if h[name] != nil {
		h[name] = append(h[name], line)
		return
	}
	p.fields[i] = line
	h[name] = p.fields[i : i+1 : i+1]
}

func (g *guard) policyOf(l ratelimit.Limit) *policy {
	if p := g.policy.Load(); p != nil && p.limit == l {
		return p
	}
	q, w := quota(l)
	p := &policy{limit: l, field: fmt.Sprintf("%s;q=%d;w=%d", g.name, q, w)}
	g.policy.Store(p)
	return p
}

// maxInteger is the largest integer of a structured field.
const maxInteger = 999_999_999_999_999

// quota returns the number of events and the whole seconds, at least 1, of a
// policy that allows at most as much as l.
func quota(l ratelimit.Limit) (q, w int64) {
	if l.Per <= 0 {
		return 0, 1
	}
	w = max(1, seconds(l.Per))
	ns := uint64(w) * 1e9 // below 2^64: w exceeds Per by less than a second
	hi, lo := bits.Mul64(uint64(max(l.N, 0)), ns)
	if hi >= uint64(l.Per) {
		return maxInteger, w
	}
	v, _ := bits.Div64(hi, lo, uint64(l.Per))
	return int64(min(v, maxInteger)), w
}

// seconds returns d in seconds, rounded up.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}

// quoted returns printable ASCII as a String of a structured field, which is a
// JSON string too.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
