module github.com/redoubt-go/redoubt/contrib/compress

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/klauspost/compress v1.20.3
	github.com/redoubt-go/redoubt v0.0.0
	github.com/ulikunitz/xz v0.5.17
)

replace github.com/redoubt-go/redoubt => ../..
