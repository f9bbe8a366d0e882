// Package diff is field-level change tracking for plain structs: it records the
// difference of two values in the audit trail, attribute by attribute.
//
// A record of a change must contain the attributes that changed, without
// secrets, and no other attributes. Types that do not use
// [audit.Field] for each attribute mark their audited fields with tags.
//
// # Mark the audited fields
//
//	type user struct {
//		Email string `audit:"email"`
//		Phone string `audit:"phone,sensitive"`
//		Cache string // not audited
//	}
//
// # Record a change before it is stored
//
//	differ := diff.New(log)
//	before := user{"a@x", "1", "x"}
//	after := user{"b@x", "2", "y"}
//	target := audit.Target{Type: "user", ID: "u-1"}
//	_, err := differ.Record(ctx, target, before, after)
//
// # Record a creation and a deletion
//
//	_, err = differ.Record(ctx, target, nil, after)     // a create
//	_, errDel := differ.Record(ctx, target, after, nil) // a delete
//
// # Choosing values
//
//   - sensitive: the change is recorded, the values are not.
//   - token: equal values have equal tokens, so that a log can be searched for
//     them. See [audit.TokenKey].
//
// # Errors
//
// [Differ.Record] fails for invalid tags and if the event is not recorded. The
// change must then not be stored.
//
// # Concurrency and cost
//
// A Differ is safe for concurrent use. It reads the tags of a type once.
//
// Costs, formats and sources: docs/audit.md.
package diff
