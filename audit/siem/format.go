package siem

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Format is the format of the requests of an [HTTP] sink: [NDJSON], [Array],
// [Bulk] or [Product.OTLP].
type Format struct {
	contentType string
	append      func(events []*audit.Event, dst []byte) []byte

	// check reads a response with status 200. It returns the events to send
	// again, and whether any event was stored. Nil means that all were stored.
	check func(events []*audit.Event, body []byte) (rest []*audit.Event, stored bool, err error)
}

// NDJSON is a format with one line per event, for log collectors and, with the
// right encoder, the HTTP Event Collector of Splunk.
func NDJSON(encode func(e *audit.Event, dst []byte) []byte) Format {
	return Format{contentType: "application/x-ndjson", append: func(events []*audit.Event, dst []byte) []byte {
		for _, e := range events {
			dst = append(encode(e, dst), '\n')
		}
		return dst
	}}
}

// Array is a format with a JSON array of events.
func Array(encode func(e *audit.Event, dst []byte) []byte) Format {
	return Format{contentType: "application/json", append: func(events []*audit.Event, dst []byte) []byte {
		for i, e := range events {
			if dst = append(dst, ','); i == 0 {
				dst[len(dst)-1] = '['
			}
			dst = encode(e, dst)
		}
		return append(dst, ']')
	}}
}

// Bulk is the bulk format of Elasticsearch and OpenSearch, for a URL such as
// https://host:9200/audit/_bulk. The ID of the event is the ID of the document,
// so an event that is sent again is stored once. Documents that the server
// could not store at the moment are sent again.
func Bulk(encode func(e *audit.Event, dst []byte) []byte) Format {
	return Format{contentType: "application/x-ndjson", append: func(events []*audit.Event, dst []byte) []byte {
		for _, e := range events {
			id, _ := json.Marshal(e.ID) // a string has a JSON form
			dst = fmt.Appendf(dst, `{"create":{"_id":%s}}`+"\n", id)
			dst = append(encode(e, dst), '\n')
		}
		return dst
	}, check: checkBulk}
}

func checkBulk(events []*audit.Event, body []byte) (rest []*audit.Event, stored bool, err error) {
	var answer struct {
		Errors *bool
		Items  []struct {
			Create struct {
				Status int
				Error  struct{ Type string }
			}
		}
	}
	if json.Unmarshal(body, &answer) != nil || answer.Errors == nil ||
		len(answer.Items) != len(events) && (*answer.Errors || len(answer.Items) > 0) {
		return nil, true, errors.New("response of another format than _bulk")
	}
	refused, cause := 0, ""
	for i, item := range answer.Items {
		switch r := item.Create; {
		case r.Status == 409, r.Status/100 == 2: // 409: a try before has stored it
			stored = true
		case r.Status == 429, r.Status >= 500:
			rest, cause = append(rest, events[i]), r.Error.Type
		default:
			refused++
			cause = r.Error.Type
		}
	}
	if refused > 0 { // the others would only hide it
		return nil, stored, fmt.Errorf("%d of %d documents refused: %s", refused, len(events), quote.Text(cause))
	}
	if len(rest) > 0 {
		return rest, stored, fmt.Errorf("%d of %d documents not stored: %s", len(rest), len(events), quote.Text(cause))
	}
	return nil, true, nil
}

// OTLP is the format of OpenTelemetry logs (OTLP/HTTP with JSON), for a URL
// such as https://host:4318/v1/logs. The body of a log record is the JSON form
// of the event. Attributes with the prefix "audit." contain its fields.
func (p Product) OTLP() Format {
	return Format{contentType: "application/json", append: p.appendOTLP, check: func(_ []*audit.Event, body []byte) ([]*audit.Event, bool, error) {
		var answer struct {
			PartialSuccess struct {
				RejectedLogRecords json.Number
				ErrorMessage       string
			}
		}
		if len(body) > 0 && json.Unmarshal(body, &answer) != nil { // an empty body means success too
			return nil, true, errors.New("response of another format than OTLP")
		}
		if n := answer.PartialSuccess.RejectedLogRecords; n != "" && n != "0" {
			return nil, true, fmt.Errorf("%s log records rejected: %s", quote.Text(n.String()), quote.Text(answer.PartialSuccess.ErrorMessage))
		}
		return nil, true, nil
	}}
}

// otlpValue is a value of OTLP in JSON.
type otlpValue struct {
	Text string `json:"stringValue"`
}

type otlpAttr struct {
	Key   string    `json:"key"`
	Value otlpValue `json:"value"`
}

func otlpAttrs(kv ...string) (as []otlpAttr) {
	for i := 0; i < len(kv); i += 2 {
		if kv[i+1] != "" {
			as = append(as, otlpAttr{kv[i], otlpValue{kv[i+1]}})
		}
	}
	return as
}

func (p Product) appendOTLP(events []*audit.Event, dst []byte) []byte {
	type logRecord struct {
		Time       string     `json:"timeUnixNano"`
		Severity   int        `json:"severityNumber"`
		Text       string     `json:"severityText"`
		Event      string     `json:"eventName"`
		Body       otlpValue  `json:"body"`
		Attributes []otlpAttr `json:"attributes"`
	}
	records := make([]logRecord, len(events))
	for i, e := range events {
		r := recordOf(e)
		l := logRecord{Time: strconv.FormatUint(uint64(max(r.Time.UnixNano(), 0)), 10), Severity: 9, Text: "INFO", Event: string(r.Action), Body: otlpValue{string(e.AppendJSON(nil))}}
		if r.Outcome == audit.Denied || r.Outcome == audit.Failure {
			l.Severity, l.Text = 13, "WARN"
		}
		l.Attributes = otlpAttrs("audit.id", r.ID, "audit.action", string(r.Action), "audit.outcome", string(r.Outcome), "audit.code", string(r.Code),
			"audit.target.type", r.Target.Type, "audit.target.id", r.Target.ID, "audit.actor.type", r.Actor.Type, "audit.on_behalf_of", r.Actor.OnBehalfOf,
			"audit.request_id", r.RequestID, "user.id", r.Actor.ID, "session.id", r.Actor.Session, "client.address", r.Source)
		records[i] = l
	}
	type list = []map[string]any
	return appendJSON(dst, map[string]any{"resourceLogs": list{{
		"resource":  map[string]any{"attributes": append([]otlpAttr{}, otlpAttrs("service.name", p.Name, "service.version", p.Version)...)},
		"scopeLogs": list{{"scope": map[string]any{"name": "github.com/redoubt-go/redoubt/audit"}, "logRecords": records}},
	}}})
}
