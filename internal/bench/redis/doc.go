// Package redis compares the speed of contrib/redis with
// github.com/go-redis/redis_rate. Both use one private redis-server, which must
// be installed.
package redis
