package diff_test

import (
	"context"
	"fmt"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/diff"
)

// log prints the changes of events.
var log = audit.New(audit.Config{Sink: audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
	for _, e := range events {
		fmt.Print(e.Actor.ID, " ", e.Action)
		for _, c := range e.Changes {
			fmt.Printf(" %s=%s>%s", c.Field, c.Old, c.New)
		}
		fmt.Println()
	}
	return nil
})})

func Example() {
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})

	type user struct {
		Email string `audit:"email"`
		Phone string `audit:"phone,sensitive"`
		Cache string // not audited
	}
	differ := diff.New(log)
	before := user{"a@x", "1", "x"}
	after := user{"b@x", "2", "y"}
	target := audit.Target{Type: "user", ID: "u-1"}
	_, err := differ.Record(ctx, target, before, after)

	fmt.Println(err) // if it is nil, store after

	_, err = differ.Record(ctx, target, nil, after)     // a create
	_, errDel := differ.Record(ctx, target, after, nil) // a delete

	fmt.Println(err, errDel)
	// Output:
	// alice modify email=a@x>b@x phone=***>***
	// <nil>
	// alice create email=>b@x phone=>***
	// alice delete email=b@x> phone=***>
	// <nil> <nil>
}

func ExampleNew() {
	differ := diff.New(log)
	_, err := differ.Record(context.Background(), audit.Target{Type: "n"}, 1, 2)
	fmt.Println(err)
	// Output: diff: not two structs of the same type
}

type money struct{ Cents int }

// Equal compares amounts.
func (m money) Equal(o money) bool { return m == o }

func ExampleDiffer() {
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})

	type order struct {
		Total *money   `audit:"total"`
		Tags  []string `audit:"tags"`
	}
	changes, err := diff.New(log).Record(ctx, audit.Target{Type: "order", ID: "o-17"},
		order{&money{100}, nil}, order{&money{100}, []string{}})
	fmt.Println(changes, err)
	// Output: [] <nil>
}
