package fleet_test

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/fleet"
)

// TestMain runs a program that a test kills, if the environment asks for it.
func TestMain(m *testing.M) {
	role := os.Getenv("FLEET_TEST_ROLE")
	if role == "" {
		os.Exit(m.Run())
	}
	go func() { // the test has ended
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	conn, err := nats.Connect(os.Getenv("FLEET_TEST_URL"), nats.MaxReconnects(-1))
	if err != nil {
		panic(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		panic(err)
	}
	switch role {
	case "ship":
		f := folder{dir: os.Getenv("FLEET_TEST_DIR")}
		panic(fleet.NewShipper(shipperConfig(conn)).Ship(context.Background(), f.logs(false)))
	case "consume":
		g := new(group)
		g.delay.Store(int64(500 * time.Microsecond))
		config := consumerConfig(js, g)
		config.Lease = time.Second
		panic(fleet.NewConsumer(config).Run(context.Background()))
	}
}

// spawn starts this program in a role. The function that it returns ends it as
// kill -9 does.
func spawn(t *testing.T, role, url, dir string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FLEET_TEST_ROLE="+role, "FLEET_TEST_URL="+url, "FLEET_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		stdin.Close()
	}
}

func TestKilledShipperLosesAndDoublesNothing(t *testing.T) {
	server, js := single(t)
	f := newFolder(t)
	random := rand.New(rand.NewPCG(3, 4))
	total := 0
	for range 6 {
		kill := spawn(t, "ship", server.URL(), f.dir)
		// The first program saves its place at least once.
		unsaved := func() bool { _, err := os.Stat(f.path("state")); return err != nil }
		for end := time.Now().Add(time.Duration(500+random.IntN(1500)) * time.Millisecond); time.Now().Before(end) || unsaved(); time.Sleep(20 * time.Millisecond) {
			f.write("a.log", lines(total, total+10)...)
			f.write("b.log", lines(total+10, total+20)...)
			total += 20
		}
		kill()
	}
	if s, err := js.Stream(t.Context(), stream); err != nil || s.CachedInfo().State.Msgs == 0 {
		t.Fatalf("the killed programs have stored nothing: %v", err)
	}
	s := fleet.NewShipper(shipperConfig(js.Conn()))
	ship(t, s, f)
	checkEqual(t, storedLines(t, js), sorted(lines(0, total)))
	if got := s.Stats().Stored; got >= uint64(total) {
		t.Errorf("the last program has shipped all %d lines, want those since the last save", got)
	}
}

func TestKilledConsumerContinuesAtTheSnapshot(t *testing.T) {
	checkLeaks(t)
	server, js := single(t)
	publish(t, js, lines(0, 5000)...)
	random := rand.New(rand.NewPCG(5, 6))
	kv, err := js.KeyValue(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		before, err := kv.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		kill := spawn(t, "consume", server.URL(), "")
		eventually(t, "the program has stored something", func() bool {
			now, err := kv.Status(t.Context())
			return err == nil && now.(*jetstream.KeyValueBucketStatus).StreamInfo().State.LastSeq >
				before.(*jetstream.KeyValueBucketStatus).StreamInfo().State.LastSeq+30
		})
		time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
		kill()
	}
	var g group
	config := consumerConfig(js, &g)
	config.Lease = 2 * time.Second
	c := fleet.NewConsumer(config)
	r := run(c)
	publish(t, js, lines(5000, 5100)...)
	checkStates(t, js, &g)
	r.stop(t)
	if got := c.Stats().Handled; got >= 5100 {
		t.Errorf("got %d records handled, want those since the last snapshots", got)
	}
}
