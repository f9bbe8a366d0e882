package bulkhead_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

// A deployer runs at most five deployments at a time; the others wait for their
// turn.
type deployer struct {
	places *bulkhead.Bulkhead
	inside atomic.Int64
	most   atomic.Int64
}

func (d *deployer) deploy(context.Context) error {
	n := d.inside.Add(1)
	defer d.inside.Add(-1)
	for most := d.most.Load(); n > most && !d.most.CompareAndSwap(most, n); most = d.most.Load() {
	}
	return nil
}

// Five deployments at a time.
func Example_deployments() {
	d := &deployer{places: bulkhead.New(bulkhead.Config{Name: "deploy", Limit: 5, MaxQueue: 100})}
	var done atomic.Int64
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if err := d.places.Do(context.Background(), d.deploy); err != nil {
				fmt.Println(err)
				return
			}
			done.Add(1)
		})
	}
	wg.Wait()
	fmt.Println(done.Load(), "deployed, never more than 5 at a time:", d.most.Load() <= 5)
	// Output: 40 deployed, never more than 5 at a time: true
}
