package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/semver"
)

// A change is the wanted version of a service.
type change struct {
	service  string
	from, to semver.Version
}

// A strategy makes a change. After an error the service runs its old version,
// unless the error is errBroken.
type strategy func(ctx context.Context, p *client, c change) error

var errBroken = errors.New("NOT ROLLED BACK, see to it")

// rollOut makes all changes and prints the result of each. It returns the exit
// status.
func rollOut(ctx context.Context, o options, p *client, stdout, stderr io.Writer) int {
	var failed []result
	fmt.Fprintf(stdout, "%d services, %d at a time\n", len(o.plan), o.atOnce)
	err := p.within(ctx, "/lock", func() error { // another rollout receives "retry later"
		for r := range each(ctx, o.plan, o.atOnce, func(ctx context.Context, c change) error {
			if err := gate(c); err != nil {
				return fmt.Errorf("refused: %w", err)
			}
			return o.strategy(ctx, p, c)
		}) {
			if r.err != nil {
				failed = append(failed, r)
				continue
			}
			fmt.Fprintf(stdout, "  %-10s %v -> %v\n", r.service, r.from, r.to)
		}
		return nil
	})
	err = errors.Join(err, p.close(ctx))
	if len(failed) > 0 {
		fmt.Fprintf(stdout, "%d do not run what was wanted:\n", len(failed))
	}
	for _, r := range failed {
		fmt.Fprintf(stdout, "  %-10s %v -> %v: %s\n", r.service, r.from, r.to, oneLine(r.err))
		if errors.Is(r.err, errBroken) {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.service, errBroken))
		}
	}
	if err == nil {
		err = context.Cause(ctx) // after Ctrl-C
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "rollout:", oneLine(err))
		return 1
	case o.strict && len(failed) > 0:
		return 3
	}
	return 0
}

// A result is the end of a change.
type result struct {
	change
	err error
}

// each does the work for all changes, a bounded number at a time, and yields
// the results as they come. A failure does not stop the others. If ctx ends,
// the changes that have not begun fail with its error.
func each(ctx context.Context, changes []change, atOnce int, work func(context.Context, change) error) <-chan result {
	room := bulkhead.New(bulkhead.Config{Name: "rollout", Limit: atOnce, MaxQueue: len(changes)})
	results := make(chan result, len(changes)) // has room for all, so that no worker waits for the reader
	var all sync.WaitGroup
	for _, c := range changes {
		all.Go(func() {
			err := room.Do(ctx, func(ctx context.Context) error { return work(ctx, c) })
			results <- result{c, err}
		})
	}
	go func() {
		all.Wait()
		close(results)
	}()
	return results
}

// gate refuses versions that must not be deployed, with all reasons.
func gate(c change) error {
	rules := []semver.Rule{semver.Stable, noBuild, semver.NoDowngrade(c.from), semver.MaxStep(c.from, semver.Minor)}
	if c.service == "ledger" { // the versions from 1.6.0 to before 1.6.3 lose cents
		rules = append(rules, semver.NotIn(semver.Between(semver.New(1, 6, 0), semver.New(1, 6, 3))))
	}
	return semver.Rules(rules...)(c.to)
}

// noBuild refuses versions with build metadata.
func noBuild(v semver.Version) error {
	if v.Build() != "" {
		return fmt.Errorf("%s: build metadata not allowed", v)
	}
	return nil
}

// canary tests the new version in a temporary environment, and then replaces
// the old version.
func canary(ctx context.Context, p *client, c change) error {
	env := "/environments/canary-" + c.service
	err := p.within(ctx, env, func() error { return p.deploy(ctx, env, c.service, c.to) })
	if err != nil {
		return fmt.Errorf("stopped by its canary: %w", err)
	}
	return replace(ctx, p, c)
}

// replace deploys the new version. It restores the old version if the new
// version does not become healthy.
func replace(ctx context.Context, p *client, c change) error {
	const production = "/environments/production"
	err := p.deploy(ctx, production, c.service, c.to)
	if err == nil {
		return nil
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	if back := p.deploy(ctx, production, c.service, c.from); back != nil {
		return fmt.Errorf("%w: %w, after: %w", errBroken, back, err)
	}
	return fmt.Errorf("rolled back: %w", err)
}

// detach returns a context for cleanup, which lasts 5 s even after Ctrl-C.
func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

// untilHealthy is the policy that polls a deployment.
var untilHealthy = retry.Policy{Backoff: retry.Constant(20 * time.Millisecond), MaxElapsed: 500 * time.Millisecond}

// deploy starts a version of a service in an environment and polls until it is
// healthy or has crashed.
func (p *client) deploy(ctx context.Context, env, service string, v semver.Version) error {
	path := env + "/services/" + service
	if _, err := p.call(ctx, http.MethodPut, path, v.String()); err != nil {
		return err
	}
	s, err := retry.Poll(ctx, untilHealthy, func(ctx context.Context) (s status, done bool, err error) {
		text, err := p.call(ctx, http.MethodGet, path, "")
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		return s, s.Version == v && s.State != "starting", err // after an error the state is unknown
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, retry.ErrElapsed) && s.State != "":
		return fmt.Errorf("%v is still %s after %v", v, s.State, untilHealthy.MaxElapsed)
	case err == nil && s.State != "healthy":
		return fmt.Errorf("%v %s", v, s.State)
	}
	return err
}
