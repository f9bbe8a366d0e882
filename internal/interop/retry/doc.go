// Package retry tests the HTTP transports of the library in one chain: the
// attempt, the caller or the client ends first while a server hangs, and every
// transport must agree about who is to blame.
package retry
