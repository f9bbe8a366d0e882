// Package siem encodes audit events for security information and event
// management (SIEM) systems, in the formats CEF, ECS and OCSF.
//
//	shop := siem.Product{Vendor: "Example", Name: "shop", Version: "1.4"}
//	log := audit.New(audit.Config{
//		Sink: audit.Lines(os.Stdout, shop.AppendCEF),
//	})
//
// Each format contains every field of an event. Fields without a place in the
// format are in its extension part. A SIEM may cut, reorder or drop events, so
// keep the records of package audit/ledger as evidence.
//
// Texts are escaped and bounded as by [audit.Event.AppendJSON], and also within
// the bounds of CEF. No text can start a line or a field. An event with a cut
// text is marked as truncated.
//
// # Concurrency and cost
//
// The methods are safe for concurrent use. CEF takes about 10 microseconds and
// 30 allocations, ECS and OCSF about 30 microseconds and 160 allocations.
//
// Costs, formats and sources: docs/audit.md.
package siem
