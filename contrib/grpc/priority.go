package redoubtgrpc

import (
	"context"
	"strconv"

	"google.golang.org/grpc/metadata"

	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

// priorityKey is the metadata that contains a priority as a number: -2 for
// bulkhead.Background to 2 for bulkhead.Critical.
const priorityKey = "redoubt-priority"

// sendPriority returns ctx with its priority as metadata.
func sendPriority(ctx context.Context) context.Context {
	p := bulkhead.PriorityFrom(ctx)
	if p == bulkhead.Normal {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, priorityKey, strconv.Itoa(int(p)))
}

// takePriority returns ctx with the priority of its metadata, if that is valid.
func takePriority(ctx context.Context) context.Context {
	values := metadata.ValueFromIncomingContext(ctx, priorityKey)
	if len(values) != 1 {
		return ctx
	}
	p, err := strconv.ParseInt(values[0], 10, 8)
	if err != nil || p < int64(bulkhead.Background) || p > int64(bulkhead.Critical) {
		return ctx
	}
	return bulkhead.WithPriority(ctx, bulkhead.Priority(p))
}
