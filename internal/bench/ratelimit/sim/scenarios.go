package sim

import (
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
	for _, part := range []func(add func(Scenario)){distributions, changes, sizes, otherServers} {
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
			"constant, x2", "exponential, x1.05", "3 x slower, lognormal 1.5", "4 workers, 1ms", "4 workers, 1s", "x2: 20 workers, 1s",
			"200 workers, 1s", "clients", "last come", "processor sharing", "need no worker",
		} {
			s.Hard = s.Hard || strings.Contains(s.Name, name)
		}
		for _, name := range []string{"exponential, half", "exponential, x2", "load 200", "one caller", "long polls", "10 to 200", "x2: 4 workers, 20ms"} {
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
