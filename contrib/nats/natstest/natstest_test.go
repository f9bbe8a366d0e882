package natstest_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
)

func TestClusterSurvivesItsLeader(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := natstest.StartCluster(t, 3, natstest.Config{})
	js := natstest.JetStream(t, natstest.Connect(t, c.URLs()))
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "s", []byte("before"), jetstream.WithRetryAttempts(100)); err != nil {
		t.Fatal(err)
	}
	leader := c.Leader(t, js, "S")
	c.Kill(leader)
	// The client may have been connected to the killed server.
	for {
		try, cancel := context.WithTimeout(ctx, time.Second)
		_, err := js.Publish(try, "s", []byte("during"), jetstream.WithMsgID("during"), jetstream.WithRetryAttempts(100))
		cancel()
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	c.Restart(leader)
	info, err := stream.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if info.State.LastSeq != 2 {
		t.Errorf("LastSeq is %d, want 2", info.State.LastSeq)
	}
}

func TestServerKeepsItsFiles(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, program := range []func(testing.TB) string{natstest.Program, natstest.Installed} {
		s := natstest.Start(t, natstest.Config{Program: program(t)})
		js := natstest.JetStream(t, s.Client(t))
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(ctx, "s", nil); err != nil {
			t.Fatal(err)
		}
		s.Kill()
		if s.Alive() {
			t.Error("alive after Kill")
		}
		s.Restart()
		if ack, err := js.Publish(ctx, "s", nil, jetstream.WithRetryAttempts(100)); err != nil || ack.Sequence != 2 {
			t.Errorf("Publish: %v, %v, want sequence 2", ack, err)
		}
	}
}

func TestProxy(t *testing.T) {
	s := natstest.Start(t, natstest.Config{})
	p := natstest.NewProxy(t, s.Addr)
	nc := natstest.Connect(t, p.URL(), nats.IgnoreDiscoveredServers())
	flush := func() error { return nc.FlushTimeout(100 * time.Millisecond) }
	if err := nc.FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	p.SetHung(true)
	if err := flush(); err == nil {
		t.Error("hung: a reply")
	}
	p.SetHung(false)
	p.SetCut(true)
	if err := flush(); err == nil {
		t.Error("cut: a reply")
	}
	p.SetCut(false)
	if err := nc.FlushTimeout(time.Minute); err != nil {
		t.Error(err)
	}
}

func TestIsolatedServerHasNoMajority(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	c := natstest.StartCluster(t, 3, natstest.Config{Proxied: true})
	js := natstest.JetStream(t, natstest.Connect(t, c.URLs()))
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3}); err != nil {
		t.Fatal(err)
	}
	leader := c.Leader(t, js, "S")
	alone := natstest.JetStream(t, c.Client(t, leader))
	rest := natstest.JetStream(t, c.Client(t, (leader+1)%3))
	publish := func(js jetstream.JetStream, id string) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := js.Publish(ctx, "s", nil, jetstream.WithMsgID(id))
		return err
	}
	until := func(js jetstream.JetStream, id string) {
		for publish(js, id) != nil {
			if ctx.Err() != nil {
				t.Fatalf("%s is not stored", id)
			}
		}
	}
	c.Isolate(leader, true)
	if err := publish(alone, "alone"); err == nil {
		t.Error("a server without a majority stores a message")
	}
	until(rest, "rest")
	c.Isolate(leader, false)
	until(alone, "again")
}

// In CI, the tests that need a server must not be skipped.
func TestServersAreAvailable(t *testing.T) {
	if os.Getenv("CI") != "true" {
		t.Skip("without CI=true, tests may be skipped")
	}
	if !t.Run("pinned", func(t *testing.T) { natstest.Program(t) }) || !t.Run("installed", func(t *testing.T) {
		if _, err := exec.LookPath("nats-server"); err != nil {
			t.Fatal(err)
		}
	}) {
		t.Error("a server is missing")
	}
}

func TestConfigOfUsers(t *testing.T) {
	if err := (natstest.Config{Password: "p"}).Validate(); err == nil {
		t.Error("a password without a user is valid")
	}
	if err := (natstest.Config{User: "u", Password: "p"}).Validate(); err != nil {
		t.Error(err)
	}
}
