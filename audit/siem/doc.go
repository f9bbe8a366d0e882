// Package siem writes audit events in the formats that security monitoring systems
// read: CEF, ECS and OCSF.
//
//	shop := siem.Product{Vendor: "Example", Name: "shop", Version: "1.4"}
//	log := audit.New(audit.Config{Sink: audit.Lines(os.Stdout, shop.AppendCEF)})
//
// The fields of an event go where the format has a place for them, and the others
// where it keeps what it does not know. Keep the records of package audit/ledger as
// the evidence, and send these to whoever watches: a SIEM is free to cut, reorder
// and forget.
//
// Texts are escaped and bounded as [audit.Event.AppendJSON] does, and CEF's further
// bounds are kept, so that no text can begin a line or a field, or fill a disk. What
// was cut is marked.
//
// The functions are pure, and may be called by several goroutines at once. Each
// decodes the JSON form of the event first: expect ten microseconds and 30 allocations
// for CEF, and thirty and 160 for the others.
//
// # Source
//
// Implementing ArcSight Common Event Format, version 23. Elastic Common Schema 8.11.
// Open Cybersecurity Schema Framework 1.3: class 3004, Entity Management, and the
// base event for what has no target.
package siem
