package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

// A client talks to the platform. It retries requests that may be sent twice.
type client struct {
	url      string
	name     string // identifies the owner of the lock
	http     *http.Client
	sessions *pool[string]
}

func newClient(url string, base http.RoundTripper) *client {
	p := &client{url: url, name: "rollout-" + rand.Text()[:8], http: &http.Client{Timeout: 5 * time.Second, Transport: &retryhttp.Transport{
		Base: base,
		Policy: retry.Policy{
			MaxAttempts: 4, AttemptTimeout: time.Second,
			Backoff: retry.Exponential{Base: 5 * time.Millisecond, Max: 50 * time.Millisecond},
			Budget:  &retry.TokenBudget{}, // shared by all calls, so that an outage does not multiply the requests
		},
	}}}
	p.sessions = newPool(maxSessions, func(ctx context.Context) (string, error) {
		token, err := p.send(ctx, http.MethodPost, "/sessions", "", "")
		return string(token), err
	})
	return p
}

// call sends a request in a session. It waits if all sessions are in use.
func (p *client) call(ctx context.Context, method, path, body string) (text []byte, err error) {
	err = p.sessions.with(ctx, func(session string) error {
		text, err = p.send(ctx, method, path, session, body)
		return err
	})
	return text, err
}

func (p *client) send(ctx context.Context, method, path, session, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Session", session)
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("the platform says %s: %q", resp.Status, text)
	}
	return text, err
}

// within holds a resource of the platform, a lock or an environment, while work
// runs. It releases the resource after an error, a panic and Ctrl-C too.
func (p *client) within(ctx context.Context, path string, work func() error) (err error) {
	if _, err := p.call(ctx, http.MethodPut, path, p.name); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := detach(ctx)
		defer cancel()
		_, cleanup := p.call(ctx, http.MethodDelete, path, "")
		err = errors.Join(err, cleanup)
	}()
	return work()
}

// close ends the sessions.
func (p *client) close(ctx context.Context) error {
	ctx, cancel := detach(ctx)
	defer cancel()
	return p.sessions.close(func(session string) error {
		_, err := p.send(ctx, http.MethodDelete, "/sessions", session, "")
		return err
	})
}

// A pool lends values that are expensive to open, at most cap(places) at a
// time. The channel contains each value that is not lent, and nil for each
// value that was not opened yet.
type pool[T any] struct {
	open   func(context.Context) (T, error)
	places chan *T
}

func newPool[T any](limit int, open func(context.Context) (T, error)) *pool[T] {
	p := &pool[T]{open, make(chan *T, limit)}
	for range limit {
		p.places <- nil
	}
	return p
}

// with lends a value. It waits until a value is free.
func (p *pool[T]) with(ctx context.Context, use func(T) error) error {
	var thing *T
	select {
	case thing = <-p.places:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { p.places <- thing }()
	if thing == nil {
		opened, err := p.open(ctx)
		if err != nil {
			return err
		}
		thing = &opened
	}
	return use(*thing)
}

// close waits for all lent values and closes them. The pool must not be used
// afterwards.
func (p *pool[T]) close(shut func(T) error) error {
	var errs []error
	for range cap(p.places) {
		if thing := <-p.places; thing != nil {
			errs = append(errs, shut(*thing))
		}
	}
	return errors.Join(errs...)
}
