package cachetest

import (
	"context"

	"github.com/redoubt-go/redoubt/cache"
)

// Broken returns the errors of the rules that s breaks, by name. It calls new
// once per rule, like Run.
func Broken(ctx context.Context, new func() cache.Store[string, string]) map[string]error {
	broken := map[string]error{}
	for _, r := range rules {
		if err := r.check(ctx, new()); err != nil {
			broken[r.name] = err
		}
	}
	return broken
}
