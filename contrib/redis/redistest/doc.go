// Package redistest starts private Redis servers for tests, on free ports of
// the loopback interface, and stops them when the test ends. It needs the
// program redis-server. Without it, tests are skipped. A suite that must not
// skip them needs a test that checks for the program.
package redistest
