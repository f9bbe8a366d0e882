// Package rueidisclient lets github.com/redis/rueidis be the client of package redis.
//
//	client, err := rueidis.NewClient(option)
//	if err != nil {
//		panic(err)
//	}
//	config := redis.Config{Client: rueidisclient.New(client), Limits: limits, Nodes: 4}
//
// It sends the commands of calls that run at the same time together, which makes it the faster client under load, and
// it can tell a cache in this process what has changed on the server, see [Track].
package rueidisclient
