package keyed

import (
	"container/list"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

var (
	long = flag.Bool("long", false, "simulate more scenarios")
	size = flag.Int("size", 512, "MaxKeys")
)

// A table limits keys. Keys below 0 belong to the flood.
type table interface {
	AllowN(key int, n int64) bool
	Peek(key int) ratelimit.Decision
}

// exact is a limiter for each key, without a bound.
type exact struct {
	limit ratelimit.Limit
	keys  map[int]*ratelimit.Limiter
}

func (e *exact) AllowN(key int, n int64) bool {
	l := e.keys[key]
	if l == nil {
		l = ratelimit.New(e.limit)
		e.keys[key] = l
	}
	return l.AllowN(n)
}

func (e *exact) Peek(key int) ratelimit.Decision {
	if l := e.keys[key]; l != nil {
		return l.Peek()
	}
	return ratelimit.Decision{OK: true}
}

// lru is a limiter for each of the keys that were used last.
type lru struct {
	exact
	most  int
	order list.List
	nodes map[int]*list.Element
}

func (l *lru) AllowN(key int, n int64) bool {
	if e := l.nodes[key]; e != nil {
		l.order.MoveToFront(e)
	} else {
		l.nodes[key] = l.order.PushFront(key)
		if l.order.Len() > l.most {
			last := l.order.Remove(l.order.Back()).(int)
			delete(l.nodes, last)
			delete(l.keys, last)
		}
	}
	return l.exact.AllowN(key, n)
}

// A scenario is a flood. Its limit is Burst events a minute: a burst comes back
// in a minute.
type scenario struct {
	maxKeys int
	burst   int64
	times   float64 // keys of the flood per MaxKeys
	whole   bool    // each key uses its whole burst, else one event
	minutes int     // the duration of the flood; 0 means one instant
}

// A result counts clients that the table refuses and the exact map admits, and
// the events of the flood that the table admits and the exact map refuses.
type result struct {
	known, fresh float64 // shares of clients
	gained       int64   // events
}

func (s scenario) limit() ratelimit.Limit { return ratelimit.PerMinute(s.burst) }

// run simulates clients that are well-behaved, and a flood. Known clients have
// used an event before the flood, and use at most half of their limit during
// the flood. New clients only ask: if they took events, they would be a second
// flood. Both ask immediately after the flood has used its events. Afterwards
// the first keys of the flood come back.
func (s scenario) run(tab table) (r result) {
	oracle := &exact{s.limit(), map[int]*ratelimit.Limiter{}}
	clients, interval := max(s.maxKeys/8, 32), time.Minute/time.Duration(s.burst)
	var known, knownAsked, fresh, freshAsked int
	ask := func(key int) {
		if knownAsked++; !tab.AllowN(key, 1) && oracle.AllowN(key, 1) {
			known++
		}
	}
	for i := range clients {
		ask(i)
	}
	time.Sleep(interval) // the event is back, also of a burst of 1
	flood, steps := int(s.times*float64(s.maxKeys)), max(1, s.minutes*60)
	for step := range steps {
		for i := flood * step / steps; i < flood*(step+1)/steps; i++ {
			r.gained += s.use(tab, oracle, -1-i)
		}
		if step%max(15, int(2*interval/time.Second)) == 0 {
			for i := range clients {
				ask(i)
			}
		}
		for range max(20_000/steps, 10) {
			freshAsked++
			if !tab.Peek(1<<30 + freshAsked).OK {
				fresh++
			}
		}
		if s.minutes > 0 {
			time.Sleep(time.Second)
		}
	}
	for i := range min(flood, 20_000) {
		r.gained += s.use(tab, oracle, -1-i)
	}
	r.known, r.fresh = float64(known)/float64(knownAsked), float64(fresh)/float64(freshAsked)
	return r
}

// use takes events of a key of the flood, as many as it gets, and returns how
// many of them the oracle refuses.
func (s scenario) use(tab table, oracle *exact, key int) (gained int64) {
	n := int64(1)
	if s.whole {
		n = s.burst
	}
	for left := n; n > 0; {
		if !tab.AllowN(key, n) {
			n /= 2
			continue
		}
		if !oracle.AllowN(key, n) {
			gained += n
		}
		if left -= n; left < n {
			n = left
		}
	}
	return gained
}

var policies = map[ratelimit.OnFull]string{ratelimit.InheritDebt: "InheritDebt", ratelimit.ForgiveDebt: "ForgiveDebt"}

// tables are the implementations.
func (s scenario) tables() map[string]func() table {
	keyed := func(policy ratelimit.OnFull) func() table {
		return func() table {
			return ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: s.limit(), MaxKeys: s.maxKeys, OnFull: policy})
		}
	}
	return map[string]func() table{
		"InheritDebt": keyed(ratelimit.InheritDebt),
		"ForgiveDebt": keyed(ratelimit.ForgiveDebt),
		"lru": func() table {
			return &lru{exact: exact{s.limit(), map[int]*ratelimit.Limiter{}}, most: s.maxKeys, nodes: map[int]*list.Element{}}
		},
	}
}

func writer(t *testing.T) *tabwriter.Writer {
	if !testing.Verbose() {
		return tabwriter.NewWriter(new(discard), 0, 0, 1, ' ', 0)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', tabwriter.AlignRight|tabwriter.Debug)
	t.Cleanup(func() { _ = w.Flush() })
	return w
}

type discard struct{}

func (*discard) Write(p []byte) (int, error) { return len(p), nil }

// A flood refuses no client that is known, whatever its size. With ForgiveDebt
// it refuses fewer than 0.1 % of new clients too. With InheritDebt no key
// gains.
func TestFlood(t *testing.T) {
	w := writer(t)
	fmt.Fprintln(w, "MaxKeys\tburst\tkeys/MaxKeys\tuse\tminutes\ttable\tknown refused\tnew refused\tgained\t")
	for _, s := range scenarios() {
		for name, make := range s.tables() {
			t.Run(fmt.Sprintf("%+v/%s", s, name), func(t *testing.T) {
				var r result
				synctest.Test(t, func(*testing.T) { r = s.run(make()) })
				use := "1 event"
				if s.whole {
					use = "burst"
				}
				fmt.Fprintf(w, "%d\t%d\t%v\t%s\t%d\t%s\t%.2f%%\t%.2f%%\t%d\t\n", s.maxKeys, s.burst, s.times, use, s.minutes, name, 100*r.known, 100*r.fresh, r.gained)
				if name == "lru" {
					return
				}
				if r.known > 0 {
					t.Errorf("%+v, %s: %.2f%% of known clients refused", s, name, 100*r.known)
				}
				if name == "InheritDebt" && r.gained > 0 {
					t.Errorf("%+v, %s: %d events gained", s, name, r.gained)
				}
				if name == "ForgiveDebt" && r.fresh > 0.001 {
					t.Errorf("%+v, %s: %.2f%% of new clients refused", s, name, 100*r.fresh)
				}
			})
		}
	}
}

func scenarios() (all []scenario) {
	times := []float64{1, 2, 100}
	if *long {
		times = []float64{1, 1.5, 2, 3, 10, 100}
	}
	for _, burst := range []int64{1, 10, 60, 1000} {
		for _, x := range times {
			for _, whole := range []bool{true, false} {
				for _, minutes := range []int{0, 1, 50} {
					fits := x*float64(*size) <= 1e6 // the exact map takes 400 bytes a key
					if fits && (burst > 1 || whole) {
						all = append(all, scenario{*size, burst, x, whole, minutes})
					}
				}
			}
		}
	}
	return all
}

// A ban touches no other key, whatever share of the slots the bans would take.
func TestBans(t *testing.T) {
	w := writer(t)
	fmt.Fprintln(w, "MaxKeys\tbans/MaxKeys\ttable\tknown refused\tnew refused\tbans that hold\t")
	for _, maxKeys := range []int{256, *size, 8192} {
		for _, share := range []float64{0.1, 0.25, 0.5, 0.7, 1, 2} {
			for policy, name := range policies {
				synctest.Test(t, func(t *testing.T) {
					k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(60), MaxKeys: maxKeys, OnFull: policy})
					bans, random := int(share*float64(maxKeys)), rand.New(rand.NewPCG(1, 2))
					for client := range maxKeys / 8 {
						k.Allow(client)
					}
					for i := range bans {
						k.Penalize(-1-i, 24*time.Hour+time.Duration(random.Int64N(int64(time.Hour))))
						if i%10 == 0 {
							time.Sleep(time.Second)
						}
					}
					time.Sleep(2 * time.Minute)
					var known, fresh, hold int
					for client := range maxKeys / 8 {
						if !k.Allow(client) {
							known++
						}
					}
					for client := range 20_000 {
						if !k.Peek(1<<30 + client).OK {
							fresh++
						}
					}
					for i := range bans {
						if !k.Allow(-1 - i) {
							hold++
						}
					}
					fmt.Fprintf(w, "%d\t%v\t%s\t%d\t%d\t%.2f%%\t\n", maxKeys, share, name, known, fresh, 100*float64(hold)/float64(bans))
					if known+fresh > 0 {
						t.Errorf("%d slots, %d bans, %s: %d known and %d new clients refused", maxKeys, bans, name, known, fresh)
					}
				})
			}
		}
	}
}
