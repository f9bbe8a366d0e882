package siem_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/siem"
)

// The requests of the format OTLP are messages of the published protocol.
func TestOTLPIsProtocolJSON(t *testing.T) {
	var got logs.LogsData
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = protojson.Unmarshal(b, &got)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	sink := siem.NewHTTP(siem.HTTPConfig{URL: server.URL, Format: siem.Product{Name: "shop", Version: "1"}.OTLP()})
	l := audit.New(audit.Config{Sink: sink})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice\u2028\xff"})
	if err := l.Record(ctx, audit.Event{Action: "order.refund", Outcome: audit.Denied, Attrs: []slog.Attr{slog.Int("n", 1)}}); err != nil {
		t.Fatal(err)
	}
	r := got.GetResourceLogs()[0].GetScopeLogs()[0].GetLogRecords()[0]
	var e audit.Event
	if err := e.UnmarshalJSON([]byte(r.GetBody().GetStringValue())); err != nil {
		t.Fatal(err)
	}
	if r.GetTimeUnixNano() != uint64(e.Time.UnixNano()) || r.GetSeverityNumber() != logs.SeverityNumber_SEVERITY_NUMBER_WARN ||
		r.GetEventName() != "order.refund" || e.Actor.ID != "alice\u2028\ufffd" || len(r.GetAttributes()) < 4 {
		t.Errorf("log record %v", r)
	}
}
