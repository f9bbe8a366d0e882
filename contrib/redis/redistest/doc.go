// Package redistest starts private Redis servers for tests, on free ports of the loopback interface, and stops them when
// the test ends. It needs a Unix and the program redis-server; where that is missing tests are skipped. A suite for which
// it must not be missing has a test of its own that says so.
package redistest
