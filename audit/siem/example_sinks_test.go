package siem_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/siem"
)

func Example_sinks() {
	ledger := audit.JSON(os.Stdout)

	shop := siem.Product{Vendor: "Example", Name: "shop", Version: "1.4"}
	server := siem.NewSyslog(siem.SyslogConfig{
		Addr: "siem.example.com:6514", TLS: &tls.Config{},
		App: "shop", Encode: shop.AppendCEF,
	})
	buffer := audit.NewBuffer(audit.BufferConfig{
		Next: server, Overflow: audit.Drop, Timeout: time.Minute,
	})
	both := audit.NewQuorum(audit.QuorumConfig{Members: []audit.Member{
		{Sink: ledger}, {Sink: buffer, BestEffort: true},
	}})
	log := audit.New(audit.Config{Sink: both})

	elastic := siem.NewHTTP(siem.HTTPConfig{
		URL:           "https://elastic.example.com:9200/audit/_bulk",
		Authorization: audit.NewSecret("ApiKey VnVhQ2ZHY0JDZGJrU"),
		Format:        siem.Bulk(shop.AppendECS),
	})
	collector := siem.NewHTTP(siem.HTTPConfig{
		URL:    "https://otel.example.com:4318/v1/logs",
		Format: shop.OTLP(),
	})

	fmt.Println(log.Stats().Recorded, elastic != nil, collector != nil)
	_ = buffer.Close(context.Background())
	_ = server.Close()
	// Output: 0 true true
}

// receive answers one connection with the first message that arrives.
func receive(l net.Listener) <-chan string {
	got := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		line, _ := bufio.NewReader(conn).ReadString('{')
		got <- line
	}()
	return got
}

func ExampleNewSyslog() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	got := receive(l)
	sink := siem.NewSyslog(siem.SyslogConfig{Addr: l.Addr().String(), Host: "web-1", App: "shop"})
	err = sink.WriteEvents(context.Background(), []*audit.Event{{Time: time.UnixMilli(1767323045006), ID: "1", Action: "login", Outcome: audit.Denied}})
	fmt.Println(err, <-got)
	_ = sink.Close()
	// Output: <nil> 142 <108>1 2026-01-02T03:04:05.006000Z web-1 shop - login - {
}

func ExampleSyslog() {
	sink := siem.NewSyslog(siem.SyslogConfig{Name: "soc", Addr: "127.0.0.1:1", Timeout: 50 * time.Millisecond})
	err := sink.WriteEvents(context.Background(), []*audit.Event{{ID: "1"}})
	fmt.Println(strings.HasPrefix(err.Error(), "siem: soc: event not recorded: "))
	_ = sink.Close()
	// Output: true
}

func ExampleSyslogConfig() {
	fmt.Println(siem.SyslogConfig{Addr: "siem.example.com"}.Validate())
	// Output: siem: syslog: Addr is "siem.example.com", want a host and a port
}

func ExampleHTTPConfig() {
	fmt.Println(siem.HTTPConfig{URL: "siem.example.com"}.Validate())
	// Output:
	// siem: http: URL is not an absolute HTTP URL
	// siem: http: Format is missing
}

// collector prints the bodies that it receives.
func collector() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Println(r.Header.Get("Content-Type"), string(b))
	}))
}

// id encodes an event as its ID.
func id(e *audit.Event, dst []byte) []byte { return fmt.Appendf(dst, "%q", e.ID) }

func ExampleNewHTTP() {
	server := collector()
	defer server.Close()
	sink := siem.NewHTTP(siem.HTTPConfig{URL: server.URL, Format: siem.Array(id)})
	err := sink.WriteEvents(context.Background(), []*audit.Event{{ID: "1"}, {ID: "2"}})
	fmt.Println(err)
	// Output:
	// application/json ["1","2"]
	// <nil>
}

func ExampleHTTP() {
	sink := siem.NewHTTP(siem.HTTPConfig{Name: "soc", URL: "http://127.0.0.1:1", Format: siem.Array(id), Timeout: 50 * time.Millisecond})
	err := sink.WriteEvents(context.Background(), []*audit.Event{{ID: "1"}})
	fmt.Println(strings.HasPrefix(err.Error(), "siem: soc: event may or may not be recorded: "))
	// Output: true
}

func ExampleFormat() {
	shop := siem.Product{Name: "shop"}
	formats := []siem.Format{siem.NDJSON(shop.AppendOCSF), siem.Array(shop.AppendECS), siem.Bulk(shop.AppendECS), shop.OTLP()}
	fmt.Println(len(formats))
	// Output: 4
}

func ExampleNDJSON() {
	server := collector()
	defer server.Close()
	sink := siem.NewHTTP(siem.HTTPConfig{URL: server.URL, Format: siem.NDJSON(id)})
	_ = sink.WriteEvents(context.Background(), []*audit.Event{{ID: "1"}, {ID: "2"}})
	// Output:
	// application/x-ndjson "1"
	// "2"
}

func ExampleArray() {
	server := collector()
	defer server.Close()
	sink := siem.NewHTTP(siem.HTTPConfig{URL: server.URL, Format: siem.Array(id)})
	_ = sink.WriteEvents(context.Background(), []*audit.Event{{ID: "1"}})
	// Output: application/json ["1"]
}

func ExampleBulk() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Print(string(b))
		_, _ = io.WriteString(w, `{"errors":false}`)
	}))
	defer server.Close()
	sink := siem.NewHTTP(siem.HTTPConfig{URL: server.URL, Format: siem.Bulk(id)})
	_ = sink.WriteEvents(context.Background(), []*audit.Event{{ID: "1"}})
	// Output:
	// {"create":{"_id":"1"}}
	// "1"
}
