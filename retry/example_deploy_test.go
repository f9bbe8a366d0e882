package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

// A Deployment is the state of a rollout, as its service reports it.
type Deployment struct {
	Status string // "in progress", "completed" or "failed"
	Ready  int    // instances that serve
}

// A Cluster is a service that rolls out. Its answers come from a script.
type Cluster struct{ script []answer }

type answer struct {
	state Deployment
	err   error
}

// Status asks for the state of a deployment.
func (c *Cluster) Status(context.Context, string) (Deployment, error) {
	a := c.script[0]
	c.script = c.script[1:]
	return a.state, a.err
}

// ErrRollout means that a deployment failed.
var ErrRollout = errors.New("rollout failed")

// WaitForDeployment returns when a deployment is completed. The timeout
// includes the time of the checks, and no check starts after it. A service that
// does not answer for a moment does not end the wait. WaitForDeployment returns
// the last state in any case.
func WaitForDeployment(ctx context.Context, c *Cluster, id string, timeout, interval time.Duration) (Deployment, error) {
	policy := retry.Interval(interval)
	policy.MaxElapsed = timeout
	return retry.Poll(ctx, policy, func(ctx context.Context) (Deployment, bool, error) {
		d, err := c.Status(ctx, id)
		switch {
		case err != nil:
			return d, false, err
		case d.Status == "failed":
			return d, true, ErrRollout
		}
		return d, d.Status == "completed", nil
	})
}

func Example_waitForDeployment() {
	away := answer{err: errors.New("connection refused")}
	running := answer{state: Deployment{"in progress", 2}}
	for _, end := range []Deployment{{"completed", 5}, {"failed", 3}} {
		cluster := &Cluster{script: []answer{running, away, running, {state: end}}}
		d, err := WaitForDeployment(context.Background(), cluster, "web", time.Minute, time.Millisecond)
		fmt.Println(d.Status, d.Ready, errors.Is(err, ErrRollout))
	}
	// Output:
	// completed 5 false
	// failed 3 true
}
