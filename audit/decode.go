package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"time"
)

// UnmarshalJSON reads the JSON of [Event.AppendJSON]. It ignores unknown keys.
// Attributes keep their order. Numbers become int64, uint64 or float64, the
// first type that fits; times and durations become text. The error does not
// contain the input.
func (e *Event) UnmarshalJSON(data []byte) error {
	var in struct {
		Time      time.Time       `json:"time"`
		ID        string          `json:"id"`
		Action    Action          `json:"action"`
		Outcome   Outcome         `json:"outcome"`
		Actor     Actor           `json:"actor"`
		Target    Target          `json:"target"`
		RequestID string          `json:"request_id"`
		Source    string          `json:"source"`
		Reason    string          `json:"reason"`
		Code      Code            `json:"code"`
		Changes   []Change        `json:"changes"`
		Attrs     json.RawMessage `json:"attrs"`
		Truncated bool            `json:"truncated"`
	}
	if json.Unmarshal(data, &in) != nil { // its error may contain the input
		return errors.New("audit: not the JSON form of an event")
	}
	attrs, err := decodeAttrs(in.Attrs)
	if err != nil {
		return err
	}
	*e = Event{
		Time: in.Time, ID: in.ID, Action: in.Action, Outcome: in.Outcome, Actor: in.Actor, Target: in.Target,
		RequestID: in.RequestID, Source: in.Source, Reason: in.Reason, Code: in.Code,
		Changes: in.Changes, Attrs: attrs, Truncated: in.Truncated,
	}
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
