package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// Env returns the map of the environment variables whose names begin with
// prefix and two underscores. environ has the form of [os.Environ]. Further
// pairs of underscores separate sections. Keys become lower case, so that with
// the prefix SHOP the variable
//
//	SHOP__RETRY__PAYMENTS__MAX_ATTEMPTS=5
//
// sets retry.payments.max_attempts. A section whose keys are 0, 1, 2 and so on
// is a list. All values are texts, which [Decode] accepts for numbers too.
//
// Errors: the problems joined, each an [*Error], for names with an empty part,
// names that differ only in letter case, and names of both a value and a
// section. The errors do not contain values.
func Env(environ []string, prefix string) (map[string]any, error) {
	root := map[string]any{}
	var errs []error
	fail := func(name, problem string) {
		errs = append(errs, &Error{quote.Name(name), errors.New(problem)})
	}
	for _, variable := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(variable, "=")
		path, ok := strings.CutPrefix(name, prefix+"__")
		if !ok {
			continue
		}
		keys := strings.Split(strings.ToLower(path), "__")
		if slices.Contains(keys, "") || len(keys) > maxDepth {
			fail(name, fmt.Sprintf("is no path, want 1 to %d keys", maxDepth))
			continue
		}
		section, last := root, len(keys)-1
		for _, key := range keys[:last] {
			if section[key] == nil {
				section[key] = map[string]any{}
			}
			if section, ok = section[key].(map[string]any); !ok {
				break
			}
		}
		switch {
		case !ok:
			fail(name, "is inside of a variable with a value")
		case section[keys[last]] != nil:
			fail(name, "is there twice, or also a section")
		default:
			section[keys[last]] = value
		}
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	for key, value := range root {
		root[key] = lists(value)
	}
	return root, nil
}

// lists returns x with a list in place of each section with the keys 0, 1, 2.
func lists(x any) any {
	section, ok := x.(map[string]any)
	if !ok {
		return x
	}
	list := make([]any, len(section))
	for key, value := range section {
		section[key] = lists(value)
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(list) && strconv.Itoa(i) == key {
			list[i] = section[key]
		}
	}
	if slices.Contains(list, nil) {
		return section
	}
	return list
}
