// Package siem sends audit events to security information and event management
// (SIEM) systems: syslog, HTTP and OpenTelemetry, with the formats CEF, ECS and
// OCSF.
//
// A SIEM is a reader of the audit trail, not its store: it may cut, reorder or
// drop events. Keep the records of package audit/ledger as evidence, and send
// copies.
//
// # Send events to a syslog server
//
// The sink waits for its server, so put an [audit.Buffer] in front of it:
//
//	shop := siem.Product{Vendor: "Example", Name: "shop", Version: "1.4"}
//	server := siem.NewSyslog(siem.SyslogConfig{
//		Addr: "siem.example.com:6514", TLS: &tls.Config{},
//		App: "shop", Encode: shop.AppendCEF,
//	})
//	buffer := audit.NewBuffer(audit.BufferConfig{
//		Next: server, Overflow: audit.Drop, Timeout: time.Minute,
//	})
//
// # Keep a ledger and send copies
//
//	both := audit.NewQuorum(audit.QuorumConfig{Members: []audit.Member{
//		{Sink: ledger}, {Sink: buffer, BestEffort: true},
//	}})
//	log := audit.New(audit.Config{Sink: both})
//
// # Send events over HTTP
//
//	elastic := siem.NewHTTP(siem.HTTPConfig{
//		URL:           "https://elastic.example.com:9200/audit/_bulk",
//		Authorization: audit.NewSecret("ApiKey VnVhQ2ZHY0JDZGJrU"),
//		Format:        siem.Bulk(shop.AppendECS),
//	})
//	collector := siem.NewHTTP(siem.HTTPConfig{
//		URL:    "https://otel.example.com:4318/v1/logs",
//		Format: shop.OTLP(),
//	})
//
// # Say what an action means
//
// [Product.Classify] gives an event a [Class] of OCSF and a category of ECS.
// Without it, a login is an authentication, and other actions are calls of an
// interface.
//
// # Choosing values
//
//   - [SyslogConfig.Timeout] and [HTTPConfig.Timeout]: the time for which a
//     server may be away before a batch is lost. Give the buffer at least as
//     much.
//   - [SyslogConfig.MaxMessage] and [HTTPConfig.MaxBody]: the bounds of your
//     server.
//
// # Errors
//
// The sinks return errors that match [audit.ErrFailed] or
// [audit.ErrUncertain]. Errors contain no event, no header field and nothing of
// a URL but the host. They may contain 64 bytes of a server's answer.
//
// # Concurrency and cost
//
// All types are safe for concurrent use. Encoding an event takes 10 to 30
// microseconds. A [Syslog] has one connection and two goroutines, which Close
// ends.
//
// Costs, formats and sources: docs/audit.md.
package siem
