// Package ratelimittest tests implementations of [ratelimit.Store], the
// interface of keyed rate limiters.
//
//	func TestStore(t *testing.T) {
//		ratelimittest.Run(t, func(t *testing.T, limit ratelimit.Limit) ratelimit.Store {
//			return ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: limit}))
//		})
//	}
//
// The tests run in real time, for about half a second, so that they can test a
// store behind a network too.
package ratelimittest
