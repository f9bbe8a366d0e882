package ratelimit

import (
	"context"
	"time"
)

// A Key is one key of a [Keyed]. It is a [Waiter], so that [Do], [Wrap] and
// [WrapArg] can limit the work of a key, and [Reject] accepts it. Its methods
// are the methods of the Keyed for the key.
type Key[K comparable] struct {
	keyed *Keyed[K]
	key   K
}

// For returns key as a [Waiter].
func (k *Keyed[K]) For(key K) Key[K] { return Key[K]{k, key} }

// Allow is [Keyed.Allow] for the key.
func (k Key[K]) Allow() bool { return k.keyed.Allow(k.key) }

// AllowN is [Keyed.AllowN] for the key.
func (k Key[K]) AllowN(n int64) bool { return k.keyed.AllowN(k.key, n) }

// Take is [Keyed.Take] for the key.
func (k Key[K]) Take(n int64) Decision { return k.keyed.Take(k.key, n) }

// Peek is [Keyed.Peek] for the key.
func (k Key[K]) Peek() Decision { return k.keyed.Peek(k.key) }

// Wait is [Keyed.Wait] for the key.
func (k Key[K]) Wait(ctx context.Context) error { return k.keyed.Wait(ctx, k.key) }

// WaitN is [Keyed.WaitN] for the key.
func (k Key[K]) WaitN(ctx context.Context, n int64) error { return k.keyed.WaitN(ctx, k.key, n) }

// Do waits for the key and calls fn once.
//
// Errors: the error of [Keyed.Wait], without a call of fn, or the error of fn.
func (k Key[K]) Do(ctx context.Context, fn func(context.Context) error) error { return do(ctx, k, fn) }

// Reserve is [Keyed.Reserve] for the key.
func (k Key[K]) Reserve(n int64) *KeyReservation[K] { return k.keyed.Reserve(k.key, n) }

// Charge is [Keyed.Charge] for the key.
func (k Key[K]) Charge(n int64) Decision { return k.keyed.Charge(k.key, n) }

// Credit is [Keyed.Credit] for the key.
func (k Key[K]) Credit(n int64) { k.keyed.Credit(k.key, n) }

// Penalize is [Keyed.Penalize] for the key.
func (k Key[K]) Penalize(d time.Duration) { k.keyed.Penalize(k.key, d) }

// Reset is [Keyed.Reset] for the key.
func (k Key[K]) Reset() { k.keyed.Reset(k.key) }
