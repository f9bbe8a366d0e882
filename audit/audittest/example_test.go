package audittest_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/audittest"
)

// decode reads what [audit.JSON] writes.
func decode(lines []byte) (events []audit.Event, err error) {
	for line := range bytes.Lines(lines) {
		var e audit.Event
		if err := e.UnmarshalJSON(line); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

func ExampleTestSink() {
	err := audittest.TestSink(func() (audit.Sink, func() ([]audit.Event, error), error) {
		var lines bytes.Buffer
		return audit.JSON(&lines), func() ([]audit.Event, error) { return decode(lines.Bytes()) }, nil
	})
	fmt.Println(err)

	// A sink that keeps what it was lent.
	err = audittest.TestSink(func() (audit.Sink, func() ([]audit.Event, error), error) {
		var mu sync.Mutex
		var kept []*audit.Event
		sink := audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
			mu.Lock()
			defer mu.Unlock()
			kept = append(kept, events...)
			return nil
		})
		return sink, func() (events []audit.Event, _ error) {
			for _, e := range kept {
				events = append(events, *e)
			}
			return events, nil
		}, nil
	})
	fmt.Println(err != nil)
	// Output:
	// <nil>
	// true
}
