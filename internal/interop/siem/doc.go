// Package siem tests the sinks of redoubt/audit/siem against a real syslog
// server and against the protocol definition of OpenTelemetry.
package siem
