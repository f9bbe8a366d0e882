// Package cache compares the speed and the memory of the cache of redoubt with
// other caches. Hit ratios are in internal/interop/cache.
package cache
