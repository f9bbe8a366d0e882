// Package rueidisclient adapts the Redis client github.com/redis/rueidis to
// package redoubtredis.
//
//	client, err := rueidis.NewClient(option)
//	if err != nil {
//		panic(err)
//	}
//	config := redoubtredis.Config{
//		Client: rueidisclient.New(client),
//		Limits: limits,
//		Nodes:  4,
//	}
//
// These options are advisable:
//
//	option.ConnWriteTimeout = time.Second // notices a dead connection
//	option.Dialer.KeepAlive = time.Second // by a PING this often
//	option.Dialer.Timeout = time.Second   // connects again soon
//	option.AlwaysPipelining = true        // keeps it when a reply is late
//
// With the defaults, a connection whose packets are lost is closed after 10
// seconds. No caller waits for that, but the outage lasts as long.
//
// It sends the commands of concurrent calls together, and so is the faster
// client under load. It can also report changes on the server to a cache in
// this process: see [Track].
package rueidisclient
