package bulkhead

import "context"

// A Priority orders waiting callers. Values below Background count as
// Background, and values above Critical as Critical.
type Priority int8

const (
	// Background is for work without a waiting user.
	Background Priority = iota - 2
	// Low is for work that can be repeated later.
	Low
	// Normal is the default.
	Normal
	// High is for work that a user waits for.
	High
	// Critical is for work that all other work depends on.
	Critical
)

const priorities = int(Critical-Background) + 1

// level returns 0 for Critical up to 4 for Background.
func (p Priority) level() int { return int(Critical - min(max(p, Background), Critical)) }

type (
	priorityKey struct{}
	tenantKey   struct{}
)

// WithPriority returns a copy of ctx with the priority p.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, p)
}

// PriorityFrom returns the priority of ctx, by default Normal.
func PriorityFrom(ctx context.Context) Priority {
	p, _ := ctx.Value(priorityKey{}).(Priority)
	return p
}

// WithTenant returns a copy of ctx for a tenant: the customer, user or program
// that the work is done for. Tenants that wait take turns.
func WithTenant(ctx context.Context, tenant string) context.Context {
	return context.WithValue(ctx, tenantKey{}, tenant)
}

// TenantFrom returns the tenant of ctx, by default "".
func TenantFrom(ctx context.Context) string {
	tenant, _ := ctx.Value(tenantKey{}).(string)
	return tenant
}
