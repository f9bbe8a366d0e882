module github.com/redoubt-go/redoubt

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/leanovate/gopter v0.2.9
	golang.org/x/sync v0.24.0
	golang.org/x/time v0.16.0
)
