// Package natstest starts private NATS servers with JetStream for tests, as
// processes on free ports of the loopback interface, and kills them when the
// test ends. The server is the version that internal/tools pins, built and
// cached by the go command. Elsewhere it is the nats-server in PATH. If neither
// is available, tests are skipped, or fail if the environment variable CI is
// set.
package natstest
