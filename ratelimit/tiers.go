package ratelimit

// Tiers limits keys of different tiers, such as the plans of customers, with a
// [Keyed] for each tier. So the number of tiers and the memory are fixed.
// [Local] makes a [Store] of it.
type Tiers[K comparable] struct {
	tier  func(K) int
	keyed []*Keyed[K]
}

// NewTiers returns the tiers keyed[0], keyed[1] and so on. Each call asks tier
// for the tier of its key. tier must not block. If it returns a number that is
// no tier, the key belongs to tier 0. A key that changes its tier has not used
// any event of the new tier. NewTiers panics if there is no tier.
func NewTiers[K comparable](tier func(key K) int, keyed ...*Keyed[K]) *Tiers[K] {
	if tier == nil || len(keyed) == 0 {
		panic("ratelimit: no tier, want a function and at least 1 Keyed")
	}
	return &Tiers[K]{tier, keyed}
}

// For returns key in its present tier.
func (t *Tiers[K]) For(key K) Key[K] {
	i := t.tier(key)
	if i < 0 || i >= len(t.keyed) {
		i = 0
	}
	return t.keyed[i].For(key)
}
