package config_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/contrib/config"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

func logEvent(context.Context, breaker.Event) {}

// Settings are all settings of a service. The sections of the file have the
// names of the fields.
type Settings struct {
	Retry    retry.Policy
	Shop     breaker.Config
	Mirrors  breaker.PoolConfig[string]
	Hosts    map[string]breaker.Config // of some hosts
	Feed     breaker.ThrottleConfig
	Requests ratelimit.Config
	Clients  ratelimit.KeyedConfig
	Mails    ratelimit.WindowConfig
	Alerts   ratelimit.WindowConfig
	Database bulkhead.Config
	Prices   cache.Config[string, float64]
}

// defaults returns the hooks, and the values of settings that the file does not
// name.
func defaults() Settings {
	return Settings{
		Shop:     breaker.Config{Name: "shop", OnEvent: logEvent},
		Mirrors:  breaker.PoolConfig[string]{Endpoints: []string{"eu", "us"}},
		Requests: ratelimit.Config{Limits: []ratelimit.Limit{ratelimit.PerSecond(100)}},
		Clients:  ratelimit.KeyedConfig{Limit: ratelimit.PerSecond(10)},
		Mails:    ratelimit.WindowConfig{Limit: ratelimit.PerHour(50)},
		Alerts:   ratelimit.WindowConfig{Limit: ratelimit.PerMinute(5)},
		Database: bulkhead.Config{Limit: 20},
		Prices:   cache.Config[string, float64]{Capacity: 1000},
	}
}

// A Service has guards of every kind whose settings can change.
type Service struct {
	retry    atomic.Pointer[retry.Policy] // a call uses the policy of its beginning
	shop     *breaker.Breaker
	mirrors  *breaker.Pool[string]
	hosts    *breaker.Group[string]
	feed     *breaker.Throttle
	requests *ratelimit.Limiter
	clients  *ratelimit.Keyed[string]
	mails    *ratelimit.Window
	alerts   *ratelimit.Counter
	database *bulkhead.Bulkhead
	prices   *cache.Cache[string, float64]
}

func NewService() *Service {
	s := defaults()
	service := &Service{
		shop:     breaker.New(s.Shop),
		mirrors:  breaker.NewPool(s.Mirrors),
		hosts:    breaker.NewGroup(breaker.GroupConfig[string]{}),
		feed:     breaker.NewThrottle(s.Feed),
		requests: ratelimit.New(s.Requests.Limits...),
		clients:  ratelimit.NewKeyed[string](s.Clients),
		mails:    ratelimit.NewWindow(s.Mails.Limit),
		alerts:   ratelimit.NewCounter(s.Alerts.Limit),
		database: bulkhead.New(s.Database),
		prices:   cache.New(s.Prices),
	}
	service.retry.Store(&s.Retry)
	return service
}

// Load changes the service to the settings of a file. If a setting is wrong,
// nothing changes. Each Load begins with the defaults, so that a setting that
// was removed from the file returns to its default.
func (s *Service) Load(file []byte) error {
	var m map[string]any
	if err := json.Unmarshal(file, &m); err != nil {
		return err
	}
	c := defaults()
	if err := config.Decode(m, &c); err != nil {
		return err
	}
	// Only SetConfig can refuse settings that are valid: a new Eviction.
	if err := s.prices.SetConfig(c.Prices); err != nil {
		return err
	}
	s.retry.Store(&c.Retry)
	return errors.Join(
		s.shop.Set(c.Shop),
		s.mirrors.Set(c.Mirrors),
		s.hosts.Set(breaker.GroupConfig[string]{Config: func(host string) breaker.Config { return c.Hosts[host] }}),
		s.feed.Set(c.Feed),
		s.requests.Set(c.Requests),
		s.clients.Set(c.Clients),
		s.mails.Set(c.Mails),
		s.alerts.Set(c.Alerts),
		s.database.Set(c.Database),
	)
}

// Run loads the file at each signal, until the channel is closed.
func (s *Service) Run(hup <-chan os.Signal, read func() []byte) {
	for range hup {
		if err := s.Load(read()); err != nil {
			fmt.Println("kept the settings:")
			fmt.Println(err)
			continue
		}
		fmt.Println("new settings:", s)
	}
}

func (s *Service) String() string {
	hosts := s.hosts.Config().Config
	return fmt.Sprintln(
		s.retry.Load().MaxAttempts, s.shop.Config().FailureRatio, s.mirrors.Config().Endpoints, hosts("eu").Probes, s.feed.Config().K,
		s.requests.Config().Limits, s.clients.Config().Limit, s.mails.Config().Limit, s.alerts.Config().Limit,
		s.database.Config().Limit, s.prices.Config().Capacity,
	)
}

// A running service changes its settings at SIGHUP. In a program, hup is
//
//	hup := make(chan os.Signal, 1)
//	signal.Notify(hup, syscall.SIGHUP)
//
// and read is os.ReadFile. Here the signals come from the example.
func Example_reload() {
	files := []string{
		`{
			"retry": {"max_attempts": 5}, "shop": {"failure_ratio": 0.25}, "mirrors": {"endpoints": ["eu", "us", "asia"]},
			"hosts": {"eu": {"probes": 3}}, "feed": {"k": 1.5}, "requests": {"limits": ["200/s burst 50"]}, "clients": {"limit": "5/s"},
			"mails": {"limit": "80/h"}, "alerts": {"limit": "9/m"}, "database": {"limit": 40}, "prices": {"capacity": 5000}
		}`,
		`{"shop": {"failure_ratio": 25}, "clients": {"limit": "5 a second"}, "prices": {"capacity": 100}}`,
		`{"database": {"limit": 30}}`,
	}
	read := func() []byte {
		file := files[0]
		files = files[1:]
		return []byte(file)
	}
	s := NewService()
	hup := make(chan os.Signal, 3)
	for range 3 {
		hup <- syscall.SIGHUP
	}
	close(hup)
	s.Run(hup, read)
	// Output:
	// new settings: 5 0.25 [eu us asia] 3 1.5 [200/s burst 50] 5/s 80/h 9/m 40 5000
	//
	// kept the settings:
	// config: clients.limit: ratelimit: limit "5 a second": want the form "100/s burst 20"
	// config: shop: breaker: FailureRatio is 25, want a share in (0, 1], or a negative number
	// new settings: 0 0.5 [eu us] 0 2 [100/s] 10/s 50/h 5/m 30 1000
}
