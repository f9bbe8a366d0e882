package retryafter_test

import (
	"math"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/internal/retryafter"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// at is a date of HTTP, d after now.
func at(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }

func TestParse(t *testing.T) {
	h := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	const never = time.Duration(math.MaxInt64)
	for _, test := range []struct {
		name   string
		header http.Header
		want   time.Duration
		ok     bool
	}{
		{"nil header", nil, 0, false},
		{"absent", h("Date", at(0)), 0, false},
		{"empty", h("Retry-After", ""), 0, false},
		{"seconds", h("Retry-After", "120"), 2 * time.Minute, true},
		{"zero", h("Retry-After", "0"), 0, true},
		{"leading zeros", h("Retry-After", "000120"), 2 * time.Minute, true},
		{"space around", h("Retry-After", " \t120\t "), 2 * time.Minute, true},
		{"negative", h("Retry-After", "-1"), 0, false},
		{"a sign", h("Retry-After", "+1"), 0, false},
		{"a fraction", h("Retry-After", "1.5"), 0, false},
		{"space within", h("Retry-After", "1 2"), 0, false},
		{"digits of another script", h("Retry-After", "١٢"), 0, false},
		{"a list", h("Retry-After", "1, 2"), 0, false},
		{"beyond 31 bits", h("Retry-After", "2147483648"), 2147483648 * time.Second, true},
		{"the largest that fits", h("Retry-After", "9223372036"), 9223372036 * time.Second, true},
		{"the first that does not fit", h("Retry-After", "9223372037"), never, true},
		{"beyond 64 bits", h("Retry-After", "18446744073709551617"), never, true},
		{"a thousand digits", h("Retry-After", strings.Repeat("9", 1000)), never, true},
		{"seconds, aged", h("Retry-After", "120", "Age", "20"), 100 * time.Second, true},
		{"seconds, older than the pause", h("Retry-After", "120", "Age", "121"), 0, true},
		{"seconds, an endless age", h("Retry-After", "120", "Age", strings.Repeat("9", 30)), 0, true},
		{"seconds, a malformed age", h("Retry-After", "120", "Age", "-20"), 2 * time.Minute, true},
		{"seconds ignore the date", h("Retry-After", "120", "Date", at(time.Hour)), 2 * time.Minute, true},
		{"a date", h("Retry-After", at(time.Minute)), time.Minute, true},
		{"a date that is over", h("Retry-After", at(-time.Minute)), 0, true},
		{"a date, RFC 850", h("Retry-After", now.Add(time.Minute).Format("Monday, 02-Jan-06 15:04:05 GMT")), time.Minute, true},
		{"a date, asctime", h("Retry-After", now.Add(time.Minute).Format(time.ANSIC)), time.Minute, true},
		{"a date of a clock that is late", h("Retry-After", at(-59*time.Minute), "Date", at(-time.Hour)), time.Minute, true},
		{"a date of a clock that is early", h("Retry-After", at(61*time.Minute), "Date", at(time.Hour)), time.Minute, true},
		{"a date, aged", h("Retry-After", at(time.Minute), "Date", at(0), "Age", "20"), 40 * time.Second, true},
		{"a date, an endless age", h("Retry-After", at(time.Minute), "Date", at(0), "Age", strings.Repeat("9", 30)), 0, true},
		{"a date, a malformed Date", h("Retry-After", at(time.Minute), "Date", "today"), time.Minute, true},
		{"a date in the year 9999", h("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"), never, true},
		{"neither", h("Retry-After", "soon"), 0, false},
		{"the first valid line", h("Retry-After", "soon", "Retry-After", "7", "Retry-After", "9"), 7 * time.Second, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, ok := retryafter.Parse(test.header, now); got != test.want || ok != test.ok {
				t.Errorf("Parse = %v, %v, want %v, %v", got, ok, test.want, test.ok)
			}
		})
	}
}

// FuzzParse compares seconds with an oracle of unbounded integers and holds
// every other value to the promises.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"120", "9223372037", at(time.Minute), "-1", "", " 5 "} {
		f.Add(seed, "", "")
		f.Add(seed, at(-time.Hour), "30")
	}
	f.Fuzz(func(t *testing.T, value, date, age string) {
		h := http.Header{"Retry-After": {value}, "Date": {date}, "Age": {age}}
		got, ok := retryafter.Parse(h, now)
		if got < 0 || !ok && got != 0 {
			t.Fatalf("Parse = %v, %v", got, ok)
		}
		want, digits := nanoseconds(value)
		if !digits {
			return
		}
		if older, ok := nanoseconds(age); ok {
			want.Sub(want, older)
		}
		if want.Sign() < 0 {
			want.SetInt64(0)
		}
		if !ok || want.Cmp(big.NewInt(int64(got))) != 0 {
			t.Fatalf("Parse(%q, age %q) = %v, %v, want %v", value, age, got, ok, want)
		}
	})
}

// nanoseconds reads digits as seconds, at most the largest Duration.
func nanoseconds(s string) (*big.Int, bool) {
	s = strings.Trim(s, " \t")
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return nil, false
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return nil, false
	}
	n.Mul(n, big.NewInt(int64(time.Second)))
	if most := big.NewInt(math.MaxInt64); n.Cmp(most) > 0 {
		n = most
	}
	return n, true
}
