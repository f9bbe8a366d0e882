package audittest_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/audittest"
)

// decoder returns a function that reads the output of [audit.JSON].
func decoder(lines *bytes.Buffer) func() ([]audit.Event, error) {
	return func() (events []audit.Event, err error) {
		for line := range bytes.Lines(lines.Bytes()) {
			var e audit.Event
			if err := e.UnmarshalJSON(line); err != nil {
				return nil, err
			}
			events = append(events, e)
		}
		return events, nil
	}
}

func TestSink(t *testing.T) {
	audittest.Run(t, func(*testing.T) audittest.Subject {
		var lines bytes.Buffer
		return audittest.Subject{
			Sink:   audit.JSON(&lines),
			Stored: decoder(&lines),
		}
	})
}

func ExampleRun() {
	test := func(t *testing.T) {
		audittest.Run(t, func(*testing.T) audittest.Subject {
			m := &memory{}
			return audittest.Subject{Sink: m, Stored: m.stored}
		})
	}
	_ = test // go test calls TestSink
	// Output:
}

func ExampleSubject() {
	m := &memory{}
	s := audittest.Subject{Sink: m, Stored: m.stored}
	_ = s.Sink.WriteEvents(context.Background(), []*audit.Event{{ID: "e-1"}})
	events, err := s.Stored()
	fmt.Println(len(events), err)
	// Output: 1 <nil>
}
