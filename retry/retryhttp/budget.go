package retryhttp

import (
	"context"
	"net/http"

	"github.com/redoubt-go/redoubt/retry"
)

// A payer is the context of an attempt of a Transport with a Budget. A Hedge
// below it with the same Budget leaves the outcome of the request to it, so
// that a request is settled once.
type payer struct {
	context.Context
	budget retry.Budget
}

type payerKey struct{}

// Value returns p for its own key.
func (p *payer) Value(key any) any {
	if key == (payerKey{}) {
		return p
	}
	return p.Context.Value(key)
}

// mayHedge reports whether there may be a Hedge below t.
func (t *Transport) mayHedge() bool {
	_, plain := base(t.Base).(*http.Transport)
	return !plain
}

// paid reports whether a Transport above settles requests with budget b.
func paid(ctx context.Context, b retry.Budget) bool {
	p, ok := ctx.Value(payerKey{}).(*payer)
	if !ok || b == nil {
		return false
	}
	defer func() { _ = recover() }() // budgets need not be comparable
	return p.budget == b
}

// A hedges budget settles only the further attempts of a Hedge.
type hedges struct{ retry.Budget }

// Settle passes on only the outcomes of attempts with a cost.
func (h hedges) Settle(o retry.Outcome, cost int, err error) {
	if cost != 0 {
		h.Budget.Settle(o, cost, err)
	}
}
