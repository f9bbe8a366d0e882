package siem_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/siem"
)

func Example() {
	shop := siem.Product{Vendor: "Example", Name: "shop", Version: "1.4"}
	log := audit.New(audit.Config{
		Sink: audit.Lines(os.Stdout, shop.AppendCEF),
	})

	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice", Type: "user"})
	_ = log.Record(ctx, audit.Event{
		Time: time.UnixMilli(1767323045000), ID: "e-1", Action: "order.refund", Outcome: audit.Denied, Code: "denied",
		Target: audit.Target{Type: "order", ID: "o-17"}, Source: "192.0.2.7", Reason: "a=b | c",
	})
	// Output:
	// CEF:0|Example|shop|1.4|order.refund|order.refund|7|rt=1767323045000 act=order.refund outcome=denied reason=denied msg=a\=b | c externalId=e-1 suid=alice src=192.0.2.7 cs1=order cs1Label=targetType cs2=o-17 cs2Label=target flexString1=user flexString1Label=actorType
}

func ExampleProduct() {
	shop := siem.Product{Vendor: "Example", Name: "shop", Version: "1.4"}
	e := &audit.Event{
		Time: time.UnixMilli(1767323045000), ID: "e-1", Action: audit.Modify, Outcome: audit.Success,
		Actor: audit.Actor{ID: "alice"}, Target: audit.Target{Type: "user", ID: "u-1"},
		Changes: []audit.Change{{Field: "pin", Old: "***", New: "***", Sensitive: true}},
	}
	fmt.Printf("%s\n", shop.AppendECS(e, nil))
	fmt.Printf("%s\n", shop.AppendOCSF(e, nil))
	// Output:
	// {"@timestamp":"2026-01-02T03:04:05Z","ecs":{"version":"9.4.0"},"event":{"action":"modify","category":["api"],"id":"e-1","kind":"event","outcome":"success","provider":"shop","type":["change"]},"redoubt":{"changes":[{"field":"pin","old":"***","new":"***","sensitive":true}],"outcome":"success","target":"u-1","target_type":"user"},"related":{"user":["alice","u-1"]},"service":{"name":"shop","version":"1.4"},"user":{"id":"alice","name":"alice"}}
	// {"activity_id":3,"actor":{"user":{"type":"Unknown","type_id":0,"uid":"alice"}},"category_uid":3,"class_uid":3004,"entity":{"type":"User","type_id":2,"uid":"u-1"},"metadata":{"event_code":"modify","product":{"name":"shop","vendor_name":"Example","version":"1.4"},"uid":"e-1","version":"1.8.0"},"severity_id":1,"src_endpoint":{"svc_name":"shop"},"status":"Success","status_detail":"success","status_id":1,"time":1767323045000,"type_uid":300403,"unmapped":{"changes":[{"field":"pin","old":"***","new":"***","sensitive":true}]}}
}

func ExampleClass() {
	shop := siem.Product{Name: "shop", Classify: func(e *audit.Event) siem.Class {
		if e.Action == "order.pay" { // Web Resources Activity, Update
			return siem.Class{UID: 6001, Activity: 3, Category: "web", Type: []string{"access"}}
		}
		return siem.Class{} // the default
	}}
	line := shop.AppendECS(&audit.Event{Action: "order.pay", Outcome: audit.Success}, nil)
	fmt.Println(strings.Contains(string(line), `"category":["web"]`))
	// Output: true
}
