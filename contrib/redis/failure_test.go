package redoubtredis_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// CLIENT PAUSE is an outage of that time. It starts once.
func TestDrill_Paused(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		t.Parallel()
		server := redistest.Start(t)
		d := startDrill(t, redoubtredis.Config{Client: connect(t, server.Addr), Outage: redoubtredis.OutageRefuse, Denied: -1, Limits: limits(ratelimit.PerHour(1 << 30))})
		before := d.limiter.Stats().Outages
		server.MustDo("CLIENT", "PAUSE", "3000", "ALL")
		d.down()
		refused := d.refused.Load()
		until(t, "refusing", func() bool { return d.refused.Load() > refused+50 })
		d.up()
		d.end()
		outages := d.limiter.Stats().Outages - before
		t.Logf("%d outages", outages)
		if outages != 1 && d.stalled() < timeout/2 {
			t.Errorf("%d outages of one pause", outages)
		}
	})
}

// A server that keeps its state on disk refuses after it was killed what it
// refused before.
func TestDrill_AppendOnly(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		t.Parallel()
		server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
		d := startDrill(t, redoubtredis.Config{Client: connect(t, server.Addr), Outage: redoubtredis.OutageRefuse, Denied: -1})
		used := d.usedUp()
		server.Kill()
		d.down()
		server.Restart()
		d.up()
		asked := d.limiter.Stats().Refused
		until(t, "refusing again", func() bool { return d.limiter.Stats().Refused > asked+20 })
		d.end()
		if n := d.admitted.Load(); n != used {
			t.Errorf("admitted %d, want the burst of %d once", n, used)
		}
	})
}

// A replica that becomes the master has the events that it has received. The
// limiter follows the address, and admits no event twice.
func TestDrill_Promoted(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		t.Parallel()
		master, replica := redistest.Start(t), redistest.Start(t)
		proxy := master.Slow()
		host, port, err := net.SplitHostPort(master.Addr)
		if err != nil {
			t.Fatal(err)
		}
		replica.MustDo("REPLICAOF", host, port)
		d := startDrill(t, redoubtredis.Config{Client: connect(t, proxy.Addr), Outage: redoubtredis.OutageRefuse, Denied: -1})
		used := d.usedUp()
		until(t, "replicated", func() bool {
			return replica.MustDo("DBSIZE") == master.MustDo("DBSIZE") && replica.MustDo("GET", d.limiter.KeyOf("k")) == master.MustDo("GET", d.limiter.KeyOf("k"))
		})
		master.Kill()
		d.down()
		proxy.MoveTo(replica)
		replica.MustDo("REPLICAOF", "NO", "ONE")
		promoted := time.Now()
		d.up()
		t.Logf("up %v after the promotion", time.Since(promoted))
		asked := d.limiter.Stats().Refused
		until(t, "refusing again", func() bool { return d.limiter.Stats().Refused > asked+20 })
		d.end()
		if n := d.admitted.Load(); n != used {
			t.Errorf("admitted %d, want the burst of %d once", n, used)
		}
	})
}

// A flood of 30,000 keys in a server with room for 10,000: with noeviction and
// volatile-ttl, a key with a large debt keeps it. Other policies may forget it,
// which admits its burst again.
func TestDrill_Evicted(t *testing.T) {
	t.Parallel()
	for policy, keeps := range map[string]bool{"noeviction": true, "volatile-ttl": true, "allkeys-lru": false, "volatile-lru": false, "allkeys-random": false} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "--maxmemory-policy", policy)
			rule := limits(ratelimit.PerHour(1000))
			l := newLimiter(t, redoubtredis.Config{Client: goClient(t, server.Addr), Limits: rule, Outage: redoubtredis.OutageRefuse, Denied: -1})
			take(t, l, "victim", 1000)
			used := server.MustDo("INFO", "memory")
			var bytes int
			if _, err := fmt.Sscanf(used, "# Memory\r\nused_memory:%d", &bytes); err != nil {
				t.Fatal(err)
			}
			server.MustDo("CONFIG", "SET", "maxmemory", fmt.Sprint(bytes+2<<20))
			keys := make([]string, 30_000)
			for i := range keys {
				keys[i] = fmt.Sprint("spray", i)
			}
			ds, err := l.TakeKeys(t.Context(), keys, 1)
			if err != nil {
				t.Fatal(err)
			}
			admitted := 0
			for _, d := range ds {
				if d.OK {
					admitted++
				}
			}
			again := take(t, l, "victim", 1)
			s := l.Stats()
			t.Logf("%s: %d of 30,000 new keys admitted, %d errors, victim admitted again: %v, %s keys", policy, admitted, s.Errors, again.OK, server.MustDo("DBSIZE"))
			if keeps && again.OK {
				t.Errorf("%+v, want the refusal kept", again)
			}
			if full := policy == "noeviction"; s.Outages > 0 || full != (s.Errors > 0) || full == (admitted == 30_000) {
				t.Errorf("%+v, %d admitted: a full server is no outage", s, admitted)
			}
		})
	}
}
