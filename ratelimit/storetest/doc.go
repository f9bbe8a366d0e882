// Package storetest tests implementations of [ratelimit.Store].
//
//	err := storetest.TestStore(func(limit ratelimit.Limit) (ratelimit.Store, error) {
//		return ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: limit})), nil
//	})
//
// It runs in real time, for about half a second, so that it can test a store behind a network too.
package storetest
