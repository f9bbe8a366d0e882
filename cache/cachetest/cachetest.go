package cachetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

// store is the type of the stores that Run tests.
type store = cache.Store[string, string]

// Run tests a [cache.Store] in one subtest per rule of its contract. It calls
// new once per subtest, for a store that must be empty. The test of expiry
// takes a second, the shortest lifetime that every store supports.
func Run(t *testing.T, new func(*testing.T) cache.Store[string, string]) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			if err := r.check(t.Context(), new(t)); err != nil {
				t.Errorf("%s:\n%v", r.text, err)
			}
		})
	}
}

// A rule is a part of the contract of a Store.
type rule struct {
	name, text string
	check      func(context.Context, store) error
}

// binary is a value that is no text.
const binary = "with\x00bytes\xff"

var rules = []rule{
	{"Missing", "Get of a key without a record returns a lease and no error", func(ctx context.Context, s store) error {
		return missing(ctx, s, "missing")
	}},
	{"Values", "Set stores values that are empty or not text", func(ctx context.Context, s store) error {
		return errors.Join(
			set(ctx, s, "a", value(binary, time.Hour)), set(ctx, s, "b", value("", time.Hour)),
			present(ctx, s, "a", binary), present(ctx, s, "b", ""))
	}},
	{"Absent", "Set stores that a key does not exist, and differs it from an empty value", func(ctx context.Context, s store) error {
		return errors.Join(
			set(ctx, s, "a", cache.Record[string]{Found: true, Absent: true, TTL: time.Hour}), set(ctx, s, "b", value("", time.Hour)),
			absent(ctx, s, "a"), present(ctx, s, "b", ""),
			set(ctx, s, "a", value("1", time.Hour)), present(ctx, s, "a", "1"))
	}},
	{"EmptyKey", "the empty string is a key", func(ctx context.Context, s store) error {
		return errors.Join(
			set(ctx, s, "", value("1", time.Hour)), present(ctx, s, "", "1"),
			remove(ctx, s, ""), missing(ctx, s, ""))
	}},
	{"Overwrite", "Set without a lease replaces the record of a key", func(ctx context.Context, s store) error {
		return errors.Join(
			set(ctx, s, "a", value("1", cache.NoExpiry)), set(ctx, s, "a", value("2", cache.NoExpiry)),
			present(ctx, s, "a", "2"))
	}},
	{"Delete", "Delete deletes the given keys, and accepts absent keys and no keys", func(ctx context.Context, s store) error {
		return errors.Join(
			set(ctx, s, "a", value("1", time.Hour)), set(ctx, s, "b", value("2", time.Hour)), set(ctx, s, "c", value("3", time.Hour)),
			remove(ctx, s, "a", "missing", "b"), remove(ctx, s),
			missing(ctx, s, "a"), missing(ctx, s, "b"), present(ctx, s, "c", "3"))
	}},
	{"Lease", "Set with the lease of a Get stores the record", func(ctx context.Context, s store) error {
		r, err := lease(ctx, s, "a")
		return errors.Join(err, set(ctx, s, "a", r), present(ctx, s, "a", leased))
	}},
	{"TwoLeases", "the leases of two loads of a key are both valid", func(ctx context.Context, s store) error {
		first, err1 := lease(ctx, s, "a")
		_, err2 := lease(ctx, s, "a")
		_, err3 := lease(ctx, s, "b")
		second, err4 := lease(ctx, s, "b")
		return errors.Join(
			err1, err2, err3, err4,
			set(ctx, s, "a", first), present(ctx, s, "a", leased), set(ctx, s, "b", second), present(ctx, s, "b", leased))
	}},
	{"LeaseEnds", "a Delete ends every lease of its key, whether the key has a record or not", func(ctx context.Context, s store) error {
		first, err1 := lease(ctx, s, "a")
		second, err2 := lease(ctx, s, "a")
		err := errors.Join(
			err1, err2, remove(ctx, s, "a"),
			set(ctx, s, "a", first), missing(ctx, s, "a"), set(ctx, s, "a", second), missing(ctx, s, "a"))
		third, err3 := lease(ctx, s, "a")
		return errors.Join(
			err, err3, set(ctx, s, "a", value("1", time.Hour)), remove(ctx, s, "a"),
			set(ctx, s, "a", third), missing(ctx, s, "a"))
	}},
	{"LeaseIsOver", "Set with a lease that has ended does not change a newer record", func(ctx context.Context, s store) error {
		r, err := lease(ctx, s, "a")
		return errors.Join(
			err, remove(ctx, s, "a"), set(ctx, s, "a", value("new", time.Hour)),
			set(ctx, s, "a", r), present(ctx, s, "a", "new"))
	}},
	{"LeaseAfterDelete", "a lease after a Delete is valid", func(ctx context.Context, s store) error {
		err := remove(ctx, s, "a")
		r, err1 := lease(ctx, s, "a")
		return errors.Join(err, err1, set(ctx, s, "a", r), present(ctx, s, "a", leased))
	}},
	{"Lifetime", "Get returns the remaining lifetime", func(ctx context.Context, s store) error {
		err := errors.Join(set(ctx, s, "hour", value("1", time.Hour)), set(ctx, s, "forever", value("2", cache.NoExpiry)))
		hour, err1 := s.Get(ctx, "hour")
		forever, err2 := s.Get(ctx, "forever")
		if hour.TTL < 59*time.Minute || hour.TTL > time.Hour || forever.TTL != cache.NoExpiry {
			err = errors.Join(err, fmt.Errorf("lifetimes %v, %v, want an hour and NoExpiry", hour.TTL, forever.TTL))
		}
		return errors.Join(err, err1, err2)
	}},
	{"Expiry", "a record is gone after its lifetime", func(ctx context.Context, s store) error {
		err := errors.Join(
			set(ctx, s, "short", value("1", time.Second)), set(ctx, s, "long", value("2", time.Hour)), set(ctx, s, "forever", value("3", cache.NoExpiry)),
			present(ctx, s, "short", "1"))
		time.Sleep(time.Second + 50*time.Millisecond)
		return errors.Join(err, missing(ctx, s, "short"), present(ctx, s, "long", "2"), present(ctx, s, "forever", "3"))
	}},
	{"NoLifetime", "Set with a lifetime of zero or less deletes the record", func(ctx context.Context, s store) error {
		return errors.Join(
			set(ctx, s, "a", value("1", time.Hour)), set(ctx, s, "a", value("2", -1)), missing(ctx, s, "a"),
			set(ctx, s, "b", value("1", 0)), missing(ctx, s, "b"))
	}},
}

func value(v string, ttl time.Duration) cache.Record[string] {
	return cache.Record[string]{Found: true, Value: v, TTL: ttl}
}

// leased is the value of the records that lease returns.
const leased = "leased"

// lease returns a record with a lease of k.
func lease(ctx context.Context, s store, k string) (cache.Record[string], error) {
	r, err := s.Get(ctx, k)
	if r.Found || r.Lease == "" || err != nil {
		err = fmt.Errorf("Get(%q) = %+v, %v, want a lease", k, r, err)
	}
	return cache.Record[string]{Found: true, Value: leased, TTL: time.Hour, Lease: r.Lease}, err
}

func set(ctx context.Context, s store, k string, r cache.Record[string]) error {
	if err := s.Set(ctx, k, r); err != nil {
		return fmt.Errorf("Set(%q, %+v) = %v, want no error", k, r, err)
	}
	return nil
}

func remove(ctx context.Context, s store, keys ...string) error {
	if err := s.Delete(ctx, keys...); err != nil {
		return fmt.Errorf("Delete(%q) = %v, want no error", keys, err)
	}
	return nil
}

func present(ctx context.Context, s store, k, want string) error {
	if r, err := s.Get(ctx, k); !r.Found || r.Absent || r.Value != want || err != nil {
		return fmt.Errorf("Get(%q) = %+v, %v, want %q", k, r, err, want)
	}
	return nil
}

func absent(ctx context.Context, s store, k string) error {
	if r, err := s.Get(ctx, k); !r.Found || !r.Absent || r.Value != "" || err != nil {
		return fmt.Errorf("Get(%q) = %+v, %v, want an absent record", k, r, err)
	}
	return nil
}

func missing(ctx context.Context, s store, k string) error {
	if r, err := s.Get(ctx, k); r.Found || r.Lease == "" || err != nil {
		return fmt.Errorf("Get(%q) = %+v, %v, want no record and a lease", k, r, err)
	}
	return nil
}
