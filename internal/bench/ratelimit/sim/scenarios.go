package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// always returns a function with a fixed value.
func always[T any](v T) func(time.Duration) T { return func(time.Duration) T { return v } }

// during returns a function with the value v in an interval, otherwise rest.
func during[T any](from, to time.Duration, v, rest T) func(time.Duration) T {
	return func(t time.Duration) T {
		if from <= t && t < to {
			return v
		}
		return rest
	}
}

// Distributions of service times with a mean in seconds.

func constant(mean float64) func(*rand.Rand) float64 {
	return func(*rand.Rand) float64 { return mean }
}

func exponential(mean float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return mean * r.ExpFloat64() }
}

func lognormal(mean, sigma float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return mean * math.Exp(sigma*r.NormFloat64()-sigma*sigma/2) }
}

// mixed returns short except for a share of calls, which take long.
func mixed(short, long, share float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 {
		if r.Float64() < share {
			return long
		}
		return short
	}
}

const second = time.Second

// Scenarios returns all scenarios.
func Scenarios() []*Scenario {
	var all []*Scenario
	for _, part := range []func(add func(Scenario)){distributions, changes, sizes, otherServers, services, timeouts} {
		part(func(s Scenario) {
			if s.Clients == 0 {
				s.Clients = 1
			}
			if s.Workers == nil {
				s.Workers = always(Unlimited)
			}
			all = append(all, &s)
		})
	}
	// The goals that are known to be missed.
	for _, s := range all {
		for _, name := range []string{
			"constant, x2", "exponential, x1.05", "3 x slower", "x2: 4 workers, 1ms", "x2 lognormal 1: 4 workers, 1", "clients", "last come",
			"any order", "processor sharing", "need no worker", "7 workers, lognormal 2, 80", "600 workers, x1.5", "2 workers, x1.5",
			"1 worker, x3", "400 calls at once", "constant times, x2", "3 or 900 ms, x1.5", "2.5 x slower",
		} {
			s.Hard = s.Hard || strings.Contains(s.Name, name)
		}
		for _, name := range []string{"exponential, half", "exponential, x2", "load 200", "one caller", "long polls", "10 to 200", "x2: 4 workers, 20ms", "50 %"} {
			s.Short = s.Short || strings.HasPrefix(s.Name, name)
		}
	}
	return all
}

var (
	healthy = []Phase{{"healthy", 5 * second, 60 * second, false}}
	over    = []Phase{{"overload", 5 * second, 60 * second, true}}
)

// distributions are constant loads with service times of any variance.
func distributions(add func(Scenario)) {
	for _, d := range []struct {
		name string
		f    func(*rand.Rand) float64
	}{
		{"constant", constant(0.05)},
		{"exponential", exponential(0.05)},
		{"lognormal 0.5", lognormal(0.05, 0.5)},
		{"lognormal 1", lognormal(0.05, 1)},
		{"lognormal 1.5", lognormal(0.05, 1.5)},
		{"lognormal 2", lognormal(0.05, 2)},
		{"5 or 400 ms", mixed(0.005, 0.4, 0.1)},
	} {
		long := 60 * second
		if d.name == "lognormal 1.5" || d.name == "lognormal 2" {
			long = 400 * second
		}
		healthy := []Phase{{"healthy", 5 * second, long, false}}
		over := []Phase{{"overload", 5 * second, long, true}}
		add(Scenario{Name: d.name + ", half", Length: long, Rate: always(200.0), Service: d.f, Workers: always(20), Phases: healthy})
		add(Scenario{Name: d.name + ", x2", Length: long, Rate: always(800.0), Service: d.f, Workers: always(20), Phases: over})
	}
	add(Scenario{Name: "exponential, x1.2", Length: 60 * second, Rate: always(480.0), Service: exponential(0.05), Workers: always(20), Phases: over})
	add(Scenario{Name: "exponential, x1.05", Length: 60 * second, Rate: always(420.0), Service: exponential(0.05), Workers: always(20), Phases: over})
	add(Scenario{Name: "exponential, x10", Length: 60 * second, Rate: always(4000.0), Service: exponential(0.05), Workers: always(20), Phases: over})
	add(Scenario{Name: "exponential, 80 %", Length: 60 * second, Rate: always(320.0), Service: exponential(0.05), Workers: always(20), Phases: healthy})
	add(Scenario{Name: "long polls, 1 % of 30 s", Length: 120 * second, Rate: always(100.0), Service: mixed(0.05, 30, 0.01), Phases: []Phase{{"healthy", 5 * second, 120 * second, false}}})
	add(Scenario{Name: "one caller at a time", Length: 60 * second, Closed: 1, Service: func(r *rand.Rand) float64 { return 0.005 + 0.01*r.Float64() }, Workers: always(20), Phases: healthy})
}

// changes are changes of the load or of the service.
func changes(add func(Scenario)) {
	steps := []Phase{{"before", 5 * second, 30 * second, false}, {"middle", 35 * second, 60 * second, true}, {"after", 65 * second, 90 * second, false}}
	step := func(name string, s Scenario) {
		s.Name, s.Length, s.Phases = name, 90*second, steps
		if s.Service == nil {
			s.Service = exponential(0.05)
		}
		add(s)
	}
	step("load 200, 1200, 200", Scenario{Rate: during(30*second, 60*second, 1200.0, 200), Workers: always(20)})
	step("3 x slower", Scenario{Rate: always(250.0), Slow: during(30*second, 60*second, 3.0, 1), Workers: always(20)})
	step("3 x slower, lognormal 1.5", Scenario{Rate: always(250.0), Slow: during(30*second, 60*second, 3.0, 1), Workers: always(20), Service: lognormal(0.05, 1.5)})
	step("half of the workers", Scenario{Rate: always(300.0), Workers: during(30*second, 60*second, 10, 20)})
	add(Scenario{
		Name: "overload, half of the workers", Length: 90 * second, Rate: always(800.0), Service: exponential(0.05),
		Workers: during(30*second, 60*second, 10, 20),
		Phases:  []Phase{{"before", 5 * second, 30 * second, true}, {"middle", 35 * second, 60 * second, true}, {"after", 65 * second, 90 * second, true}},
	})
	shift := []Phase{{"before", 5 * second, 30 * second, false}, {"after", 35 * second, 90 * second, false}}
	for _, rate := range []float64{200, 2000} {
		add(Scenario{Name: "50 to 150 ms, no queue, " + strconv.Itoa(int(rate)) + "/s", Length: 90 * second, Rate: always(rate), Service: constant(0), Extra: during(30*second, 90*second, 0.15, 0.05), Phases: shift})
		add(Scenario{Name: "50 to 150 ms, exponential, " + strconv.Itoa(int(rate)) + "/s", Length: 90 * second, Rate: always(rate), Service: exponential(0.05), Slow: during(30*second, 90*second, 3.0, 1), Phases: shift})
	}
	add(Scenario{Name: "10 to 200 ms, no queue", Length: 90 * second, Rate: always(500.0), Service: constant(0), Extra: during(30*second, 90*second, 0.2, 0.01), Phases: shift})
	add(Scenario{
		Name: "a day in two minutes", Length: 240 * second, Service: lognormal(0.05, 1), Workers: always(20),
		Rate:   func(t time.Duration) float64 { return 200 - 180*math.Cos(2*math.Pi*t.Seconds()/120) },
		Phases: []Phase{{"healthy", 5 * second, 240 * second, false}},
	})
}

// sizes are services with more or fewer workers, faster or slower.
func sizes(add func(Scenario)) {
	for _, c := range []int{4, 20, 200} {
		for _, mean := range []float64{0.001, 0.02, 1} {
			length := 60 * second
			if mean == 0.001 {
				length = 7 * second
			}
			if mean == 1 {
				length = 180 * second
				if c < 200 {
					length = 900 * second
				}
			}
			name := func(text string) string {
				return text + strconv.Itoa(c) + " workers, " + time.Duration(mean*1e9).String()
			}
			capacity := float64(c) / mean
			from := min(max(5*second, time.Duration(10*mean*1e9)), length/2)
			add(Scenario{Name: name("half: "), Length: length, Rate: always(capacity / 2), Service: exponential(mean), Workers: always(c), Phases: []Phase{{"healthy", from, length, false}}})
			add(Scenario{Name: name("x2: "), Length: length, Rate: always(capacity * 2), Service: exponential(mean), Workers: always(c), Phases: []Phase{{"overload", from, length, true}}})
			add(Scenario{Name: name("x2 lognormal 1: "), Length: length, Rate: always(capacity * 2), Service: lognormal(mean, 1), Workers: always(c), Phases: []Phase{{"overload", from, length, true}}})
		}
	}
}

// otherServers are services with several clients, or without a simple queue.
func otherServers(add func(Scenario)) {
	for _, k := range []int{2, 5} {
		add(Scenario{Name: strconv.Itoa(k) + " clients, x2", Clients: k, Length: 90 * second, Rate: always(800.0), Service: exponential(0.05), Workers: always(20), Phases: []Phase{{"overload", 10 * second, 90 * second, true}}})
		add(Scenario{Name: strconv.Itoa(k) + " clients of 100 workers, x2", Clients: k, Length: 60 * second, Rate: always(4000.0), Service: exponential(0.05), Workers: always(100), Phases: []Phase{{"overload", 10 * second, 60 * second, true}}})
		add(Scenario{Name: strconv.Itoa(k) + " clients, half", Clients: k, Length: 60 * second, Rate: always(200.0), Service: exponential(0.05), Workers: always(20), Phases: healthy})
	}
	for d, name := range []string{LIFO: "last come, first served", Random: "any order", Sharing: "processor sharing"} {
		if name == "" {
			continue
		}
		d := Discipline(d)
		add(Scenario{Name: name + ", x2", Discipline: d, Length: 60 * second, Rate: always(800.0), Service: exponential(0.05), Workers: always(20), Phases: over})
	}
	add(Scenario{Name: "half of the calls need no worker, x2", Bypass: 0.5, Length: 60 * second, Rate: always(1600.0), Service: exponential(0.05), Workers: always(20), Phases: over})
}

// services are services with sizes, times and loads of their own.
func services(add func(Scenario)) {
	steady := func(name string, s Scenario, overload bool, length int) {
		s.Name, s.Length = name, time.Duration(length)*second
		s.Phases = []Phase{{"healthy", 5 * second, s.Length, false}}
		if overload {
			s.Phases = []Phase{{"overload", 5 * second, s.Length, true}}
		}
		add(s)
	}
	steady("7 workers, lognormal 2, 40 %", Scenario{Rate: always(215.0), Service: lognormal(0.013, 2), Workers: always(7)}, false, 300)
	steady("7 workers, lognormal 2, 80 %", Scenario{Rate: always(430.0), Service: lognormal(0.013, 2), Workers: always(7)}, false, 300)
	steady("7 workers, lognormal 2, x1.7", Scenario{Rate: always(915.0), Service: lognormal(0.013, 2), Workers: always(7)}, true, 300)
	steady("50 workers, 3 or 900 ms, 70 %", Scenario{Rate: always(530.0), Service: mixed(0.003, 0.9, 0.07), Workers: always(50)}, false, 120)
	steady("50 workers, 3 or 900 ms, x1.5", Scenario{Rate: always(1140.0), Service: mixed(0.003, 0.9, 0.07), Workers: always(50)}, true, 120)
	steady("600 workers, 75 %", Scenario{Rate: always(3750.0), Service: exponential(0.12), Workers: always(600)}, false, 30)
	steady("600 workers, x1.5", Scenario{Rate: always(7500.0), Service: exponential(0.12), Workers: always(600)}, true, 30)
	steady("2 workers, x1.5", Scenario{Rate: always(430.0), Service: exponential(0.007), Workers: always(2)}, true, 60)
	steady("1 worker, x3", Scenario{Rate: always(30.0), Service: exponential(0.1), Workers: always(1)}, true, 200)
	steady("60 callers, 16 workers", Scenario{Closed: 60, Service: exponential(0.025), Workers: always(16)}, true, 60)
	steady("14 callers, 16 workers", Scenario{Closed: 14, Service: exponential(0.025), Workers: always(16)}, false, 60)
	steady("1 caller, 1 % of 2 s", Scenario{Closed: 1, Service: mixed(0.005, 2, 0.01), Workers: always(16)}, false, 120)
	for _, long := range []int{2, 10, 40} {
		add(Scenario{
			Name: "6 % of " + strconv.Itoa(long) + " s", Length: 200 * second, Rate: always(120.0), Service: mixed(0.02, float64(long), 0.06),
			Phases: []Phase{{"healthy", time.Duration(10+long) * second, 200 * second, false}},
		})
	}
	steady("3 clients, 30 workers, 75 %", Scenario{Clients: 3, Rate: always(1125.0), Service: lognormal(0.02, 1.5), Workers: always(30)}, false, 60)
	steady("20 to 200 ms in a minute, no queue", Scenario{
		Rate: always(700.0), Service: exponential(0.02),
		Slow: func(t time.Duration) float64 { return 1 + 9*min(1, max(0, (t.Seconds()-30)/60)) },
	}, false, 120)
	steady("load rises to 85 %, then 5 %", Scenario{
		Rate:    func(t time.Duration) float64 { return 2200 * (0.05 + 0.8*(t%(20*second)).Seconds()/20) },
		Service: exponential(0.015), Workers: always(33),
	}, false, 200)
	bursts := func(name string, every, length time.Duration, high, low float64, s Scenario) {
		s.Name, s.Length = name, 10*every
		s.Rate = func(t time.Duration) float64 {
			if t%every < length {
				return high
			}
			return low
		}
		s.Phases = []Phase{{"healthy", 2*every + 5*second, s.Length, false}}
		add(s)
	}
	bursts("load for 2 s of 10 s", 10*second, 2*second, 900, 0, Scenario{Service: lognormal(0.05, 1), Workers: always(80)})
	bursts("100 calls at once each 20 s", 20*second, 100*time.Millisecond, 1000, 300, Scenario{Service: exponential(0.03), Workers: always(40)})
	bursts("400 calls at once each minute", 60*second, 200*time.Millisecond, 2000, 150, Scenario{Service: lognormal(0.04, 1), Workers: always(40)})
	change := func(name string, s Scenario) {
		s.Name, s.Length = name, 100*second
		s.Phases = []Phase{{"before", 5 * second, 30 * second, false}, {"middle", 35 * second, 60 * second, true}, {"after", 65 * second, 100 * second, false}}
		add(s)
	}
	change("30 workers, load x4", Scenario{Rate: during(30*second, 60*second, 1544.0, 386), Service: exponential(0.035), Workers: always(30)})
	change("24 workers, half of them", Scenario{Rate: always(210.0), Service: lognormal(0.08, 1), Workers: during(30*second, 60*second, 12, 24)})
	change("12 workers, 2.5 x slower", Scenario{Rate: always(280.0), Service: lognormal(0.03, 1), Slow: during(30*second, 60*second, 2.5, 1), Workers: always(12)})
}

// timeouts are services whose callers give up.
func timeouts(add func(Scenario)) {
	for _, lost := range []float64{0.05, 0.11, 0.2, 0.5} {
		for _, timeout := range []time.Duration{250 * time.Millisecond, 1 * second} {
			add(Scenario{
				Name: fmt.Sprintf("%.0f %% without an answer, timeout %v", 100*lost, timeout), Length: 100 * second, Rate: always(200.0),
				Service: exponential(0.03), Workers: always(15), Timeout: timeout, Lost: lost, Phases: []Phase{{"healthy", 10 * second, 100 * second, false}},
			})
		}
	}
	for _, s := range []Scenario{
		{Name: "timeout of 5 x the mean, x2", Rate: always(600.0), Service: exponential(0.04), Workers: always(12), Timeout: 200 * time.Millisecond},
		{Name: "timeout of 2.2 x constant times, x2", Rate: always(600.0), Service: constant(0.04), Workers: always(12), Timeout: 90 * time.Millisecond},
		{Name: "timeout of 8 x the mean, lognormal 1.3, x2", Rate: always(1000.0), Service: lognormal(0.06, 1.3), Workers: always(30), Timeout: 500 * time.Millisecond},
		{Name: "timeout, 12 % without an answer, x1.3", Rate: always(740.0), Service: exponential(0.06), Workers: always(30), Timeout: 400 * time.Millisecond, Lost: 0.12},
	} {
		s.Length, s.Phases = 90*second, []Phase{{"overload", 5 * second, 90 * second, true}}
		add(s)
	}
}
