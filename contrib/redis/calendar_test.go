package redoubtredis_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata"

	"github.com/alicebob/miniredis/v2"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimittest"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// A step is a call of an Adjuster, after a pause.
type step struct {
	pause time.Duration
	kind  string
	n     int64
	d     time.Duration
}

// randomSteps returns steps over several periods of a unit, many of them near
// the beginning of a period.
func randomSteps(r *rand.Rand, n int, q ratelimit.Quota, from time.Time) []step {
	steps, now := make([]step, n), from
	for i := range steps {
		s := &steps[i]
		start, end := q.Period(now)
		switch r.IntN(6) {
		case 0:
			s.pause = end.Sub(now)
		case 1:
			s.pause = end.Sub(now) - time.Microsecond
		case 2:
			s.pause = time.Duration(r.Int64N(int64(end.Sub(now))/1000)) * time.Microsecond
		}
		now = now.Add(s.pause)
		s.kind = []string{"take", "take", "take", "charge", "credit", "penalize", "reset", "settle"}[r.IntN(8)]
		s.n = r.Int64N(9) - 1
		s.d = time.Duration(r.Int64N(3*int64(end.Sub(start)))) - time.Hour
		if s.kind == "charge" && r.IntN(4) == 0 {
			s.n = r.Int64N(5 * q.N) // debts of more than 35 years are cut
		}
	}
	return steps
}

// play makes a step and returns the decision on an event after it.
func play(s ratelimit.Adjuster, st step) (d ratelimit.Decision, err error) {
	ctx := context.Background()
	switch st.kind {
	case "take":
		return s.TakeKey(ctx, "k", st.n)
	case "charge":
		return s.ChargeKey(ctx, "k", st.n)
	case "credit":
		err = s.CreditKey(ctx, "k", st.n)
	case "penalize":
		err = s.PenalizeKey(ctx, "k", st.d)
	case "reset":
		err = s.ResetKey(ctx, "k")
	case "settle":
		var settle func(context.Context, int64) error
		if d, settle, err = s.ReserveKey(ctx, "k", st.n); err == nil && d.OK {
			err = settle(ctx, int64(st.d)%9)
		}
	}
	if err != nil {
		return d, err
	}
	return s.TakeKey(ctx, "k", 0)
}

// Oracle: the calendar quotas of package ratelimit, in virtual time. The same
// steps have the same decisions, over changes of clocks and for every unit.
func TestProperty_CalendarAsInProcess(t *testing.T) {
	m, client := mini(t)
	zones := []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe", "America/St_Johns"}
	n := 0
	checkProperty(t, 60, func(r *rand.Rand) error {
		n++
		q := ratelimit.Quota{N: 1 + r.Int64N(8), Unit: ratelimit.Unit(r.IntN(5)), Location: zone(t, zones[r.IntN(len(zones))]), Name: "plan"}
		from := time.Date(2000+r.IntN(20), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), 0, 0, 0, time.UTC)
		if r.IntN(3) == 0 { // a day is missing
			from, q.Location = time.Date(2011, 12, 29, 0, 0, 0, 0, time.UTC), zone(t, "Pacific/Apia")
		}
		steps := randomSteps(r, 40, q, from)
		var want []ratelimit.Decision
		synctest.Test(t, func(*testing.T) {
			time.Sleep(time.Until(from))
			s := ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Quotas: []ratelimit.Quota{q}}))
			for _, st := range steps {
				time.Sleep(st.pause)
				d, _ := play(s, st)
				want = append(want, d)
			}
		})
		l := redoubtredis.New(redoubtredis.Config{
			Client: client, Name: fmt.Sprint("c", n), Quotas: []ratelimit.Quota{q}, Denied: -1, Timeout: patient, Outage: redoubtredis.OutageRefuse,
		})
		now := from
		for i, st := range steps {
			now = now.Add(st.pause)
			m.SetTime(now)
			got, err := play(l, st)
			if !got.OK && !got.Retryable && err == nil { // the server is not asked
				want[i].Remaining, want[i].ResetAfter, want[i].Limit = got.Remaining, got.ResetAfter, got.Limit
			}
			if err != nil || got != want[i] {
				return fmt.Errorf("%v, step %d %+v at %v: got %+v, %v, want %+v", q, i, st, now.In(q.Location), got, err, want[i])
			}
		}
		return nil
	})
}

// quotaLimiter has a limit that never refuses and a quota of a day in Berlin.
func quotaLimiter(t *testing.T, client redoubtredis.Client, c redoubtredis.Config) *redoubtredis.Limiter {
	c.Client, c.Quotas = client, []ratelimit.Quota{{N: 10, Location: zone(t, "Europe/Berlin"), Name: "plan"}}
	return newLimiter(t, c)
}

// The day begins by the clock of the server, whatever the clock here, also on
// the day of 23 hours.
func TestCalendar(t *testing.T) {
	m, client := mini(t)
	for _, lease := range []int64{0, 4} {
		at := time.Date(2031, 3, 29, 22, 0, 0, 0, time.UTC) // 23:00 in Berlin, the night before the clocks change
		m.SetTime(at)
		l := quotaLimiter(t, client, redoubtredis.Config{Name: fmt.Sprint("q", lease), Lease: lease, LeaseFor: time.Hour})
		for i := range int64(10) {
			if d := take(t, l, "k", 1); !d.OK || d.Remaining != 9-i || d.ResetAfter > time.Hour || d.ResetAfter < time.Hour-patient || !d.AtOnce {
				t.Errorf("event %d: %+v", i, d)
			}
		}
		trips := l.Stats().RoundTrips
		for range 2 {
			d := take(t, l, "k", 1)
			if d.OK || d.RetryAfter > time.Hour || d.RetryAfter < time.Hour-patient || d.Limit.String() != "10/24h" || d.Limit.Name != "plan" {
				t.Errorf("event 11: %+v, want a refusal until midnight", d)
			}
		}
		if n := l.Stats().RoundTrips; n > trips+1 {
			t.Errorf("%d round trips for two refusals, want 1", n-trips)
		}
		m.SetTime(at.Add(time.Hour - time.Microsecond))
		other := quotaLimiter(t, client, redoubtredis.Config{Name: fmt.Sprint("q", lease), Denied: -1})
		if d := take(t, other, "k", 1); d.OK || d.RetryAfter != time.Microsecond {
			t.Errorf("before midnight: %+v", d)
		}
		m.SetTime(at.Add(time.Hour))
		if d := take(t, other, "k", 3); !d.OK || d.Remaining != 7 || d.ResetAfter != 23*time.Hour || d.Limit.Per != 23*time.Hour {
			t.Errorf("on the short day: %+v", d)
		}
		if ttl := m.TTL(other.KeyOf("k")); ttl != 23*time.Hour {
			t.Errorf("the key expires after %v, want 23h", ttl)
		}
		if s := other.Stats(); s.Errors != 0 || s.Alone != 0 {
			t.Errorf("%+v", s)
		}
		_ = l.Close()
	}
}

// A quota and a limit hold together: an event that one of them refuses is not
// taken from the other. Limits returns both.
func TestCalendar_AndLimits(t *testing.T) {
	m, client := mini(t)
	m.SetTime(time.Date(2031, 2, 27, 23, 59, 0, 0, time.UTC))
	l := newLimiter(t, redoubtredis.Config{
		Client: client, Denied: -1, Limits: limits(ratelimit.PerSecond(2)),
		Quotas: []ratelimit.Quota{{N: 3, Unit: ratelimit.Month}, {N: 4, Unit: ratelimit.Year}},
	})
	if d := take(t, l, "k", 2); !d.OK || d.Remaining != 0 || d.Limit.Per != time.Second {
		t.Errorf("%+v", d)
	}
	if d := take(t, l, "k", 2); d.OK || d.RetryAfter != 24*time.Hour+time.Minute || d.Limit.Per != 28*24*time.Hour {
		t.Errorf("%+v, want a refusal until March", d)
	}
	m.SetTime(time.Date(2031, 3, 1, 0, 0, 0, 0, time.UTC))
	if d := take(t, l, "k", 2); !d.OK || d.Remaining != 0 {
		t.Errorf("%+v", d)
	}
	if d := take(t, l, "k", 1); d.OK || d.Limit.Per != 365*24*time.Hour {
		t.Errorf("%+v, want the quota of the year used", d)
	}
	if got := l.Limits(); len(got) != 3 || got[0].N != 2 || got[1].N != 3 || got[1].Per < 28*24*time.Hour || got[2].Per < 365*24*time.Hour {
		t.Errorf("Limits: %v", got)
	}
	ds, err := l.TakeKeys(t.Context(), []string{"k", "new"}, 1)
	if err != nil || ds[0].OK || !ds[1].OK {
		t.Errorf("%+v, %v", ds, err)
	}
}

// The conformance kit, with a quota that never refuses besides.
func TestCalendar_Store(t *testing.T) {
	server := redistest.Start(t)
	client, n := goClient(t, server.Addr), 0
	ratelimittest.Run(t, func(t *testing.T, l ratelimit.Limit) ratelimit.Store {
		n++
		return struct{ ratelimit.Store }{newLimiter(t, redoubtredis.Config{
			Client: client, Name: fmt.Sprint("store", n), Limits: limits(l), Quotas: []ratelimit.Quota{{N: 1 << 38, Unit: ratelimit.Year}},
		})} // a penalty lasts for the year
	})
}

// A Set keeps the used events, but the unit must stay.
func TestCalendar_Set(t *testing.T) {
	_, client := mini(t)
	l := quotaLimiter(t, client, redoubtredis.Config{Name: "q"})
	take(t, l, "k", 4)
	c := l.Config()
	c.Quotas[0].N = 6
	if err := l.Set(c); err != nil {
		t.Fatal(err)
	}
	if d := take(t, l, "k", 0); d.Remaining != 2 {
		t.Errorf("%+v, want 2 of 6 left", d)
	}
	c.Quotas[0].Unit = ratelimit.Month
	if err := l.Set(c); err == nil || !strings.Contains(err.Error(), "units") || l.Config().Quotas[0].Unit != ratelimit.Day {
		t.Errorf("%v, want an error", err)
	}
	nameless := quotaLimiter(t, client, redoubtredis.Config{})
	c = nameless.Config()
	c.Name = ""
	if err := nameless.Set(c); err != nil {
		t.Errorf("%v, want a Set of the same quotas", err)
	}
	c.Quotas[0].N = 7
	if err := nameless.Set(c); err == nil || !strings.Contains(err.Error(), "Name was missing") {
		t.Errorf("%v, want an error", err)
	}
	c.Quotas[0].N = 0
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "redis: limiter: Quotas[0]: ratelimit: quota: plan: N is 0") {
		t.Errorf("Validate: %v", err)
	}
}

// A server whose clock goes back keeps the used events, and blocks no key for
// longer than until the end of its period.
func TestCalendar_ClockBack(t *testing.T) {
	m, client := mini(t)
	noon := time.Date(2031, 6, 1, 12, 0, 0, 0, time.UTC)
	m.SetTime(noon)
	l := quotaLimiter(t, client, redoubtredis.Config{Denied: -1})
	take(t, l, "k", 8)
	m.SetTime(noon.Add(-48 * time.Hour))
	if d := take(t, l, "k", 1); !d.OK || d.Remaining != 1 || d.ResetAfter != 10*time.Hour {
		t.Errorf("two days before: %+v", d)
	}
	m.SetTime(noon.Add(-38 * time.Hour))
	if d := take(t, l, "k", 0); d.Remaining != 10 {
		t.Errorf("on the next day: %+v", d)
	}
}

// Processes with different rules of a time zone, such as an old and a new
// version of its data, admit no more than a quota while they disagree about the
// present period. The day belongs to the process in which it begins first.
func TestCalendar_ZoneRules(t *testing.T) {
	m, client := mini(t)
	for _, unit := range []ratelimit.Unit{ratelimit.Day, ratelimit.Hour, ratelimit.Month} {
		eve := time.Date(2031, 5, 31, 22, 30, 0, 0, time.UTC) // 23:30 and 0:30
		m.SetTime(eve)
		var ls []*redoubtredis.Limiter
		for _, offset := range []int{1, 2} {
			q := ratelimit.Quota{N: 10, Unit: unit, Location: time.FixedZone("here", offset*60*60)}
			ls = append(ls, newLimiter(t, redoubtredis.Config{Client: client, Name: "zones", Denied: -1, Quotas: []ratelimit.Quota{q}}))
		}
		behind, ahead := ls[0], ls[1]
		admitted := func(key string, n int64) (sum int64) {
			for i := range 100 {
				if take(t, ls[i%2], key, n).OK {
					sum += n
				}
			}
			return sum
		}
		take(t, behind, "k", 4)
		take(t, ahead, "k", 3) // of the new period
		if got := admitted("k", 1); got != 7 {
			t.Errorf("%v: admitted %d of 7", unit, got)
		}
		if got := admitted("other", 10); got > 20 { // the last period of one, and the first of the other
			t.Errorf("%v: admitted %d of 20", unit, got)
		}
		_, settle, err := behind.ReserveKey(t.Context(), "settled", 8)
		if err != nil {
			t.Fatal(err)
		}
		take(t, ahead, "settled", 3)
		if err := settle(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if d := take(t, behind, "settled", 0); d.Remaining != 7 {
			t.Errorf("%v: %d left, want 7: the period of the take is over", unit, d.Remaining)
		}
		take(t, ahead, "banned", 1)
		if err := behind.PenalizeKey(t.Context(), "banned", 0); err != nil {
			t.Fatal(err)
		}
		if take(t, behind, "banned", 1).OK || take(t, ahead, "banned", 1).OK {
			t.Errorf("%v: a penalty has no effect", unit)
		}
		_, end := ahead.Config().Quotas[0].Period(eve)
		m.SetTime(end.Add(-time.Microsecond))
		m.FastForward(end.Sub(eve) - time.Millisecond)
		if d := take(t, ahead, "k", 1); d.OK || d.RetryAfter != time.Microsecond {
			t.Errorf("%v: %+v at the end of the period", unit, d)
		}
		m.SetTime(end)
		if !take(t, ahead, "k", 10).OK {
			t.Errorf("%v: refused in the next period", unit)
		}
		for _, key := range []string{"k", "other", "settled", "banned"} {
			if err := ahead.ResetKey(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// In an outage each process has its share of the quota.
func TestCalendar_Outage(t *testing.T) {
	l := quotaLimiter(t, lost{}, redoubtredis.Config{Nodes: 2, OnEvent: func(context.Context, redoubtredis.Event) {}})
	admitted := 0
	for range 20 {
		if d := take(t, l, "k", 1); d.OK {
			admitted++
		} else if !d.AtOnce || d.RetryAfter > 25*time.Hour {
			t.Errorf("%+v, want a refusal until midnight", d)
		}
	}
	if admitted != 5 {
		t.Errorf("admitted %d of a share of 5", admitted)
	}
	if err := l.ResetKey(t.Context(), "k"); !errors.Is(err, redoubtredis.ErrDown) {
		t.Errorf("%v, want ErrDown", err)
	}
}

// A debt of more than a quota is kept for its periods. A penalty lasts until
// the end of the period in which it ends by the clock of the server, even if
// that has jumped. A process that knows the clock of the server asks once.
func TestCalendar_Debts(t *testing.T) {
	m, client := mini(t)
	asked := 0
	at := time.Date(2031, 6, 1, 21, 0, 0, 0, time.UTC) // 23:00 in Berlin
	m.SetTime(at)
	l := quotaLimiter(t, counting{client, &asked}, redoubtredis.Config{Denied: -1})
	take(t, l, "k", 1)
	asked = 0
	if d, err := l.ChargeKey(t.Context(), "k", 24); err != nil || d.OK || d.RetryAfter != 25*time.Hour || d.ResetAfter != 49*time.Hour {
		t.Errorf("%+v, %v, want a refusal for a day after the present day, and two until all is back", d, err)
	}
	if ttl := m.TTL(l.KeyOf("k")); ttl < 49*time.Hour || ttl > 6*49*time.Hour {
		t.Errorf("the key expires after %v, want at least 49h", ttl)
	}
	if take(t, l, "other", 1); asked > 3 { // each script is sent in full at first
		t.Errorf("asked %d times, want once for each call", asked)
	}
	asked = 0
	if take(t, l, "other", 1); asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
	m.SetTime(at.Add(30 * time.Minute))
	if err := l.PenalizeKey(t.Context(), "banned", 45*time.Minute); err != nil {
		t.Fatal(err)
	}
	if d := take(t, l, "banned", 1); d.OK || d.RetryAfter != 24*time.Hour+30*time.Minute {
		t.Errorf("%+v, want a refusal until the end of the next day", d)
	}
}

// counting counts the calls of a client.
type counting struct {
	redoubtredis.Client
	calls *int
}

func (c counting) Do(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
	*c.calls++
	return c.Client.Do(ctx, cmds...)
}

// Debts and penalties up to the longest have an end, in each unit.
func TestCalendar_Longest(t *testing.T) {
	m, client := mini(t)
	m.SetTime(time.Date(2031, 6, 1, 12, 0, 0, 0, time.UTC))
	for _, unit := range []ratelimit.Unit{ratelimit.Hour, ratelimit.Day, ratelimit.Week, ratelimit.Month, ratelimit.Year} {
		for _, n := range []int64{1, 7, 1 << 38} {
			l := newLimiter(t, redoubtredis.Config{Client: client, Name: "longest", Denied: -1, Quotas: []ratelimit.Quota{{N: n, Unit: unit, Location: zone(t, "Europe/Berlin")}}})
			for _, years := range []time.Duration{1, 9, 10, 20, 34, 36, 290} {
				if err := l.PenalizeKey(t.Context(), "k", years*365*24*time.Hour); err != nil {
					t.Error(err)
				}
				if d := take(t, l, "k", 1); d.OK || d.RetryAfter <= 0 {
					t.Errorf("%d per %v, %d years: %+v", n, unit, years, d)
				}
				if d, err := l.ChargeKey(t.Context(), fmt.Sprint(years), n*int64(years)*12); n < 9 && (err != nil || d.OK || d.RetryAfter <= 0) {
					t.Errorf("%d per %v, %d: %+v, %v", n, unit, years, d, err)
				}
			}
			for _, key := range m.Keys() {
				m.Del(key)
			}
		}
	}
}

// A real server replies that another period is present, and then gets it, with
// each client. It runs the scripts with any state.
func TestCalendar_RealServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		asked := 0
		client := counting{&outdated{Client: connect(t, server.Addr)}, &asked}
		l := newLimiter(t, redoubtredis.Config{Client: client, Quotas: []ratelimit.Quota{{N: 5, Unit: ratelimit.Year}}, Denied: -1})
		for range 2 { // the scripts are sent in full at first
			if err := l.ResetKey(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			asked = 0
			if d := take(t, l, "k", 2); !d.OK || d.Remaining != 3 {
				t.Errorf("%+v, want 3 left", d)
			}
			if err := l.PenalizeKey(t.Context(), "k", time.Hour); err != nil {
				t.Error(err)
			}
			if d := take(t, l, "k", 1); d.OK {
				t.Errorf("%+v, want a refusal", d)
			}
		}
		if asked != 6 {
			t.Errorf("asked %d times, want each call twice", asked)
		}
		for _, state := range append(states, fmt.Sprint(time.Now().Year()+1, " 9"), "9999 1 0 9", strings.Repeat("9", 400)+" "+strings.Repeat("9", 400)) {
			for n := range int64(4) {
				server.MustDo("SET", l.KeyOf("k"), state)
				if d := take(t, l, "k", n); d.Remaining < 0 || d.Remaining > 5 || l.Stats().Errors > 0 {
					t.Fatalf("state %.60q, %d events: %+v, %+v", state, n, d, l.Stats())
				}
				if _, err := l.ChargeKey(t.Context(), "k", n); err != nil {
					t.Fatalf("state %.60q, %d events: %v", state, n, err)
				}
			}
		}
	})
}

// An outdated client sends every second call of a script with a period that has
// ended.
type outdated struct {
	redoubtredis.Client
	present bool
}

func (o *outdated) Do(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
	if cmd := cmds[0]; strings.HasPrefix(cmd[0], "EVAL") {
		if o.present = !o.present; o.present {
			past := slices.Clone(cmd)
			past[4+2+3+2] = past[4+2+3+1] // the end is the start
			return o.Client.Do(ctx, past)
		}
	}
	return o.Client.Do(ctx, cmds...)
}

// At midnight, callers of several processes whose clocks differ take the events
// of the new day once.
func TestCalendar_Midnight(t *testing.T) {
	m, client := mini(t)
	midnight := time.Date(2031, 6, 1, 22, 0, 0, 0, time.UTC)
	for round := range 5 {
		m.SetTime(midnight.Add(-time.Microsecond))
		var ls []*redoubtredis.Limiter
		for range 4 {
			ls = append(ls, quotaLimiter(t, client, redoubtredis.Config{Name: fmt.Sprint("m", round), Denied: -1}))
			take(t, ls[len(ls)-1], "k", 1) // knows the clock of the server
		}
		m.SetTime(midnight)
		var wg sync.WaitGroup
		var admitted atomic.Int64
		for _, l := range slices.Concat(ls, ls) {
			wg.Go(func() {
				for range 5 {
					if take(t, l, "k", 1).OK {
						admitted.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if admitted.Load() != 10 {
			t.Errorf("admitted %d of 10", admitted.Load())
		}
	}
}

// With any text as state, the script runs, and no key takes more than a quota
// or is blocked beyond its period, or if the state contains the instant at
// which it was written, beyond the periods of its debt.
func FuzzCalendarState(f *testing.F) {
	for _, s := range append(states, "20833 3", "20834 3", "20833 999", "20833 30 0 1", "99999999 2", "20832 5 0 1") {
		f.Add(s, int64(1))
	}
	m := miniredis.RunT(f)
	start := time.UnixMicro(startMicros)
	m.SetTime(start)
	q := ratelimit.Quota{N: 3}
	l := newLimiter(f, redoubtredis.Config{Client: goClient(f, m.Addr()), Quotas: []ratelimit.Quota{q}, Denied: -1})
	_, end := q.Period(start)
	f.Fuzz(func(t *testing.T, state string, n int64) {
		if err := m.Set(l.KeyOf("k"), state); err != nil {
			t.Fatal(err)
		}
		most := end.Sub(start)
		if len(numbers(state)) >= 4 {
			most = 36 * 366 * 24 * time.Hour
		}
		d := take(t, l, "k", n)
		if d.Retryable != (d.RetryAfter > 0) || d.OK && d.Retryable || d.Remaining < 0 || d.Remaining > 3 || d.RetryAfter > most || d.ResetAfter > most {
			t.Errorf("state %q: %+v, want at most %v", state, d, most)
		}
		if s := l.Stats(); s.Errors > 0 {
			t.Fatalf("state %q: the script failed", state)
		}
	})
}
