// Package goredisclient lets github.com/redis/go-redis be the client of package redis.
//
//	rdb := goredis.NewClient(&goredis.Options{Addr: addr, ContextTimeoutEnabled: true})
//	config := redis.Config{Client: goredisclient.New(rdb), Limits: limits, Nodes: 4}
//
// ContextTimeoutEnabled is required: without it a call waits for the ReadTimeout of the client, seconds, whatever its
// context says. Commands are not tried again after an error, whatever MaxRetries says; a take must not happen twice.
package goredisclient
