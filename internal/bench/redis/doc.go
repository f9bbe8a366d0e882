// Package redis compares contrib/redis with github.com/go-redis/redis_rate, on one private redis-server, which it needs.
// See the README beside its folder.
package redis
