package logscan_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
)

func TestLoopLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		var open int
		var sc logscan.Scanner
		in := tracked(&open, "a\nb\n", "c\n")
		for range sc.Records(t.Context(), in) {
			checkEqual(t, open, 1)
			break
		}
		checkEqual(t, open, 0)
		func() {
			defer func() { checkEqual(t, recover(), any("boom")) }()
			for range sc.Records(t.Context(), in) {
				panic("boom")
			}
		}()
		checkEqual(t, open, 0)
		done := make(chan bool)
		go func() {
			defer close(done)
			for range sc.Records(t.Context(), in) {
				runtime.Goexit()
			}
		}()
		<-done
		checkEqual(t, open, 0)
	})
}

func TestContextEnds(t *testing.T) {
	var open, records int
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var errs []error
	var counters logscan.Counters
	sc := logscan.Scanner{Stats: &counters}
	for _, err := range sc.Records(ctx, tracked(&open, "a\nb\n", "c\n")) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		records++
		cancel(cause)
	}
	checkEqual(t, []int{records, open}, []int{1, 0})
	if len(errs) != 1 || !errors.Is(errs[0], context.Canceled) || !errors.Is(errs[0], cause) {
		t.Errorf("errors: got %v, want one that matches context.Canceled and the cause", errs)
	}
	before := counters.Stats()
	for rec, err := range sc.Records(ctx, tracked(&open, "a\n")) {
		if rec != nil || !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
			t.Errorf("with a context that is done: got %v, %v", rec, err)
		}
	}
	checkEqual(t, counters.Stats(), before)
}

func TestContextEndsBetweenInputs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	opened, failed := 0, 0
	in := logscan.Input{Open: func(context.Context) (io.ReadCloser, error) {
		opened++
		cancel()
		return io.NopCloser(strings.NewReader("")), nil
	}}
	for _, err := range (logscan.Scanner{}).Records(ctx, func(yield func(logscan.Input, error) bool) {
		for yield(in, nil) {
		}
	}) {
		if errors.Is(err, context.Canceled) {
			failed++
		}
	}
	checkEqual(t, []int{opened, failed}, []int{1, 1})
}

func TestKeptRecord(t *testing.T) {
	sc := logscan.Scanner{Parser: logscan.JSON("m")}
	var kept, cloned []*logscan.Record
	var line []byte
	for rec := range sc.Records(t.Context(), logscan.Readers("", strings.NewReader(`{"m":"\u0061"}`+"\n"+`{"m":"\u0062"}`+"\n"))) {
		if len(kept) == 0 {
			line = rec.Line
		}
		kept = append(kept, rec)
		cloned = append(cloned, rec.Clone())
		copy(rec.Line, "overwritten")
		copy(rec.Get("m"), "x")
	}
	if kept[0] != kept[1] {
		t.Error("two records, want one that is used again")
	}
	checkEqual(t, []string{string(cloned[0].Get("m")), string(cloned[1].Get("m"))}, []string{"a", "b"})
	checkEqual(t, string(cloned[0].Line), `{"m":"\u0061"}`)
	if logscan.Poison {
		checkEqual(t, string(line), strings.Repeat("!", 14))
	}
}

// Appending to the bytes of a record must not change the bytes behind them.
func TestAppendCopies(t *testing.T) {
	for _, p := range []logscan.Parser{nil, logscan.JSON("a"), logscan.JSON(), logscan.MustPattern(`{"a":"<a>"<_>`)} {
		var got []string
		for rec := range (logscan.Scanner{Parser: p}).Records(t.Context(), logscan.Readers("", strings.NewReader(`{"a":"x","b":1}`+"\n"+`{"a":"y","b":2}`+"\n"))) {
			for _, v := range rec.Fields() {
				_ = append(v, "!!!!"...)
			}
			got = append(got, string(rec.Line))
			_ = append(rec.Line, "!!!!"...)
		}
		checkEqual(t, got, []string{`{"a":"x","b":1}`, `{"a":"y","b":2}`})
	}
}

func TestMalformedIsCounted(t *testing.T) {
	var counters logscan.Counters
	var refused []string
	sc := logscan.Scanner{
		Parser: logscan.JSON("a"),
		Stats:  &counters,
		Malformed: func(r *logscan.Record, err error) error {
			if !errors.Is(err, logscan.ErrMalformed) {
				t.Errorf("line %d: got %v, want ErrMalformed", r.Num, err)
			}
			if v := r.Get("a"); v != nil {
				t.Errorf("line %d: field %q on a malformed record", r.Num, v)
			}
			refused = append(refused, fmt.Sprint(r.Num, " ", string(r.Line)))
			return nil
		},
	}
	in := logscan.Readers("x", strings.NewReader("{\"a\":1}\nnot json\n{\"a\":1} x\n{\"a\":2}\n"))
	n := 0
	for _, err := range sc.Records(t.Context(), in) {
		if err != nil {
			t.Error(err)
		}
		n++
	}
	checkEqual(t, refused, []string{"2 not json", "3 {\"a\":1} x"})
	checkEqual(t, counters.Stats(), logscan.Stats{Inputs: 1, ReadBytes: 35, DecodedBytes: 35, Records: 4, Delivered: 2, Malformed: 2})

	stop := errors.New("stop")
	sc.Malformed = func(*logscan.Record, error) error { return stop }
	var errs []error
	for _, err := range sc.Records(t.Context(), logscan.Readers("x", strings.NewReader("{}\nbad\n{}\n"))) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) != 1 || errs[0] != stop {
		t.Errorf("errors: got %v, want the hook's once", errs)
	}
}

// A scan that waits for its input has published all its counts.
func TestCountedWhileReading(t *testing.T) {
	var counters logscan.Counters
	var seen uint64
	last := readerFunc(func([]byte) (int, error) {
		seen = counters.Stats().Records
		return 0, io.EOF
	})
	rows(logscan.Scanner{Stats: &counters}, io.MultiReader(strings.NewReader("a\nb\nc\n"), last))
	checkEqual(t, seen, uint64(3))
}

func TestParserPanics(t *testing.T) {
	var counters logscan.Counters
	var open int
	sc := logscan.Scanner{Stats: &counters, Parser: parserFunc(func(r *logscan.Record) error {
		if r.Num == 2 {
			panic("boom")
		}
		return nil
	})}
	func() {
		defer func() { checkEqual(t, recover(), any("boom")) }()
		for range sc.Records(t.Context(), tracked(&open, "a\nb\nc\n")) {
		}
	}()
	checkEqual(t, open, 0)
	checkEqual(t, counters.Stats(), logscan.Stats{Inputs: 1, ReadBytes: 6, DecodedBytes: 6, Records: 1, Delivered: 1})
}

func TestAllocsPerRecord(t *testing.T) {
	if raceEnabled {
		t.Skip("the race runtime allocates")
	}
	jsonLine := `{"level":"\u0045RROR","user":{"id":7,"tags":[[1],{}]},"n":1.5e3,"message":"a \"b\" c"}`
	spring := near(time.Unix(1772000000, 0))
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		berlin = time.UTC
	}
	abroad, layouts := spring, spring
	abroad.Location = berlin
	layouts.Layouts = []string{"02.01.2006-15:04"}
	groups := regexp.MustCompile(`(?P<level>ERROR) (?P<message>.*)`)
	tests := []struct {
		name, line string
		p          logscan.Parser
		want       int // allocations per record
	}{
		{"lines", jsonLine, nil, 0},
		{"JSON paths", jsonLine, logscan.JSON("level", "user.id", "message"), 0},
		{"JSON all", jsonLine, logscan.JSON(), 0},
		{"JSON malformed", jsonLine + "x", logscan.JSON("level"), 0},
		{"JSON deep", strings.Repeat(`{"a":[`, 40), logscan.JSON("level"), 0},
		{"Pattern", "[ERROR] message", logscan.MustPattern("[<level>] <message>"), 0},
		{"Pattern malformed", "ERROR message", logscan.MustPattern("[<level>] <message>"), 0},
		{"Logfmt", `level=ERROR msg="a \"b\"" n=1`, logscan.Logfmt("msg"), 0},
		{"Logfmt all", `level=ERROR msg="a \"b\"" n=1`, logscan.Logfmt(), 0},
		{"Regexp", "ERROR message", logscan.Regexp(groups), 1},
		{"Regexp malformed", "INFO message", logscan.Regexp(groups), 0},
		{"Syslog", "Mar  1 12:00:00 h sshd[1]: message repeated 2 times: [ x]", logscan.Syslog(spring), 0},
		{"Syslog abroad", "Mar 29 02:30:00 h sshd[1]: x", logscan.Syslog(abroad), 0},
		{"RFC 5424", `<13>1 2026-03-01T12:00:00.5-03:30 h a 1 m [x@1 a="b"] text`, logscan.Syslog(spring), 0},
		{"CLF", `1.2.3.4 - - [10/Oct/2026:13:55:36 +0530] "GET / HTTP/1.1" 200 1 "r" "a"`, logscan.CLF(logscan.TimeParser{}), 0},
		{"CSV", `a,"b ""c""",d`, logscan.CSV("a", "b", "c"), 0},
		{"Chain", `2026-03-01T12:00:00Z h app: {"level":"ERROR"}`, logscan.Chain(logscan.Syslog(logscan.TimeParser{}), logscan.JSON("level")), 0},
		{"Layouts", "<13>1 01.03.2026-12:00 h a 1 m - text", logscan.Syslog(layouts), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// A scan also allocates its buffers. The difference between two
			// scans is the cost of their additional records.
			allocs := func(n int) float64 {
				text := strings.Repeat(tt.line+"\n", n)
				sc := logscan.Scanner{Parser: tt.p, MaxLine: 64 << 10}
				return testing.AllocsPerRun(5, func() {
					for rec := range sc.Records(context.Background(), logscan.Readers("", strings.NewReader(text))) {
						rec.Is("level", "ERROR")
						rec.Get("message")
					}
				})
			}
			// The garbage collector sometimes empties the pools of package
			// regexp, but not once per record.
			few, many := allocs(10000), allocs(20000)
			if got := (many - few) / 10000; math.Abs(got-float64(tt.want)) > 0.001 {
				t.Errorf("allocations per record: got %v, want %d", got, tt.want)
			}
		})
	}
}
