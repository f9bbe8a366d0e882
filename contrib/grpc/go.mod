module github.com/redoubt-go/redoubt/contrib/grpc

go 1.26.0

require (
	github.com/redoubt-go/redoubt v0.0.0
	golang.org/x/net v0.60.0
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
)

require (
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
)

replace github.com/redoubt-go/redoubt => ../..
