package redoubtgrpc_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"

	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
	"github.com/redoubt-go/redoubt/internal/metrics"
)

// contrib/otel and contrib/prometheus export the statistics of a Server.
func TestMetrics(t *testing.T) {
	server := &redoubtgrpc.Server{Name: "api", Limit: hourly(1), Key: one}
	stub := grpc_testing.NewTestServiceClient(serve(t, new(service), options(server, false)...)())
	for _, want := range []codes.Code{codes.OK, codes.ResourceExhausted} {
		_, err := stub.UnaryCall(context.Background(), new(request))
		checkCode(t, err, want)
	}
	source := metrics.SourceOf(server)
	if source == nil {
		t.Fatal("a Server has no metrics")
	}
	var got []string
	for i, values := range source.Read() {
		got = append(got, fmt.Sprint(source.Metrics[i].Name, values))
	}
	checkEqual(t, fmt.Sprint(got), "[redoubt.grpc.server.calls[1] redoubt.grpc.server.rejections[1 0 0 0] redoubt.grpc.server.store_errors[0]]")
}
