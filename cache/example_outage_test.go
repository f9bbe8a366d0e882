package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

// A rateServer is the origin: it knows exchange rates, except while it is down.
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

// A shop converts prices. While the server of exchange rates is down it goes on
// with the last known rates for a day, asks the server again once a minute for
// each, and still tells a currency that does not exist from a server that does
// not answer.
func Example_outage() {
	server := &rateServer{rates: map[string]float64{"EUR": 1.08, "GBP": 1.27}}
	rates := cache.Memoize(cache.Config[string, float64]{
		Capacity:     200,
		TTL:          time.Nanosecond, // every rate has expired by the next line; a shop would say ten minutes
		StaleIfError: 24 * time.Hour,
		ErrorTTL:     func(error) time.Duration { return time.Minute },
	}, server.rate)
	price := func(currency string) {
		rate, err := rates.Get(context.Background(), currency)
		switch {
		case errors.Is(err, cache.ErrNotFound):
			fmt.Println(currency, "is no currency")
		case err != nil:
			fmt.Println(currency, "is not known at the moment")
		default:
			fmt.Printf("100 %s are %.0f USD\n", currency, 100*rate)
		}
	}

	price("EUR")
	price("ABC")
	server.down = true
	price("EUR")
	price("EUR")
	price("GBP") // nobody had asked for it before
	price("ABC")

	stats := rates.Stats()
	fmt.Println(server.asked, "questions,", stats.LoadErrors, "failed,", stats.StaleHits, "answered with the last known rate")
	// Output:
	// 100 EUR are 108 USD
	// ABC is no currency
	// 100 EUR are 108 USD
	// 100 EUR are 108 USD
	// GBP is not known at the moment
	// ABC is no currency
	// 4 questions, 3 failed, 2 answered with the last known rate
}
