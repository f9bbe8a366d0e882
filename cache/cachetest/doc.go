// Package cachetest is a conformance test for implementations of [cache.Store],
// the second level of a cache.
package cachetest
