package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
)

// eventFields is Event without its methods.
type eventFields Event

// UnmarshalJSON reads the JSON of [Event.AppendJSON]. It ignores unknown keys.
// Attributes keep their order. Numbers become int64, uint64 or float64, the
// first type that fits; times and durations become text. The error does not
// contain the input.
func (e *Event) UnmarshalJSON(data []byte) error {
	var fields eventFields
	in := struct {
		*eventFields
		Attrs json.RawMessage `json:"attrs"`
	}{eventFields: &fields}
	if json.Unmarshal(data, &in) != nil { // its error may contain the input
		return errors.New("audit: not the JSON form of an event")
	}
	attrs, err := decodeAttrs(in.Attrs)
	if err != nil {
		return err
	}
	fields.Attrs = attrs
	*e = Event(fields)
	return nil
}

// decodeAttrs reads an object token by token to keep the order of the keys.
func decodeAttrs(raw []byte) ([]slog.Attr, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil || v.Kind() != slog.KindGroup {
		return nil, errors.New("audit: attrs is not an object of plain values")
	}
	return v.Group(), nil
}

// decodeValue reads a value as the encoder writes it. Other JSON was not
// written by this package.
func decodeValue(d *json.Decoder, depth int) (slog.Value, error) {
	t, err := d.Token()
	if err != nil {
		return slog.Value{}, err
	}
	switch t := t.(type) {
	case string:
		return slog.StringValue(t), nil
	case bool:
		return slog.BoolValue(t), nil
	case json.Number:
		return decodeNumber(t.String())
	case json.Delim:
		if t == '{' && depth < maxDepth {
			return decodeGroup(d, depth+1)
		}
	}
	return slog.Value{}, errors.ErrUnsupported // the encoder writes no arrays and no null
}

// decodeGroup reads an object after its opening brace.
func decodeGroup(d *json.Decoder, depth int) (slog.Value, error) {
	as := []slog.Attr{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return slog.Value{}, err
		}
		v, err := decodeValue(d, depth)
		if err != nil {
			return slog.Value{}, err
		}
		as = append(as, slog.Attr{Key: key.(string), Value: v}) // in an object, keys are strings
	}
	_, err := d.Token() // the closing brace
	return slog.GroupValue(as...), err
}

// decodeNumber returns an integer if s is an integer that fits, because JSON
// does not contain the kind of a number.
func decodeNumber(s string) (slog.Value, error) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return slog.Int64Value(i), nil
	}
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return slog.Uint64Value(u), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	return slog.Float64Value(f), err
}
