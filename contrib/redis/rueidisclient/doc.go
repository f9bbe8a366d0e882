// Package rueidisclient adapts the Redis client github.com/redis/rueidis to
// package redis.
//
//	client, err := rueidis.NewClient(option)
//	if err != nil {
//		panic(err)
//	}
//	config := redis.Config{
//		Client: rueidisclient.New(client),
//		Limits: limits,
//		Nodes:  4,
//	}
//
// It sends the commands of concurrent calls together, and so is the faster
// client under load. It can also report changes on the server to a cache in
// this process: see [Track].
package rueidisclient
