module github.com/redoubt-go/redoubt/contrib/redis

go 1.26.0

require (
	github.com/alicebob/miniredis/v2 v2.40.0
	github.com/leanovate/gopter v0.2.9
	github.com/redis/go-redis/v9 v9.20.0
	github.com/redis/rueidis v1.0.57
	github.com/redoubt-go/redoubt v0.0.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/yuin/gopher-lua v1.1.1 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)

replace github.com/redoubt-go/redoubt => ../..
