package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/fleet"
	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

// withServer runs an example with a server of its own, with the stream and the
// bucket of the package comment, and a folder of logs.
func withServer(example func(js jetstream.JetStream, dir string) error) {
	t := natstest.Example()
	defer t.Close()
	js := natstest.JetStream(t, natstest.Start(t, natstest.Config{}).Client(t))
	dir := t.TempDir()
	logs := filepath.Join(dir, "log")
	text := ""
	for i := range 3 {
		text += fmt.Sprintf("time=2026-03-01T12:00:0%dZ addr=203.0.113.9 msg=failed\n", i)
	}
	err := errors.Join(setUp(context.Background(), js, 1), os.Mkdir(logs, 0o700), os.WriteFile(filepath.Join(logs, "auth.log"), []byte(text), 0o600))
	if err != nil {
		panic(err)
	}
	if err := example(js, logs); err != nil {
		fmt.Println(err)
	}
}

// setUp creates the stream and the bucket.
func setUp(ctx context.Context, js jetstream.JetStream, replicas int) error {
	var err error
	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: "LOGS", Subjects: []string{"logs.*"}, Replicas: replicas,
		Duplicates: 10 * time.Minute, MaxAge: 7 * 24 * time.Hour,
	})
	if err != nil {
		return err
	}
	_, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: "detect", Replicas: replicas,
	})
	return err
}

var parser = logscan.Timed(logscan.Logfmt("time", "addr", "msg"), "time", logscan.TimeParser{})

// shipLogs ships the logs of a folder.
func shipLogs(ctx context.Context, conn *nats.Conn, host, dir, state string) error {
	s := fleet.NewShipper(fleet.ShipperConfig{
		Conn: conn, Prefix: "logs", Partitions: 16, Host: host,
		Key: func(r *logscan.Record) []byte { return r.Get("addr") },
	})
	err := s.Ship(ctx, follow.Dir{
		Follower: follow.Follower{Scanner: logscan.Scanner{Parser: parser}},
		Match:    []string{dir}, State: state,
	})
	return err
}

// detectExcess handles the lines, as one of many consumers.
func detectExcess(ctx context.Context, js jetstream.JetStream, limit detect.Config, send func(context.Context, string, detect.Alert[string]) error) error {
	type window = *detect.Window[string]
	c := fleet.NewConsumer(fleet.ConsumerConfig[window]{
		JetStream: js, Stream: "LOGS", Bucket: "detect",
		Prefix: "logs", Partitions: 16,
		Parser: parser,
		New:    func(int) window { return detect.NewWindow[string](limit) },
		Handle: func(ctx context.Context, w window, r fleet.Record) error {
			addr := string(r.Get("addr"))
			if alert, ok := w.Observe(r.Time(), addr, 1, r.Line); ok {
				return send(ctx, r.ID, alert)
			}
			return nil
		},
	})
	err := c.Run(ctx)
	return err
}

// The third failed login of an address within an hour is an alert.
func Example() {
	withServer(func(js jetstream.JetStream, dir string) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		go shipLogs(ctx, js.Conn(), "web-1", dir, dir+".state")
		limit := detect.Config{Name: "logins", Limit: 2, Per: time.Hour, Evidence: -1}
		detectExcess(ctx, js, limit, func(_ context.Context, id string, a detect.Alert[string]) error {
			fmt.Println(a)
			cancel()
			return nil
		})
		return nil
	})
	// Output:
	// logins: "203.0.113.9": 3 from 2026-03-01T12:00:00Z to 2026-03-01T12:00:02Z
}

// shipOnce ships the lines that are there.
func shipOnce(js jetstream.JetStream, s *fleet.Shipper, dir string) error {
	return s.Ship(context.Background(), follow.Dir{
		Follower: follow.Follower{StopAtEOF: true},
		Match:    []string{dir}, State: dir + ".state",
	})
}

func ExampleShipper_Ship() {
	withServer(func(js jetstream.JetStream, dir string) error {
		s := fleet.NewShipper(fleet.ShipperConfig{Conn: js.Conn(), Prefix: "logs", Partitions: 16, Host: "web-1"})
		if err := shipOnce(js, s, dir); err != nil {
			return err
		}
		if err := shipOnce(js, s, dir); err != nil { // continues after the last line
			return err
		}
		fmt.Println(s.Stats().Stored)
		return nil
	})
	// Output:
	// 3
}

// Without its State, the Shipper publishes all lines again. The stream drops
// them.
func ExampleShipper_Stats() {
	withServer(func(js jetstream.JetStream, dir string) error {
		s := fleet.NewShipper(fleet.ShipperConfig{Conn: js.Conn(), Prefix: "logs", Partitions: 16, Host: "web-1"})
		err := errors.Join(shipOnce(js, s, dir), os.Remove(dir+".state"), shipOnce(js, s, dir))
		fmt.Println(s.Stats().Stored, s.Stats().Duplicates)
		return err
	})
	// Output:
	// 6 3
}

func ExampleShipperStats() {
	withServer(func(js jetstream.JetStream, dir string) error {
		s := fleet.NewShipper(fleet.ShipperConfig{Name: "agent", Conn: js.Conn(), Prefix: "logs", Partitions: 16, Host: "web-1"})
		fmt.Printf("%+v\n", s.Stats())
		return nil
	})
	// Output:
	// {Name:agent Stored:0 StoredBytes:0 Duplicates:0 Repeated:0 Cut:0 CutBytes:0 Dropped:0 Blocked:0 InputErrors:0 InFlight:0 InFlightBytes:0}
}

func ExampleNewShipper() {
	defer func() { fmt.Println(recover()) }()
	fleet.NewShipper(fleet.ShipperConfig{Conn: new(nats.Conn), Prefix: "logs", Partitions: 16})
	// Output:
	// fleet: Host is "", want 1 to 128 letters, digits, - _ . or :
}

func ExampleShipperConfig_Validate() {
	fmt.Println(fleet.ShipperConfig{Host: "web-1", Prefix: "logs.>", Partitions: 16}.Validate())
	// Output:
	// fleet: Conn is missing
	// fleet: Prefix is "logs.>", want a subject without wildcards
}

// counter is a State that counts lines.
type counter struct{ lines byte }

func (c *counter) MarshalBinary() ([]byte, error) { return []byte{c.lines}, nil }
func (c *counter) UnmarshalBinary(b []byte) error { c.lines = b[0]; return nil }

func ExampleState() {
	var s fleet.State = &counter{lines: 3}
	b, _ := s.MarshalBinary()
	var restored counter
	fmt.Println(restored.UnmarshalBinary(b), restored.lines)
	// Output:
	// <nil> 3
}

func newCounter(int) *counter { return new(counter) }

func ExampleNewConsumer() {
	defer func() { fmt.Println(recover()) }()
	fleet.NewConsumer(fleet.ConsumerConfig[*counter]{Stream: "LOGS", Bucket: "detect", Prefix: "logs", Partitions: 16, New: newCounter})
	// Output:
	// fleet: JetStream is missing
	// fleet: Handle is missing
}

func ExampleConsumerConfig_Validate() {
	fmt.Println(fleet.ConsumerConfig[*counter]{Stream: "LOGS", Bucket: "detect", Prefix: "logs", New: newCounter}.Validate())
	// Output:
	// fleet: JetStream is missing
	// fleet: Partitions is 0, want 1 to 4096
	// fleet: Handle is missing
}

func ExampleConsumer_Run() {
	withServer(func(js jetstream.JetStream, dir string) error {
		s := fleet.NewShipper(fleet.ShipperConfig{Conn: js.Conn(), Prefix: "logs", Partitions: 1, Host: "web-1"})
		if err := shipOnce(js, s, dir); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		c := fleet.NewConsumer(fleet.ConsumerConfig[*counter]{
			JetStream: js, Stream: "LOGS", Bucket: "detect", Prefix: "logs", Partitions: 1, New: newCounter,
			Handle: func(_ context.Context, c *counter, r fleet.Record) error {
				c.lines++
				fmt.Printf("%d %s: %s\n", c.lines, r.Host, r.Line)
				if c.lines == 3 {
					cancel()
				}
				return nil
			},
		})
		fmt.Println(c.Run(ctx))
		return nil
	})
	// Output:
	// 1 web-1: time=2026-03-01T12:00:00Z addr=203.0.113.9 msg=failed
	// 2 web-1: time=2026-03-01T12:00:01Z addr=203.0.113.9 msg=failed
	// 3 web-1: time=2026-03-01T12:00:02Z addr=203.0.113.9 msg=failed
	// fleet: consumer: context canceled
}

// The next consumer begins with the state of the last.
func ExampleConsumer_Stats() {
	withServer(func(js jetstream.JetStream, dir string) error {
		s := fleet.NewShipper(fleet.ShipperConfig{Conn: js.Conn(), Prefix: "logs", Partitions: 1, Host: "web-1"})
		if err := shipOnce(js, s, dir); err != nil {
			return err
		}
		for _, most := range []byte{2, 3} {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			c := fleet.NewConsumer(fleet.ConsumerConfig[*counter]{
				JetStream: js, Stream: "LOGS", Bucket: "detect", Prefix: "logs", Partitions: 1, New: newCounter,
				Handle: func(_ context.Context, c *counter, r fleet.Record) error {
					if c.lines++; c.lines == most {
						cancel()
					}
					return nil
				},
			})
			c.Run(ctx)
			fmt.Println(c.Stats().Handled, c.Stats().Snapshots)
		}
		return nil
	})
	// Output:
	// 2 1
	// 1 1
}

func ExampleConsumerStats() {
	withServer(func(js jetstream.JetStream, dir string) error {
		c := fleet.NewConsumer(fleet.ConsumerConfig[*counter]{
			Name: "logins", JetStream: js, Stream: "LOGS", Bucket: "detect", Prefix: "logs", Partitions: 1, New: newCounter,
			Handle: func(context.Context, *counter, fleet.Record) error { return nil },
		})
		fmt.Printf("%+v\n", c.Stats())
		return nil
	})
	// Output:
	// {Name:logins Handled:0 HandledBytes:0 Malformed:0 Foreign:0 Acquired:0 Released:0 Lost:0 Failed:0 Gaps:0 Snapshots:0 SnapshotBytes:0 Members:0 Partitions:0 Unread:0}
}

func ExampleRecord() {
	r := fleet.Record{Record: &logscan.Record{Line: []byte("text"), Source: "/var/log/auth.log"}, ID: "web-1/8c1c0f7a-0", Host: "web-1"}
	fmt.Printf("%s:%s: %s\n", r.Host, r.Source, r.Line)
	// Output:
	// web-1:/var/log/auth.log: text
}

func ExamplePartition() {
	for _, key := range []string{"203.0.113.9", "203.0.113.10", ""} {
		fmt.Println(fleet.Partition([]byte(key), 16))
	}
	// Output:
	// 1
	// 7
	// 4
}

func ExampleKind() {
	fmt.Println(fleet.KindBlocked, fleet.KindGap, fleet.Kind(77))
	// Output:
	// blocked gap Kind(77)
}

func ExampleKind_String() {
	fmt.Println(fleet.KindAcquired.String())
	// Output:
	// acquired
}

func ExampleEvent() {
	e := fleet.Event{Kind: fleet.KindFailed, Name: "logins", Partition: 3, Err: nats.ErrNoResponders}
	fmt.Println(e.LogValue())
	// Output:
	// [kind=failed name=logins partition=3 error="nats: no responders available for request"]
}

func ExampleEvent_LogValue() {
	fmt.Println(fleet.Event{Kind: fleet.KindCut, Name: "agent", Partition: -1, ID: "web-1/8c1c0f7a-0", Cut: 100}.LogValue())
	// Output:
	// [kind=cut name=agent id=web-1/8c1c0f7a-0 cut=100]
}
