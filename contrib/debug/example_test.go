package debug_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/contrib/debug"
	"github.com/redoubt-go/redoubt/ratelimit"
)

func Example() {
	b := breaker.New(breaker.Config{Name: "billing"})
	l := ratelimit.New(ratelimit.PerSecond(100))
	prices := cache.New(cache.Config[string, float64]{Capacity: 1000})

	page := debug.New(debug.Config{
		Name: "shop", Objects: map[string]any{
			"billing": b, "clients": l, "prices": prices,
		},
	})
	mux := http.NewServeMux()
	mux.Handle("/debug/guards", page)

	b.ForceOpen()
	server := httptest.NewServer(mux)
	defer server.Close()
	resp, err := http.Get(server.URL + "/debug/guards")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Println(strings.Split(string(text), "\n")[0])
	// Output:
	// shop: billing is forced open
}

type user struct {
	name     string
	operator bool
}

func login(*http.Request) (user, error) { return user{"alice", true}, nil }

// Every change is authorized and recorded.
func ExampleConfig_authorize() {
	log := audit.New(audit.Config{Sink: audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
		for _, e := range events {
			fmt.Println(e.Actor.ID, e.Action, e.Target.ID, e.Outcome)
		}
		return nil
	})})
	b := breaker.New(breaker.Config{Name: "billing"})
	objects := map[string]any{"billing": b}

	operator := func(r *http.Request, _ debug.Action) (audit.Actor, error) {
		user, err := login(r)
		if err == nil && !user.operator {
			err = errors.New("not an operator")
		}
		return audit.Actor{ID: user.name}, err
	}
	page := debug.New(debug.Config{
		Name: "shop", Objects: objects, Authorize: operator, Audit: log,
	})

	form := url.Values{"object": {"billing"}, "action": {"force-open"}}
	r := httptest.NewRequest("POST", "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	page.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
	fmt.Println(b.State())
	// Output:
	// alice guard.change billing attempt
	// alice guard.change billing success
	// 200 billing: force-open
	// forced open
}

// Objects can come and go.
func ExampleHandler_Set() {
	page := debug.New(debug.Config{Name: "shop"})
	c := page.Config()
	c.Objects = map[string]any{"billing": breaker.New(breaker.Config{})}
	if err := page.Set(c); err != nil {
		fmt.Println(err)
	}
	fmt.Println(len(page.Config().Objects), page.Config().Interval)
	// Output: 1 1s
}

// An open page holds a connection, for which Shutdown would wait.
func ExampleHandler_Close() {
	page := debug.New(debug.Config{Name: "shop"})
	server := &http.Server{Handler: page}
	server.RegisterOnShutdown(page.Close)
	fmt.Println(server.Shutdown(context.Background()))
	// Output: <nil>
}

func ExampleConfig_Validate() {
	err := debug.Config{Objects: map[string]any{"answer": 42}}.Validate()
	fmt.Println(err)
	// Output: debug: Objects["answer"] is of type int, want a value with a method Stats() that returns a struct
}

func ExampleNew() {
	defer func() { fmt.Println(recover()) }()
	debug.New(debug.Config{Interval: 1})
	// Output: debug: Interval is 1ns, want at least 50ms
}

func ExampleHandler_ServeHTTP() {
	page := debug.New(debug.Config{Name: "shop", Objects: map[string]any{"billing": breaker.New(breaker.Config{})}})
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest("GET", "/?format=json", nil))
	fmt.Println(strings.Contains(w.Body.String(), `"state": "closed"`))
	// Output: true
}

func ExampleHandler_Config() {
	fmt.Println(debug.New(debug.Config{}).Config().MaxStreams)
	// Output: 16
}

func ExampleAction() {
	fmt.Printf("%+v\n", debug.Action{Object: "clients", Name: "limit", Value: "100/s"})
	// Output: {Object:clients Name:limit Value:100/s}
}
