package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// Mirrors download a file from the first mirror that has it. A mirror that
// fails is left alone for a while, without a word in the code that downloads.
type Mirrors struct {
	hosts    []string
	breakers *breaker.Group[string]
	get      func(ctx context.Context, host, file string) (string, error)
}

func NewMirrors(get func(ctx context.Context, host, file string) (string, error), hosts ...string) *Mirrors {
	return &Mirrors{hosts: hosts, get: get, breakers: breaker.NewGroup(breaker.GroupConfig[string]{
		Max: len(hosts),
		Config: func(host string) breaker.Config {
			return breaker.Config{Name: host, Consecutive: 2, SlowCall: 3 * time.Second, OpenFor: time.Minute}
		},
	})}
}

// Download returns the file, or the errors of all mirrors.
func (m *Mirrors) Download(ctx context.Context, file string) (string, error) {
	var errs []error
	for _, host := range m.hosts {
		text, err := breaker.Do(ctx, m.breakers.For(host), func(ctx context.Context) (string, error) {
			return m.get(ctx, host, file)
		})
		if err == nil {
			return text, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

func Example_mirrors() {
	tried := map[string]int{}
	m := NewMirrors(func(_ context.Context, host, file string) (string, error) {
		tried[host]++
		if host == "north.example.org" {
			return "", errors.New("connection refused")
		}
		return file + " from " + host, nil
	}, "north.example.org", "south.example.org")

	for range 10 {
		if text, err := m.Download(context.Background(), "go.tar.gz"); err != nil {
			fmt.Println(text, err)
		}
	}
	fmt.Println(tried)
	// Output: map[north.example.org:2 south.example.org:10]
}
