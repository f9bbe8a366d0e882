package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/audit"
)

// checkProperty checks a property in a number of runs with random values.
func checkProperty(t *testing.T, runs int, p gopter.Prop) {
	t.Helper()
	parameters := gopter.DefaultTestParameters()
	parameters.MinSuccessfulTests = runs
	ps := gopter.NewProperties(parameters)
	ps.Property(t.Name(), p)
	ps.TestingRun(t)
}

// Goroutines get, set, update and delete a field over a sink that fails in a
// quarter of the calls. Oracle: a replay of the log in a variable. Each change
// starts at the value of the change before it, failures change nothing, and the
// replay ends at the value of the field.
func TestPropertyFieldChain(t *testing.T) {
	checkProperty(t, 60, prop.ForAll(func(seed uint64) string {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &memory{}
		sink := &flaky{memory: m, r: rand.New(rand.NewPCG(seed, 2))}
		secret := seed%2 == 0
		attr := audit.Attribute[int]{Name: "n", Check: audit.Between(0, 50), Sensitive: secret, Token: secret}
		l := tokenLog(sink, keyNew)
		f := attr.Of(l.Object("o", "1"))
		var wg sync.WaitGroup
		for range 4 {
			ops := make([]int, 20)
			for i := range ops {
				ops[i] = r.IntN(80)
			}
			wg.Go(func() { operate(f, ops) })
		}
		wg.Wait()
		shown := ""
		if f.IsSet() {
			sink.r = nil // the sink does not fail any more
			n, _ := f.Get(alice())
			if shown = fmt.Sprint(n); secret {
				shown = l.Tokens("o.n", n)[0]
			}
		}
		return replay(m.events, shown)
	}, gen.UInt64()))
}

// flaky fails a quarter of the batches.
type flaky struct {
	*memory
	r  *rand.Rand
	mu sync.Mutex
}

func (s *flaky) WriteEvents(ctx context.Context, events []*audit.Event) error {
	s.mu.Lock()
	fails := s.r != nil && s.r.IntN(4) == 0
	s.mu.Unlock()
	if fails {
		return errSink
	}
	return s.memory.WriteEvents(ctx, events)
}

func operate(f audit.Field[int], ops []int) {
	for _, op := range ops {
		switch op % 4 {
		case 0:
			_, _ = f.Get(alice())
		case 1:
			_ = f.Set(alice(), op)
		case 2:
			_ = f.Update(alice(), func(n int, _ bool) (int, error) { return n + 1, nil })
		case 3:
			_ = f.Delete(alice())
		}
	}
}

// replay replays the log, which must end at the text end.
func replay(events []audit.Event, end string) string {
	value := "" // unset
	for i, e := range events {
		c := e.Changes[0]
		switch {
		case e.Action == audit.Read || e.Outcome == audit.Failure:
			if c.Old+c.New != "" {
				return fmt.Sprintf("event %d (%s %s) shows values", i, e.Action, e.Outcome)
			}
			continue
		case c.Old != value, (e.Action == audit.Create) != (value == ""), (e.Action == audit.Delete) != (c.New == ""):
			return fmt.Sprintf("event %d is %s %q>%q at value %q", i, e.Action, c.Old, c.New, value)
		}
		value = c.New
	}
	if value != end {
		return fmt.Sprintf("the log ends at %q, the field at %q", value, end)
	}
	return ""
}

// An event is decoded from its JSON form. Oracle: the event with U+FFFD in
// place of every invalid byte. The form is a single line of valid JSON without
// control characters.
func TestPropertyRoundTrip(t *testing.T) {
	texts := gen.SliceOfN(16, gen.OneGenOf(gen.AnyString(), gen.AlphaString(), gen.SliceOf(gen.UInt8()).Map(func(b []byte) string { return string(b) })))
	checkProperty(t, 300, prop.ForAll(func(s []string, seed uint64) string {
		e := audit.Event{
			ID: s[0], Action: audit.Action(s[1]), Outcome: audit.Outcome(s[2]),
			Actor:  audit.Actor{ID: s[3], Type: s[4], Session: s[5], OnBehalfOf: s[6]},
			Target: audit.Target{Type: s[7], ID: s[8]}, RequestID: s[9], Source: s[10], Reason: s[11], Code: audit.Code(s[12]),
			Changes: []audit.Change{{Field: s[13], Old: s[14], New: s[15], Sensitive: seed%2 == 0}},
			Attrs:   randomAttrs(rand.New(rand.NewPCG(seed, 3)), s, 0),
		}
		line := e.AppendJSON(nil)
		if !json.Valid(line) {
			return "invalid JSON"
		}
		for _, r := range string(line) {
			if r < 0x20 || 0x7f <= r && r < 0xa0 || r == 0x2028 || r == 0x202e {
				return fmt.Sprintf("rune %U in the line", r)
			}
		}
		var back audit.Event
		if err := back.UnmarshalJSON(line); err != nil {
			return err.Error()
		}
		equal := cmp.Comparer(func(a, b slog.Attr) bool { return a.Equal(b) })
		return cmp.Diff(valid(e), back, equal)
	}, texts, gen.UInt64()))
}

func randomAttrs(r *rand.Rand, s []string, depth int) []slog.Attr {
	as := make([]slog.Attr, 1+r.IntN(4))
	for i := range as {
		key := fmt.Sprintf("%d%s", i, s[r.IntN(len(s))])
		switch k := r.IntN(6); {
		case k == 0:
			as[i] = slog.Int64(key, int64(r.Uint64()))
		case k == 1:
			as[i] = slog.Uint64(key, r.Uint64()|1<<63)
		case k == 2:
			as[i] = slog.Float64(key, r.NormFloat64())
		case k == 3:
			as[i] = slog.Bool(key, r.IntN(2) == 0)
		case k == 4 && depth < 3:
			as[i] = slog.Attr{Key: key, Value: slog.GroupValue(randomAttrs(r, s, depth+1)...)}
		default:
			as[i] = slog.String(key, s[r.IntN(len(s))])
		}
	}
	return as
}

// valid replaces every invalid byte of every text by U+FFFD.
func valid(e audit.Event) audit.Event {
	v := func(s string) string {
		var b strings.Builder
		for i := 0; i < len(s); {
			r, n := utf8.DecodeRuneInString(s[i:])
			b.WriteRune(r)
			i += n
		}
		return b.String()
	}
	e.ID, e.Action, e.Outcome = v(e.ID), audit.Action(v(string(e.Action))), audit.Outcome(v(string(e.Outcome)))
	e.Actor = audit.Actor{ID: v(e.Actor.ID), Type: v(e.Actor.Type), Session: v(e.Actor.Session), OnBehalfOf: v(e.Actor.OnBehalfOf)}
	e.Target = audit.Target{Type: v(e.Target.Type), ID: v(e.Target.ID)}
	e.RequestID, e.Source, e.Reason, e.Code = v(e.RequestID), v(e.Source), v(e.Reason), audit.Code(v(string(e.Code)))
	c := e.Changes[0]
	e.Changes = []audit.Change{{Field: v(c.Field), Old: v(c.Old), New: v(c.New), Sensitive: c.Sensitive}}
	var attrs func([]slog.Attr) []slog.Attr
	attrs = func(as []slog.Attr) []slog.Attr {
		out := make([]slog.Attr, len(as))
		for i, a := range as {
			out[i] = slog.Attr{Key: v(a.Key), Value: a.Value}
			switch a.Value.Kind() {
			case slog.KindString:
				out[i].Value = slog.StringValue(v(a.Value.String()))
			case slog.KindGroup:
				out[i].Value = slog.GroupValue(attrs(a.Value.Group())...)
			}
		}
		return out
	}
	e.Attrs = attrs(e.Attrs)
	return e
}

// The mask of a sensitive value has a fixed length and contains nothing of a
// short value. Oracle: all substrings of four runes.
func TestPropertyMask(t *testing.T) {
	o := newLog(&memory{}).Object("o", "1")
	checkProperty(t, 300, prop.ForAll(func(s string, n int) string {
		last := audit.Attribute[string]{Name: "s", Sensitive: true, Mask: audit.Last(n)}
		full := audit.Attribute[string]{Name: "s", Sensitive: true}
		f, _ := last.Load(o, s)
		g, _ := full.Load(o, s)
		if g.Masked() != "***" {
			return "the default mask is " + g.Masked()
		}
		return revealed(s, f.Masked(), n)
	}, gen.OneGenOf(gen.AnyString(), gen.SliceOf(gen.AlphaNumChar()).Map(func(r []rune) string { return string(r) })), gen.IntRange(-1, 40)))
}

// revealed returns how the mask of a text, with n runes shown, reveals too
// much.
func revealed(s, mask string, n int) string {
	runes := []rune(s)
	if mask != "***" && utf8.RuneCountInString(mask) != 3+n {
		return fmt.Sprintf("the length of %q is not fixed", mask)
	}
	if len(runes) >= 16 {
		if shown := strings.TrimPrefix(mask, "***"); 4*utf8.RuneCountInString(shown) > len(runes) || !strings.HasSuffix(s, shown) {
			return fmt.Sprintf("%q shows more than a quarter of %d runes, or not their end", mask, len(runes))
		}
		return ""
	}
	for i := range max(len(runes)-3, 0) {
		if window := string(runes[i : i+4]); strings.Contains(mask, window) {
			return fmt.Sprintf("%q shows %q", mask, window)
		}
	}
	return ""
}

// The oracle of the replay finds a log that does not belong to the field.
func TestReplayBites(t *testing.T) {
	change := func(a audit.Action, o audit.Outcome, from, to string) audit.Event {
		return audit.Event{Action: a, Outcome: o, Changes: []audit.Change{{Field: "n", Old: from, New: to}}}
	}
	good := []audit.Event{
		change(audit.Create, audit.Success, "", "1"), change(audit.Read, audit.Success, "", ""),
		change(audit.Modify, audit.Failure, "", ""), change(audit.Modify, audit.Success, "1", "2"),
		change(audit.Delete, audit.Success, "2", ""),
	}
	if got := replay(good, ""); got != "" {
		t.Errorf("a good log: %s", got)
	}
	for name, bad := range map[string][]audit.Event{
		"gap between changes":  {good[0], good[4]},
		"change is missing":    good[:1],
		"created twice":        {good[0], good[0]},
		"failure with a value": {change(audit.Modify, audit.Failure, "1", "2")},
		"deleted with a value": {good[0], change(audit.Delete, audit.Success, "1", "2")},
	} {
		if replay(bad, "") == "" {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestMaskPropertyBites(t *testing.T) {
	for name, c := range map[string]struct {
		value, mask string
		n           int
	}{
		"shows a short value":       {"hunter2", "***ter2", 4},
		"shows more than a quarter": {"1234567890123456", "***23456", 5},
		"shows the beginning":       {"1234567890123456", "***1234", 4},
		"length of the value":       {"hunter2", "*******", 2},
	} {
		if revealed(c.value, c.mask, c.n) == "" {
			t.Errorf("%s: not found", name)
		}
	}
}
