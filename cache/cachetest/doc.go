// Package cachetest tests implementations of [cache.Store].
package cachetest
