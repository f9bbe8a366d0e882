package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

// A rateServer is the origin. It returns exchange rates, except while it is
// down.
type rateServer struct {
	rates map[string]float64
	down  bool
	asked int
}

func (s *rateServer) rate(_ context.Context, currency string) (float64, error) {
	s.asked++
	if s.down {
		return 0, errors.New("rates: connection refused")
	}
	rate, ok := s.rates[currency]
	if !ok {
		return 0, fmt.Errorf("rates: %q: %w", currency, cache.ErrNotFound)
	}
	return rate, nil
}

// A shop converts prices. While the server of exchange rates is down, the shop
// uses the last known rates for a day, and asks the server once a minute per
// rate. It still distinguishes a currency that does not exist from a server
// that does not answer.
func Example_outage() {
	server := &rateServer{rates: map[string]float64{"EUR": 1.08, "GBP": 1.27}}
	rates := cache.Memoize(cache.Config[string, float64]{
		Capacity:     200,
		TTL:          time.Nanosecond, // each rate expires at once; use 10 minutes or so
		StaleIfError: 24 * time.Hour,
		ErrorTTL:     func(error) time.Duration { return time.Minute },
	}, server.rate)
	price := func(currency string) {
		rate, err := rates.Get(context.Background(), currency)
		switch {
		case errors.Is(err, cache.ErrNotFound):
			fmt.Println(currency, "is not a currency")
		case err != nil:
			fmt.Println(currency, "is unknown at the moment")
		default:
			fmt.Printf("100 %s are %.0f USD\n", currency, 100*rate)
		}
	}

	price("EUR")
	price("ABC")
	server.down = true
	price("EUR")
	price("EUR")
	price("GBP") // not loaded before
	price("ABC")

	stats := rates.Stats()
	fmt.Println(server.asked, "requests,", stats.LoadErrors, "failed,", stats.StaleHits, "answered with the last known rate")
	// Output:
	// 100 EUR are 108 USD
	// ABC is not a currency
	// 100 EUR are 108 USD
	// 100 EUR are 108 USD
	// GBP is unknown at the moment
	// ABC is not a currency
	// 4 requests, 2 failed, 2 answered with the last known rate
}
