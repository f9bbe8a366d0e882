// Package ratelimittest tests implementations of [ratelimit.Store], the
// interface of keyed rate limiters.
//
//	func newStore(t *testing.T, limit ratelimit.Limit) ratelimit.Store {
//		config := ratelimit.KeyedConfig{Limit: limit}
//		return ratelimit.Local(ratelimit.NewKeyed[string](config))
//	}
//
//	func TestStore(t *testing.T) {
//		ratelimittest.Run(t, newStore)
//	}
//
// The tests run in real time, for about half a second, so that they can test a
// store behind a network too.
package ratelimittest
