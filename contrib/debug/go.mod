module github.com/redoubt-go/redoubt/contrib/debug

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/redoubt-go/redoubt v0.0.0
)

replace github.com/redoubt-go/redoubt => ../..
