// Package natstest starts private NATS servers with streams for tests, as
// processes on free ports of the loopback interface, and kills them when the
// test ends. The server is the version that internal/tools pins, built and
// cached by the go command. Elsewhere it is the nats-server in PATH. If neither
// is available, tests are skipped. A suite that must not skip them needs a test
// that checks for the program.
package natstest
