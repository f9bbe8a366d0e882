package ratelimit_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// A deployer starts a limited number of deployments per hour and at once. It
// refuses a request over the limit instead of queueing it, so that the user is
// informed immediately.
type deployer struct {
	deploy func(context.Context) (int, error)
	last   int
}

func newDeployer(perHour, atOnce int64) *deployer {
	d := new(deployer)
	limit := ratelimit.New(ratelimit.PerHour(perHour).WithBurst(atOnce))
	d.deploy = ratelimit.Wrap(ratelimit.Reject(limit), d.start)
	return d
}

func (d *deployer) start(context.Context) (int, error) {
	d.last++
	return d.last, nil
}

// request serves a chat command.
func (d *deployer) request(ctx context.Context, service string) string {
	id, err := d.deploy(ctx)
	var limited *ratelimit.LimitedError
	switch {
	case errors.As(err, &limited):
		return fmt.Sprintf("%s: not now, the limit is %v", service, limited.Decision.Limit)
	case err != nil:
		return fmt.Sprintf("%s: %v", service, err)
	}
	return fmt.Sprintf("%s: deployment %d", service, id)
}

// Deployments on request, limited by refusal.
func Example_deploy() {
	d := newDeployer(12, 3)
	for _, service := range []string{"api", "web", "mail", "search"} {
		fmt.Println(d.request(context.Background(), service))
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	fmt.Println(d.request(stopped, "billing"))
	// Output:
	// api: deployment 1
	// web: deployment 2
	// mail: deployment 3
	// search: not now, the limit is 12/h burst 3
	// billing: ratelimit: wait: context canceled
}
