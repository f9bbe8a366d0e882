package redoubtredis_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// exactRules are the limits of the exact model: an event takes a fraction of a
// microsecond.
var exactRules = [][]ratelimit.Limit{
	limits(ratelimit.Per(7, 30*time.Millisecond).WithBurst(11)),
	limits(ratelimit.Per(999_983, time.Second).WithBurst(5000)),
	limits(ratelimit.Per(13, 11*time.Millisecond).WithBurst(17), ratelimit.Per(1009, 1619*time.Millisecond).WithBurst(50)),
	limits(ratelimit.Per(3, 10_000_001).WithBurst(5)),
}

// An op is a call that a server has executed, and its reply: the instant, the
// microseconds moved by returns, and the two parts of each debt.
type op struct {
	Limiter int
	Key     string
	Kind    string // take, charge, credit, empty or return
	N       int64  // events, or microseconds of empty
	OK      bool   // of take and return
	Reply   []int64
	Taken   []int64 // of return: the reply of the take
	Of      int64   // of return: the events of the take
}

// Four processes take, reserve, settle, charge, credit and penalize the same
// keys, by both clients, while the scripts of the server are flushed.
// Oracle: a model in rational numbers, which executes the calls in the order of
// their instants. Every verdict and every debt are equal, to the last fraction
// of a microsecond.
func TestExact(t *testing.T) {
	if text := os.Getenv("REDOUBT_TEST_EXACT"); text != "" {
		playExact(t, text)
		return
	}
	t.Parallel()
	server := redistest.Start(t)
	var mu sync.Mutex
	all := map[string][]op{}
	var wg sync.WaitGroup
	done, total := make(chan bool), 0
	for i := range 4 {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestExact$")
			cmd.Env = append(os.Environ(), fmt.Sprintf("REDOUBT_TEST_EXACT=%s %d", server.Addr, i))
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("%v:\n%s", err, out)
			}
			mu.Lock()
			defer mu.Unlock()
			lines := bufio.NewScanner(bytes.NewReader(out))
			for lines.Scan() {
				var o op
				if text, ok := strings.CutPrefix(lines.Text(), "op: "); ok && json.Unmarshal([]byte(text), &o) == nil {
					name := fmt.Sprint(o.Limiter, o.Key)
					all[name] = append(all[name], o)
					total++
				}
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	flushed := 0
	for running := true; running; flushed++ {
		select {
		case <-done:
			running = false
		case <-time.After(50 * time.Millisecond):
			server.MustDo("SCRIPT", "FLUSH")
		}
	}
	kinds := map[string]int{}
	for name, ops := range all {
		slices.SortStableFunc(ops, func(a, b op) int { return int(a.Reply[0] - b.Reply[0]) })
		if err := judge(ops); err != nil {
			t.Errorf("key %s: %v", name, err)
		}
		for _, o := range ops {
			kinds[fmt.Sprint(o.Kind, " ", o.OK)]++
		}
		// A debt that differs by the least fraction is found.
		wrong := slices.Clone(ops)
		last := &wrong[len(wrong)/2]
		last.Reply = slices.Clone(last.Reply)
		last.Reply[len(last.Reply)-1]++
		if judge(wrong) == nil {
			t.Errorf("key %s: a wrong debt is accepted", name)
		}
	}
	t.Logf("%d calls of %d keys, %d flushes: %v", total, len(all), flushed, kinds)
	if len(all) != 2*len(exactRules) || kinds["return true"] == 0 || kinds["take false"] == 0 {
		t.Errorf("%d keys, %v: not all was tested", len(all), kinds)
	}
}

// An exact is the naive model of a limiter.
type exact struct {
	rules []ratelimit.Limit
	full  []*big.Rat // when each bucket is full again, in microseconds
	moved int64
}

func micro(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }

// cost returns the microseconds of n events.
func cost(l ratelimit.Limit, n int64) *big.Rat {
	c := big.NewRat(int64(l.Per), l.N)
	c.Mul(c, big.NewRat(n, 1000))
	return c
}

func least(xs ...*big.Rat) *big.Rat {
	return slices.MinFunc(xs, (*big.Rat).Cmp)
}

// apply executes an op, and returns an error if its reply is not right.
func (m *exact) apply(o op) error {
	now := micro(o.Reply[0])
	debts := make([]*big.Rat, len(m.rules))
	any := false
	for i := range m.rules {
		debts[i] = new(big.Rat).Sub(m.full[i], now)
		if debts[i].Sign() < 0 {
			debts[i].SetInt64(0)
		}
		any = any || debts[i].Sign() > 0
	}
	if !any && o.Kind != "return" {
		m.moved = o.Reply[1] // a key without a debt may have expired
		if o.Kind == "credit" {
			m.moved = 0
		}
	}
	next := make([]*big.Rat, len(debts))
	ok := true
	returned := false
	for i, l := range m.rules {
		next[i] = new(big.Rat).Set(debts[i])
		switch o.Kind {
		case "take", "charge":
			next[i].Add(next[i], cost(l, o.N))
			ok = ok && (o.Kind == "charge" || next[i].Cmp(cost(l, l.Burst)) <= 0)
		case "credit":
			if next[i].Sub(next[i], cost(l, o.N)); next[i].Sign() < 0 {
				next[i].SetInt64(0)
			}
		case "empty":
			if d := new(big.Rat).Add(cost(l, l.Burst), micro(o.N)); d.Cmp(next[i]) > 0 {
				next[i] = d
			}
		case "return":
			// The take's debt, or the debt of the take alone, as far as it
			// still exists.
			taken := micro(o.Taken[0])
			end := new(big.Rat).Add(taken, debtOf(l, o.Taken[2+2*i:]))
			end.Sub(end, micro(m.moved-o.Taken[1]))
			if alone := new(big.Rat).Add(taken, cost(l, o.Of)); alone.Cmp(end) > 0 {
				end = alone
			}
			part := least(end.Sub(end, now), cost(l, o.N), debts[i])
			if m.moved >= o.Taken[1] && part.Sign() > 0 {
				next[i].Sub(next[i], part)
				returned = true
			}
		}
	}
	if o.Kind == "take" && !ok {
		next = debts
	}
	for i, l := range m.rules {
		if got := debtOf(l, o.Reply[2+2*i:]); got.Cmp(next[i]) != 0 {
			return fmt.Errorf("%+v: debt %v, want %v", o, got, next[i])
		}
		m.full[i] = next[i].Add(next[i], now)
	}
	m.moved = o.Reply[1]
	if o.Kind == "take" && ok != o.OK || o.Kind == "return" && returned != o.OK {
		return fmt.Errorf("%+v: want %v, %v", o, ok, returned)
	}
	return nil
}

// debtOf returns a debt by its two parts.
func debtOf(l ratelimit.Limit, parts []int64) *big.Rat {
	d := big.NewRat(parts[1], 1)
	d.Quo(d, new(big.Rat).SetInt(cost(l, 1).Denom()))
	return d.Add(d, micro(parts[0]))
}

// judge executes ops in the order of their instants. It finds an order of the
// ops of the same microsecond.
func judge(ops []op) error {
	m := &exact{rules: exactRules[ops[0].Limiter]}
	for range m.rules {
		m.full = append(m.full, new(big.Rat))
	}
	for len(ops) > 0 {
		n := 1
		for n < len(ops) && ops[n].Reply[0] == ops[0].Reply[0] {
			n++
		}
		var err error
		if m, err = m.order(ops[:n]); err != nil {
			return err
		}
		ops = ops[n:]
	}
	return nil
}

// order executes ops of the same instant in any order that fits.
func (m *exact) order(ops []op) (*exact, error) {
	if len(ops) == 0 {
		return m, nil
	}
	var first error
	for i := range ops {
		next := &exact{rules: m.rules, moved: m.moved}
		for _, f := range m.full {
			next.full = append(next.full, new(big.Rat).Set(f))
		}
		if err := next.apply(ops[i]); err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		rest := slices.Delete(slices.Clone(ops), i, i+1)
		end, err := next.order(rest)
		if err == nil {
			return end, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// A witness remembers the last reply of a script.
type witness struct {
	redoubtredis.Client
	ok   bool
	last []int64
}

func (w *witness) Do(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
	replies := w.Client.Do(ctx, cmds...)
	if values, ok := replies[0].Value.([]any); ok {
		w.last, w.ok = nil, values[0] == int64(1)
		for _, v := range values[1:] {
			w.last = append(w.last, v.(int64))
		}
	}
	return replies
}

// playExact is a process of TestExact.
func playExact(t *testing.T, text string) {
	var addr string
	var me int
	if _, err := fmt.Sscan(text, &addr, &me); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	end := time.Now().Add(3 * time.Second)
	for i, rules := range exactRules {
		wg.Go(func() {
			connect := goClient
			if me%2 == 0 {
				connect = rueClient
			}
			w := &witness{Client: connect(t, addr)}
			l := newLimiter(t, redoubtredis.Config{Client: w, Name: fmt.Sprint("exact", i), Limits: rules, Denied: -1})
			log := func(o op) {
				mu.Lock()
				defer mu.Unlock()
				o.Limiter, o.Reply = i, w.last
				line, err := json.Marshal(o)
				if err != nil {
					t.Error(err)
				}
				fmt.Printf("op: %s\n", line)
			}
			r := rand.New(rand.NewPCG(uint64(me), uint64(i)))
			ctx := context.Background()
			for time.Now().Before(end) {
				key, n := string(rune('a'+r.IntN(2))), 1+r.Int64N(6)*r.Int64N(2)
				if n > rules[0].Burst {
					n = rules[0].Burst
				}
				var err error
				switch kind := r.IntN(20); kind {
				case 0:
					_, err = l.ChargeKey(ctx, key, n)
					log(op{Key: key, Kind: "charge", N: n})
				case 1:
					err = l.CreditKey(ctx, key, n)
					log(op{Key: key, Kind: "credit", N: n})
				case 2:
					err = l.PenalizeKey(ctx, key, time.Duration(n)*time.Millisecond+999)
					log(op{Key: key, Kind: "empty", N: n * 1000})
				case 3, 4, 5, 6, 7, 8:
					var d ratelimit.Decision
					var settle func(context.Context, int64) error
					d, settle, err = l.ReserveKey(ctx, key, n)
					taken := w.last
					log(op{Key: key, Kind: "take", N: n, OK: d.OK})
					if !d.OK || err != nil {
						break
					}
					time.Sleep(time.Duration(r.IntN(4)) * time.Millisecond)
					actual := r.Int64N(2*n + 1)
					err = settle(ctx, actual)
					switch {
					case actual > n:
						log(op{Key: key, Kind: "charge", N: actual - n})
					case actual < n:
						log(op{Key: key, Kind: "return", OK: w.ok, N: n - actual, Taken: taken, Of: n})
					}
				default:
					var d ratelimit.Decision
					d, err = l.TakeKey(ctx, key, n)
					log(op{Key: key, Kind: "take", N: n, OK: d.OK})
				}
				if err != nil {
					t.Error(err)
				}
				time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
			}
			if s := l.Stats(); s.Errors > 0 || s.Alone > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
	wg.Wait()
}
