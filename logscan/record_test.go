package logscan_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
)

func TestNumbersOfRecords(t *testing.T) {
	r := &logscan.Record{Line: []byte("n=42 f=1.5 d=1m3.5s ms=250 x=y nan=NaN big=1e300")}
	if err := logscan.Logfmt().Parse(r); err != nil {
		t.Fatal(err)
	}
	n, ok := r.Int("n")
	checkEqual(t, fmt.Sprint(n, ok), "42 true")
	n, ok = r.Int("f")
	checkEqual(t, fmt.Sprint(n, ok), "0 false")
	f, ok := r.Float("f")
	checkEqual(t, fmt.Sprint(f, ok), "1.5 true")
	_, ok = r.Float("nan")
	checkEqual(t, ok, false)
	d, ok := r.Duration("d", time.Millisecond)
	checkEqual(t, fmt.Sprint(d, ok), "1m3.5s true")
	d, ok = r.Duration("ms", time.Millisecond)
	checkEqual(t, fmt.Sprint(d, ok), "250ms true")
	for _, key := range []string{"x", "none", "big"} {
		if d, ok := r.Duration(key, math.MaxInt64); ok {
			t.Errorf("%s is %v", key, d)
		}
	}
}
