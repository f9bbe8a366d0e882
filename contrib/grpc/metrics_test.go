package redoubtgrpc_test

import (
	"context"
	"fmt"
	"strings"
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
	source, err := metrics.SourceOf(server)
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, source.Name, "api")
	var got []string
	for i, v := range source.Read(nil) {
		s := source.Series[i]
		got = append(got, fmt.Sprint(source.Metrics[s.Metric].Name, " ", s.Label, " ", v))
	}
	checkEqual(t, strings.Join(got, "\n"), strings.Join([]string{
		"redoubt.grpc.server.calls  1",
		"redoubt.grpc.server.rejections limited 1",
		"redoubt.grpc.server.rejections full 0",
		"redoubt.grpc.server.rejections late 0",
		"redoubt.grpc.server.rejections unrecorded 0",
		"redoubt.grpc.server.store_errors  0",
	}, "\n"))
}
