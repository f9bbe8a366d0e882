package audit

// An Object is an audited thing, made by [Log.Object]. Its fields are made by
// [Attribute.Of] and [Attribute.Load].
type Object struct {
	log    *Log
	target Target
}

// Object returns the object with the type typ and the ID id. The type must be a
// name as described at [Action]. Otherwise every operation on the fields of the
// object fails with [ErrInvalid]. The ID may be any text.
func (l *Log) Object(typ, id string) *Object {
	return &Object{log: l, target: Target{Type: typ, ID: id}}
}
