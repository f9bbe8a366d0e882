package retry

import "context"

// FailLate returns the error of a call with policy p that failed n times,
// first with errs[0], and now fails with each of errs.
func FailLate(p Policy, n int, errs ...error) error {
	r := run{p: p, ctx: context.Background(), n: n, step: Step{Retry: n}}
	r.history.add(1, errs[0])
	for _, err := range errs {
		if e := r.failed(p.judge(err), err); e != nil {
			return e
		}
	}
	return r.stop(ErrBudget)
}
