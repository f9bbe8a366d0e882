// Package goredisclient adapts the Redis client github.com/redis/go-redis to
// package redoubtredis.
//
//	rdb := goredis.NewClient(&goredis.Options{
//		Addr:                  addr,
//		ContextTimeoutEnabled: true,
//	})
//	config := redoubtredis.Config{
//		Client: goredisclient.New(rdb),
//		Limits: limits,
//		Nodes:  4,
//	}
//
// ContextTimeoutEnabled is required. Without it a call waits for the
// ReadTimeout of the client, which is seconds, even if its context ends.
// Commands are not retried after an error, whatever MaxRetries is, because a
// take must not happen twice. That needs go-redis 9.20 or newer.
//
// [Listen] reports changes on the server to a cache in this process.
package goredisclient
