// Package connect shows retryhttp and breakerhttp under a client of Connect
// RPC.
package connect
