package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

var errTimeout = errors.New("timeout")

type User struct{ Name string }

func fetch(context.Context, int) (User, error) { return User{}, errTimeout }
func cached(int) User                          { return User{"Ada, as of yesterday"} }

func Example() {
	ctx := context.Background()
	for range 6 {
		lookUp(ctx)
	}
	// Output:
	// timeout
}

func lookUp(ctx context.Context) {
	users := breaker.New(breaker.Config{Name: "users"})
	user, err := breaker.Do(ctx, users, func(ctx context.Context) (User, error) { return fetch(ctx, 7) })
	if errors.Is(err, breaker.ErrOpen) {
		user = cached(7)
	}
	fmt.Println(user, err)
}
