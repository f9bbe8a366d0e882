package ratelimit_test

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata"

	"github.com/redoubt-go/redoubt/ratelimit"
)

func zone(t testing.TB, name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// changes are days around which clocks were set in unusual ways.
var changes = []struct{ zone, day, why string }{
	{"Europe/Berlin", "2024-03-31", "forward at 02:00"},
	{"Europe/Berlin", "2024-10-27", "back at 03:00"},
	{"America/Sao_Paulo", "2018-11-04", "no midnight"},
	{"America/Sao_Paulo", "2018-02-18", "back at midnight, to the day before"},
	{"America/Havana", "2024-03-10", "no midnight"},
	{"America/Havana", "2024-11-03", "back at 01:00, to midnight again"},
	{"Asia/Beirut", "2024-03-31", "no midnight"},
	{"Africa/Cairo", "2024-04-26", "no midnight"},
	{"Africa/Cairo", "2024-11-01", "back at midnight, to the day before"},
	{"America/St_Johns", "2006-04-02", "forward at 00:01"},
	{"America/St_Johns", "2006-10-29", "back at 00:01, to the day before"},
	{"Pacific/Apia", "2011-12-30", "a day left out"},
	{"Pacific/Kwajalein", "1993-08-21", "a day left out"},
	{"Australia/Lord_Howe", "2024-04-07", "back by half an hour"},
	{"Australia/Lord_Howe", "2024-10-06", "forward by half an hour"},
	{"Asia/Kathmandu", "1986-01-01", "forward by a quarter of an hour, at new year"},
	{"America/Scoresbysund", "2024-03-31", "no change of the clocks, but of the zone"},
	{"America/Juneau", "1867-10-18", "a date twice"},
	{"Asia/Manila", "1844-12-31", "a day left out"},
	{"UTC", "2024-02-29", "a leap day"},
}

// Oracle: a walk through the minutes. A period begins at the first minute at
// which the clocks show its date or a later date.
func TestQuotaPeriods(t *testing.T) {
	civil := func(u ratelimit.Unit, t time.Time) string {
		switch u {
		case ratelimit.Hour:
			return t.Format("2006-01-02 15")
		case ratelimit.Day:
			return t.Format("2006-01-02")
		case ratelimit.Week:
			y, w := t.ISOWeek()
			return fmt.Sprintf("%04d-%02d", y, w)
		case ratelimit.Month:
			return t.Format("2006-01")
		}
		return t.Format("2006")
	}
	for _, c := range changes {
		loc := zone(t, c.zone)
		day, err := time.ParseInLocation(time.DateOnly, c.day, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		for unit := ratelimit.Day; unit <= ratelimit.Hour; unit++ {
			q := ratelimit.Quota{N: 1, Unit: unit, Location: loc}
			latest, failures := "", 0
			var start, end time.Time
			for i := range 3 * 24 * 60 {
				at := day.Add(time.Duration(i-24*60) * time.Minute).In(loc)
				if shown := civil(unit, at); shown > latest {
					if latest != "" && !at.Equal(end.Truncate(time.Minute)) && !at.Add(-time.Minute).Equal(end.Truncate(time.Minute)) {
						t.Errorf("%s, %s, %v: the period ends at %v, the walk at %v", c.zone, c.why, unit, end, at)
					}
					latest = shown
				} else if i%30 > 1 && i%60 < 58 {
					continue // nothing begins or ends here
				}
				s, e := q.Period(at)
				if !s.Equal(start) && !s.Equal(end) && !start.IsZero() || s.After(at) || !at.Before(e) || !e.After(s) {
					t.Errorf("%s, %s, %v: at %v the period is %v to %v, before %v to %v", c.zone, c.why, unit, at, s, e, start, end)
					failures++
				}
				if start, end = s, e; failures > 3 {
					break
				}
				if last := civil(unit, e.Add(-time.Second).In(loc)); last > latest {
					t.Errorf("%s, %s, %v: the period of %v ends at %v, within %s", c.zone, c.why, unit, at, e, last)
					failures++
				}
			}
		}
	}
}

func TestQuotaLengths(t *testing.T) {
	for _, tt := range []struct {
		zone, at string
		unit     ratelimit.Unit
		start    string
		length   time.Duration
	}{
		{"Europe/Berlin", "2024-03-31T12:00:00Z", ratelimit.Day, "2024-03-31T00:00:00+01:00", 23 * time.Hour},
		{"Europe/Berlin", "2024-10-27T12:00:00Z", ratelimit.Day, "2024-10-27T00:00:00+02:00", 25 * time.Hour},
		{"Europe/Berlin", "2024-03-15T12:00:00Z", ratelimit.Month, "2024-03-01T00:00:00+01:00", 31*24*time.Hour - time.Hour},
		{"Europe/Berlin", "2024-12-30T00:00:00Z", ratelimit.Week, "2024-12-30T00:00:00+01:00", 7 * 24 * time.Hour},
		{"America/Sao_Paulo", "2018-11-04T12:00:00Z", ratelimit.Day, "2018-11-04T01:00:00-02:00", 23 * time.Hour},
		{"America/Sao_Paulo", "2018-02-18T02:30:00Z", ratelimit.Day, "2018-02-17T00:00:00-02:00", 25 * time.Hour},
		{"America/Havana", "2024-11-03T04:30:00Z", ratelimit.Day, "2024-11-03T00:00:00-04:00", 25 * time.Hour},
		{"America/Havana", "2024-11-03T05:30:00Z", ratelimit.Day, "2024-11-03T00:00:00-04:00", 25 * time.Hour},
		{"America/St_Johns", "2006-10-29T02:45:00Z", ratelimit.Day, "2006-10-29T00:00:00-02:30", 25 * time.Hour},
		{"Pacific/Apia", "2011-12-30T09:59:59Z", ratelimit.Day, "2011-12-29T00:00:00-10:00", 24 * time.Hour},
		{"Pacific/Apia", "2011-12-30T10:00:00Z", ratelimit.Day, "2011-12-31T00:00:00+14:00", 24 * time.Hour},
		{"Asia/Kathmandu", "2024-05-05T05:20:00Z", ratelimit.Hour, "2024-05-05T11:00:00+05:45", time.Hour},
		{"Europe/Berlin", "2024-10-27T00:30:00Z", ratelimit.Hour, "2024-10-27T02:00:00+02:00", 2 * time.Hour},
		{"UTC", "2024-02-29T23:59:59Z", ratelimit.Year, "2024-01-01T00:00:00Z", 366 * 24 * time.Hour},
		{"UTC", "1969-12-31T23:59:59Z", ratelimit.Week, "1969-12-29T00:00:00Z", 7 * 24 * time.Hour},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		q := ratelimit.Quota{N: 1, Unit: tt.unit, Location: zone(t, tt.zone)}
		start, end := q.Period(at)
		if got := start.Format(time.RFC3339); got != tt.start || end.Sub(start) != tt.length {
			t.Errorf("%v at %s: from %s for %v, want from %s for %v", q, tt.at, got, end.Sub(start), tt.start, tt.length)
		}
	}
	far := ratelimit.Quota{N: 1, Location: time.FixedZone("far", 40*60*60)}
	if start, end := far.Period(time.Unix(0, 0)); end.Sub(start) != 24*time.Hour || start.Hour() != 0 {
		t.Errorf("a zone of 40 hours: %v to %v", start, end)
	}
}

// A Keyed with a quota admits N events a period, and names the instant at which
// the next period begins, across a change of the clocks.
func TestKeyedQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		berlin := zone(t, "Europe/Berlin")
		sleepUntil := func(text string) {
			at, err := time.ParseInLocation(time.DateTime, text, berlin)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(at))
		}
		sleepUntil("2000-03-20 08:00:00")
		k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
			Name: "plan", Quotas: []ratelimit.Quota{{N: 10, Location: berlin}}, MaxKeys: 8,
		})
		sleepUntil("2000-03-25 22:30:00")
		if d := k.Take("a", 7); !d.OK || d.Remaining != 3 || d.ResetAfter != 90*time.Minute {
			t.Errorf("7 of 10: %+v", d)
		}
		limit := ratelimit.Limit{N: 10, Per: 24 * time.Hour, Burst: 10, Name: "plan"}
		late := ratelimit.Decision{N: 4, Limit: limit, Remaining: 3, AtOnce: true, Retryable: true, RetryAfter: 90 * time.Minute, ResetAfter: 90 * time.Minute}
		checkEqual(t, k.Take("a", 4), late)
		checkEqual(t, late.Err().Error(), "ratelimit: plan: limited to 10/24h, retry after 1h30m0s")
		time.Sleep(90*time.Minute - 1)
		if k.AllowN("a", 4) {
			t.Error("admitted 1 ns before midnight")
		}
		time.Sleep(time.Nanosecond)
		if d := k.Take("a", 10); !d.OK || d.ResetAfter != 23*time.Hour || d.Limit.Per != 23*time.Hour {
			t.Errorf("on the short day: %+v", d)
		}
		if !refusedForever(k.Take("a", 11)) || !refusedForever(k.Take("a", -1)) || !k.AllowN("a", 0) {
			t.Error("11, -1 or 0 of 10")
		}
		// A charge beyond the quota is a debt of the next days.
		if d := k.Charge("a", 15); d.OK || d.RetryAfter != 23*time.Hour+24*time.Hour {
			t.Errorf("a debt of 15: %+v", d)
		}
		time.Sleep(47 * time.Hour)
		if d := k.Peek("a"); d.Remaining != 5 {
			t.Errorf("a debt of 5 left: %+v", d)
		}
		k.Penalize("a", time.Hour)
		if d := k.Peek("a"); d.OK || d.RetryAfter != 24*time.Hour {
			t.Errorf("penalized: %+v", d)
		}
		k.Reset("a")
		r := k.Reserve("a", 8)
		r.Settle(2)
		if d := k.Peek("a"); d.Remaining != 8 {
			t.Errorf("settled 2: %+v", d)
		}
		for i := range 20 { // more than MaxKeys
			if key := fmt.Sprint(i); !k.AllowN(key, 10) || k.Allow(key) {
				t.Errorf("key %d: want 10 events", i)
			}
		}
		if err := k.Wait(t.Context(), "a"); err != nil || k.Peek("a").Remaining != 7 {
			t.Errorf("Wait: %v", err)
		}
	})
}

// A quota and a limit hold together: an event that one of them refuses is not
// taken from the other.
func TestKeyedLimitsAndQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ratelimit.KeyedConfig{
			Limit:  ratelimit.PerSecond(2).WithName("pace"),
			Limits: []ratelimit.Limit{ratelimit.PerMinute(4), ratelimit.Inf()},
			Quotas: []ratelimit.Quota{{N: 6, Unit: ratelimit.Month, Name: "plan"}},
		}
		k := ratelimit.NewKeyed[int](c)
		var refusals []string
		for range 20 {
			if d := k.Take(1, 1); !d.OK {
				refusals = append(refusals, d.Err().Error())
				time.Sleep(d.RetryAfter)
			}
		}
		pace := "ratelimit: pace: limited to 2/s, retry after 500ms"
		minute := "ratelimit: limited to 4/m, retry after "
		want := []string{pace, pace, minute + "14s", minute + "15s", "ratelimit: plan: limited to 6/744h, retry after 743h59m30s"}
		checkEqual(t, refusals[:min(len(refusals), len(want))], want)
		if d := k.Take(2, 3); d.OK || d.Remaining != 2 {
			t.Errorf("3 of 2: %+v", d)
		}
		if !k.AllowN(2, 2) || k.Take(2, 1).Limit.Name != "pace" || k.Peek(2).Limit.Name != "pace" {
			t.Errorf("a refusal has taken events: %+v", k.Peek(2))
		}
	})
}

func TestQuotaValidate(t *testing.T) {
	for _, tt := range []struct {
		quota ratelimit.Quota
		want  string
	}{
		{ratelimit.Quota{N: 1}, ""},
		{ratelimit.Quota{N: 1 << 38, Unit: ratelimit.Hour}, ""},
		{ratelimit.Quota{Name: "plan"}, "ratelimit: quota: plan: N is 0, want 1 to 274877906944"},
		{ratelimit.Quota{N: -1, Unit: 9}, "ratelimit: quota: N is -1, want 1 to 274877906944\nratelimit: quota: Unit is 9, want Day, Week, Month, Year or Hour"},
	} {
		if got := fmt.Sprint(tt.quota.Validate()); got != tt.want && (tt.want != "" || got != "<nil>") {
			t.Errorf("%+v: %s, want %s", tt.quota, got, tt.want)
		}
	}
	if got := fmt.Sprint(ratelimit.Year, ratelimit.Unit(7), ratelimit.Quota{N: 5, Unit: ratelimit.Month}); got != "year Unit(7) 5 per month in UTC" {
		t.Errorf("texts: %s", got)
	}
}

// The largest quota, penalties and charges keep their bounds.
func TestQuotaExtremes(t *testing.T) {
	for unit := ratelimit.Day; unit <= ratelimit.Hour; unit++ {
		k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Quotas: []ratelimit.Quota{{N: 1 << 38, Unit: unit}}, MaxKeys: 8})
		k.Charge(1, math.MaxInt64)
		k.Penalize(2, math.MaxInt64)
		for key := range 3 {
			d := k.Peek(key)
			if d.OK != (key == 0) || d.RetryAfter < 0 || d.ResetAfter < 0 || d.Remaining < 0 || d.Limit.Per < time.Hour {
				t.Errorf("%v, key %d: %+v", unit, key, d)
			}
		}
		k.Credit(1, math.MaxInt64)
		k.Reset(2)
		if !k.AllowN(1, 1<<38) || !k.AllowN(2, 1<<38) || k.Allow(2) {
			t.Errorf("%v: refused after Credit and Reset", unit)
		}
	}
}

// The events of a quota and of a window do not come back one by one.
func TestDecisionsThatComeBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quota := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Quotas: []ratelimit.Quota{{N: 2}}})
		both := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(1), Quotas: []ratelimit.Quota{{N: 2}}})
		r := quota.Reserve(2, 1)
		for name, got := range map[string]ratelimit.Decision{
			"take": quota.Take(1, 1), "peek": quota.Peek(1), "charge": quota.Charge(1, 5), "refused": quota.Take(1, 1), "reserve": r.Decision(),
			"window": ratelimit.NewWindow(ratelimit.PerMinute(3)).Take(1), "counter": ratelimit.NewCounter(ratelimit.PerMinute(3)).Take(1),
		} {
			if !got.AtOnce {
				t.Errorf("%s: %+v, want AtOnce", name, got)
			}
		}
		if d := both.Take(1, 1); d.AtOnce || d.Limit.Per != time.Minute {
			t.Errorf("the limit decides: %+v", d)
		}
		time.Sleep(time.Minute)
		both.Take(1, 1)
		if d := both.Take(1, 1); !d.AtOnce || d.Limit.Per != 24*time.Hour {
			t.Errorf("the quota decides: %+v", d)
		}
	})
}

// The last days of leap years, at which package time returns a zone that has
// ended already, have periods as all other days.
func TestQuota_LeapYears(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Sydney"} {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Skip(err)
		}
		for year := 2026; year < 2070; year++ {
			for day := -3; day < 4; day++ {
				now := time.Date(year, 1, day, 12, 30, 0, 0, loc)
				for unit, want := range map[ratelimit.Unit][2]time.Time{
					ratelimit.Day:   {time.Date(year, 1, day, 0, 0, 0, 0, loc), time.Date(year, 1, day+1, 0, 0, 0, 0, loc)},
					ratelimit.Hour:  {time.Date(year, 1, day, 12, 0, 0, 0, loc), time.Date(year, 1, day, 13, 0, 0, 0, loc)},
					ratelimit.Month: {time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, loc), time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, loc)},
					ratelimit.Year:  {time.Date(now.Year(), 1, 1, 0, 0, 0, 0, loc), time.Date(now.Year()+1, 1, 1, 0, 0, 0, 0, loc)},
				} {
					start, end := ratelimit.Quota{N: 1, Unit: unit, Location: loc}.Period(now)
					if !start.Equal(want[0]) || !end.Equal(want[1]) {
						t.Errorf("%v of %v: %v to %v, want %v to %v", unit, now, start, end, want[0], want[1])
					}
				}
			}
		}
	}
}
