module github.com/redoubt-go/redoubt/contrib/config

go 1.26.0

require github.com/redoubt-go/redoubt v0.0.0

replace github.com/redoubt-go/redoubt => ../..
