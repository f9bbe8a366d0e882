package audittest

import "errors"

// Check runs all rules as Run does and joins the errors.
func Check(new func() Subject) error {
	var errs []error
	for _, r := range rules {
		errs = append(errs, check(r.check, new())...)
	}
	return errors.Join(errs...)
}
