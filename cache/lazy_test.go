package cache_test

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redoubt-go/redoubt/cache"
)

func TestLazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		lazy := cache.NewLazy(cache.LazyConfig{}, func(context.Context) (int, error) {
			time.Sleep(time.Second)
			n := int(calls.Add(1))
			switch n {
			case 1:
				return 0, io.EOF
			case 2:
				panic("two")
			}
			return n, nil
		})
		get := func() (int, error) { return lazy.Get(t.Context()) }

		if _, err := get(); err != io.EOF { // an error is not kept
			t.Errorf("first Get: %v, want EOF", err)
		}
		if p := caught(t, func() { get() }); p.Value != "two" { // nor a panic
			t.Errorf("second Get panicked with %v, want two", p.Value)
		}
		if v, ok := lazy.Peek(); ok {
			t.Errorf("Peek = %v, true before there is a value", v)
		}
		var g errgroup.Group
		for range 10 {
			g.Go(func() error {
				if v, err := get(); v != 3 || err != nil {
					return fmt.Errorf("Get = %v, %v, want 3", v, err)
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		if v, ok := lazy.Peek(); v != 3 || !ok {
			t.Errorf("Peek = %v, %v, want 3, true", v, ok)
		}
		lazy.Reset()
		go get() // call 4, under way at the Reset
		time.Sleep(time.Millisecond)
		lazy.Reset()
		if v, err := get(); v != 5 || err != nil {
			t.Errorf("Get after Reset = %v, %v, want 5: the result of call 4 is dropped", v, err)
		}
		if v, _ := lazy.Peek(); v != 5 {
			t.Errorf("Peek = %v, want 5", v)
		}
	})
}
