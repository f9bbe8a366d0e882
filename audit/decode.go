package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"time"
)

// UnmarshalJSON reads the form of [Event.AppendJSON]; keys it does not know are
// passed over. Attributes keep their order; numbers come back as int64, uint64 or
// float64, whichever fits first, and times and durations as text. The error does
// not repeat the input.
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
	if json.Unmarshal(data, &in) != nil { // its error would show the input
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

// decodeAttrs reads an object token by token, because a map would lose the order.
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

// decodeValue reads what the encoder writes, and nothing more: an event that holds
// anything else was not written by this package.
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

// decodeGroup reads to the closing brace, the opening one having been read.
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
		as = append(as, slog.Attr{Key: key.(string), Value: v}) // inside an object the decoder yields string keys only
	}
	_, err := d.Token() // the closing brace
	return slog.GroupValue(as...), err
}

// decodeNumber gives a number the narrowest kind that holds it exactly, because JSON
// does not say which it was.
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
