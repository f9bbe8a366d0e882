package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/eventlogger"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/diode"
	mask "github.com/showa-93/go-mask"
	"github.com/tidwall/wal"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/redact"
)

var ctx = audit.WithActor(context.Background(), audit.Actor{ID: "alice"})

// event returns the event that every implementation writes: time, id, action,
// outcome, actor, target and two attributes, about 200 bytes.
func event() audit.Event {
	return audit.Event{
		Action: "deploy.delete", Outcome: audit.Success, Target: audit.Target{Type: "deploy", ID: "web"},
		Attrs: []slog.Attr{slog.Int("replicas", 3), slog.String("region", "eu-1")},
	}
}

// encoded is a sink that encodes events and drops them, as the loggers do with
// io.Discard.
type encoded struct{ buf []byte }

func (s *encoded) WriteEvents(_ context.Context, events []*audit.Event) error {
	for _, e := range events {
		s.buf = e.AppendJSON(s.buf[:0])
	}
	return nil
}

const id = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" // the loggers are given the ID that redoubt makes

func zerologEvent(l *zerolog.Logger) { zerologEventID(l, id) }

func zerologEventID(l *zerolog.Logger, id string) {
	l.Info().Time("time", time.Now()).Str("id", id).Str("action", "deploy.delete").Str("outcome", "success").
		Dict("actor", zerolog.Dict().Str("id", "alice")).Dict("target", zerolog.Dict().Str("type", "deploy").Str("id", "web")).
		Dict("attrs", zerolog.Dict().Int("replicas", 3).Str("region", "eu-1")).Send()
}

func zapEvent(l *zap.Logger) {
	l.Info("", zap.Time("time", time.Now()), zap.String("id", id), zap.String("action", "deploy.delete"), zap.String("outcome", "success"),
		zap.Dict("actor", zap.String("id", "alice")), zap.Dict("target", zap.String("type", "deploy"), zap.String("id", "web")),
		zap.Dict("attrs", zap.Int("replicas", 3), zap.String("region", "eu-1")))
}

func zapTo(w zapcore.WriteSyncer) *zap.Logger {
	c := zapcore.EncoderConfig{EncodeTime: zapcore.RFC3339NanoTimeEncoder}
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(c), w, zap.InfoLevel))
}

func slogEvent(l *slog.Logger) {
	l.LogAttrs(ctx, slog.LevelInfo, "audit", slog.String("id", id), slog.String("action", "deploy.delete"), slog.String("outcome", "success"),
		slog.Group("actor", "id", "alice"), slog.Group("target", "type", "deploy", "id", "web"),
		slog.Group("attrs", "replicas", 3, "region", "eu-1"))
}

// drop is the last node of an eventlogger pipeline.
type drop struct{}

func (drop) Process(context.Context, *eventlogger.Event) (*eventlogger.Event, error) { return nil, nil }
func (drop) Reopen() error                                                           { return nil }
func (drop) Type() eventlogger.NodeType                                              { return eventlogger.NodeTypeSink }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func broker() *eventlogger.Broker {
	b := must(eventlogger.NewBroker())
	nodes := map[eventlogger.NodeID]eventlogger.Node{"json": &eventlogger.JSONFormatter{}, "sink": drop{}}
	for name, n := range nodes {
		if err := b.RegisterNode(name, n); err != nil {
			panic(err)
		}
	}
	if err := b.RegisterPipeline(eventlogger.Pipeline{PipelineID: "p", EventType: "audit", NodeIDs: []eventlogger.NodeID{"json", "sink"}}); err != nil {
		panic(err)
	}
	return b
}

func run(b *testing.B, impl string, f func()) {
	b.Run("impl="+impl, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f()
		}
	})
}

// An event of the same content to a writer that drops it, with the time from
// the clock. Redoubt also creates a random ID, checks the names and finds the
// actor in the context. Redoubt-timeout is the default, with a deadline for the
// sink. The loggers use a fixed ID; zerolog-id creates a random ID as redoubt
// does.
func BenchmarkEmitDiscard(b *testing.B) {
	fast, timed := audit.New(audit.Config{Sink: &encoded{}, Timeout: -1}), audit.New(audit.Config{Sink: &encoded{}})
	run(b, "redoubt", func() { _ = fast.Record(ctx, event()) })
	run(b, "redoubt-timeout", func() { _ = timed.Record(ctx, event()) })
	z := zerolog.New(io.Discard)
	run(b, "zerolog", func() { zerologEvent(&z) })
	run(b, "zerolog-id", func() { zerologEventID(&z, rand.Text()) })
	zl := zapTo(zapcore.AddSync(io.Discard))
	run(b, "zap", func() { zapEvent(zl) })
	sl := slog.New(slog.NewJSONHandler(io.Discard, nil))
	run(b, "slog", func() { slogEvent(sl) })
	br := broker()
	run(b, "eventlogger", func() {
		_, _ = br.Send(ctx, "audit", map[string]any{
			"id": id, "action": "deploy.delete", "outcome": "success", "actor": map[string]string{"id": "alice"},
			"target": map[string]string{"type": "deploy", "id": "web"}, "attrs": map[string]any{"replicas": 3, "region": "eu-1"},
		})
	})
}

func createFile(b *testing.B) *os.File {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return f
}

func openLedger(b *testing.B, c ledger.Config) *ledger.Ledger {
	l, err := ledger.Open(context.Background(), b.TempDir(), c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	return l
}

// The same event to a file without syncs. Redoubt-buffer writes batches of 256
// events with link and tree hashes, and is flushed within the measured time.
// Redoubt writes and checks each event alone. Zerolog writes each event alone,
// zap-buffered 256 KiB at a time.
func BenchmarkEmitFile(b *testing.B) {
	direct := audit.New(audit.Config{Sink: openLedger(b, ledger.Config{Sync: ledger.SyncNever, MaxSize: -1}), Timeout: -1})
	run(b, "redoubt", func() { _ = direct.Record(ctx, event()) })
	b.Run("impl=redoubt-buffer", func(b *testing.B) {
		buf := audit.NewBuffer(audit.BufferConfig{Next: openLedger(b, ledger.Config{Sync: ledger.SyncNever, MaxSize: -1})})
		log := audit.New(audit.Config{Sink: buf, Timeout: -1})
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			_ = log.Record(ctx, event())
		}
		_ = buf.Close(ctx)
	})
	b.Run("impl=redoubt-buffer-json", func(b *testing.B) {
		buf := audit.NewBuffer(audit.BufferConfig{Next: audit.JSON(createFile(b))})
		log := audit.New(audit.Config{Sink: buf, Timeout: -1})
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			_ = log.Record(ctx, event())
		}
		_ = buf.Close(ctx)
	})
	z := zerolog.New(createFile(b))
	run(b, "zerolog-file", func() { zerologEvent(&z) })
	b.Run("impl=zap-buffered", func(b *testing.B) {
		w := &zapcore.BufferedWriteSyncer{WS: zapcore.AddSync(createFile(b))}
		zl := zapTo(w)
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			zapEvent(zl)
		}
		_ = w.Stop()
	})
}

// The cost for the caller of an event that another goroutine writes to a sink
// that drops it. Redoubt blocks when 1024 events wait. The diode of zerolog
// overwrites waiting events, so it loses events.
func BenchmarkEmitAsync(b *testing.B) {
	b.Run("impl=redoubt", func(b *testing.B) {
		buf := audit.NewBuffer(audit.BufferConfig{Next: &encoded{}})
		log := audit.New(audit.Config{Sink: buf, Timeout: -1})
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			_ = log.Record(ctx, event())
		}
		_ = buf.Close(ctx)
	})
	b.Run("impl=zerolog-diode", func(b *testing.B) {
		w := diode.NewWriter(io.Discard, 1024, 0, nil)
		z := zerolog.New(w)
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			zerologEvent(&z)
		}
		_ = w.Close()
	})
}

// durable runs write b.N times in total, from g goroutines.
func durable(b *testing.B, impl string, g int, write func() error) {
	b.Run(fmt.Sprintf("g=%d/impl=%s", g, impl), func(b *testing.B) {
		var wg sync.WaitGroup
		for w := range g {
			wg.Go(func() {
				for range (b.N + w) / g {
					if err := write(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// An event of about 250 bytes, which the other implementations get encoded, is
// on the disk when the call returns. Wal and the floor sync each event alone,
// under a lock. Group is a plain group commit without hashes.
func BenchmarkDurable(b *testing.B) {
	e := event()
	line := append((&e).AppendJSON(nil), '\n')
	for _, g := range []int{1, 64} {
		l := openLedger(b, ledger.Config{MaxSize: -1})
		durable(b, "redoubt", g, func() error { e := event(); return l.WriteEvents(ctx, []*audit.Event{&e}) })

		w := must(wal.Open(filepath.Join(b.TempDir(), "wal"), nil))
		var mu sync.Mutex
		index := uint64(0)
		durable(b, "tidwall-wal", g, func() error {
			mu.Lock()
			defer mu.Unlock()
			index++
			return w.Write(index, line)
		})
		_ = w.Close()

		f := createFile(b)
		durable(b, "floor-mutex-write-fsync", g, func() error {
			mu.Lock()
			defer mu.Unlock()
			_, err := f.Write(line)
			if err == nil {
				err = f.Sync()
			}
			return err
		})
		durable(b, "naive-group-commit", g, (&group{f: createFile(b)}).writer(line))
	}
}

// group is the simplest group commit: the caller that has the file writes for
// all waiting callers.
type group struct {
	f       *os.File
	file    sync.Mutex
	mu      sync.Mutex
	pending *pending
}

type pending struct {
	text []byte
	done chan struct{}
	err  error
}

func (g *group) writer(line []byte) func() error {
	return func() error {
		g.mu.Lock()
		p, leads := g.pending, false
		if p == nil {
			p, leads = &pending{done: make(chan struct{})}, true
			g.pending = p
		}
		p.text = append(p.text, line...)
		g.mu.Unlock()
		if !leads {
			<-p.done
			return p.err
		}
		g.file.Lock()
		defer g.file.Unlock()
		defer close(p.done)
		g.mu.Lock()
		g.pending = nil
		g.mu.Unlock()
		if _, p.err = g.f.Write(p.text); p.err == nil {
			p.err = g.f.Sync()
		}
		return p.err
	}
}

// A leaf of 330 bytes in a growing tree. The tree of redoubt is not exported:
// its row, with the same floor in the same run, is BenchmarkTreeAppend of
// audit/ledger.
func BenchmarkTreeAppend(b *testing.B) {
	line := bytes.Repeat([]byte("x"), 330)
	run(b, "sha256-only", func() { sha256.Sum256(line) })
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = hashes[x]
		}
		return out, nil
	})
	n := int64(0)
	run(b, "xmod-tlog", func() {
		hashes = append(hashes, must(tlog.StoredHashes(n, line, read))...)
		n++
	})
	r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	run(b, "merkle-compact", func() { _ = r.Append(rfc6962.DefaultHasher.HashLeaf(line), nil) })
}

// Verification of 20,000 records. The hash chain is the usual handwritten
// chain: it decodes each line for its link and compares the link with the hash
// of the line before. Floor-hash-chain takes the link from its fixed place and
// checks nothing else. Xmod-tlog computes the root with tlog. The bytes are the
// bytes of the log.
func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	l := must(ledger.Open(ctx, dir, ledger.Config{Sync: ledger.SyncNever, MaxSize: -1}))
	log := audit.New(audit.Config{Sink: l})
	for range 20_000 {
		_ = log.Record(ctx, event())
	}
	_ = l.Close()
	fsys := os.DirFS(dir)
	data := must(fs.ReadFile(fsys, "00000000000000000000.jsonl"))
	want := l.Head()
	verify := func(impl string, f func() bool) {
		b.Run("impl="+impl, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if !f() {
					b.Fatal("does not verify")
				}
			}
		})
	}
	verify("redoubt", func() bool {
		r, err := ledger.Verify(context.Background(), fsys, ledger.VerifyConfig{})
		return err == nil && r.Root == want.Root
	})
	verify("hash-chain", func() bool { return chain(fsys, decodedPrev) })
	verify("floor-hash-chain", func() bool { return chain(fsys, fixedPrev) })
	verify("xmod-tlog", func() bool {
		var hashes []tlog.Hash
		read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			out := make([]tlog.Hash, len(indexes))
			for i, x := range indexes {
				out[i] = hashes[x]
			}
			return out, nil
		})
		n := int64(0)
		lines(fsys, func(line []byte) bool {
			hashes = append(hashes, must(tlog.StoredHashes(n, line, read))...)
			n++
			return true
		})
		return must(tlog.TreeHash(n, read)) == tlog.Hash(want.Root)
	})
}

func lines(fsys fs.FS, f func([]byte) bool) bool {
	file := must(fsys.Open("00000000000000000000.jsonl"))
	defer file.Close()
	s := bufio.NewScanner(file)
	s.Buffer(make([]byte, 64<<10), 1<<20)
	for s.Scan() {
		if !f(s.Bytes()) {
			return false
		}
	}
	return s.Err() == nil
}

func chain(fsys fs.FS, prev func(line []byte) []byte) bool {
	var last [32]byte
	first := true
	buf := make([]byte, 0, 4096)
	return lines(fsys, func(line []byte) bool {
		ok := first || bytes.Equal(prev(line), last[:])
		first = false
		buf = append(append(buf[:0], 0), line...)
		last = sha256.Sum256(buf)
		return ok
	})
}

func decodedPrev(line []byte) []byte {
	var v struct {
		Seq  uint64 `json:"seq"`
		Prev []byte `json:"prev"`
	}
	if json.Unmarshal(line, &v) != nil {
		return nil
	}
	return v.Prev
}

func fixedPrev(line []byte) []byte {
	i := bytes.Index(line, []byte(`"prev":"`)) + len(`"prev":"`)
	var room [33]byte
	n, _ := base64.StdEncoding.Decode(room[:], line[i:i+44])
	return room[:n]
}

// A token of a string of 20 bytes, in the list that Tokens returns. The list is
// the second allocation, which an event does not have. Vault-style is a new
// HMAC and the hexadecimal text of all its 256 bits.
func BenchmarkToken(b *testing.B) {
	key := []byte("0123456789abcdef0123456789abcdef")
	log := audit.New(audit.Config{Sink: &encoded{}, TokenKeys: []audit.TokenKey{{ID: "k1", Key: audit.NewSecret(key)}}})
	run(b, "redoubt", func() { log.Tokens("user.key", "sk_live_abc123456789") })
	run(b, "vault-style", func() {
		h := hmac.New(sha256.New, key)
		_, _ = h.Write([]byte("sk_live_abc123456789"))
		_ = "hmac-sha256:" + hex.EncodeToString(h.Sum(nil))
	})
}

type plain struct {
	Name  string `mask:"-"`
	Key   string `mask:"fixed"`
	Token string `mask:"fixed"`
	Pin   string `mask:"fixed"`
}

type secrets struct {
	Name            string
	Key, Token, Pin audit.Secret[string]
}

func (s secrets) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", s.Name), slog.Any("key", s.Key), slog.Any("token", s.Token), slog.Any("pin", s.Pin))
}

// hand masks its secrets by hand.
type hand plain

func (h hand) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", h.Name), slog.String("key", "***"), slog.String("token", "***"), slog.String("pin", "***"))
}

// A struct with three secrets through the JSON handler of slog. Hand-LogValuer
// is the floor: the cost of the handler without anything to mask. Redoubt-plain
// leaves the struct to encoding/json, as go-mask does after its copy.
func BenchmarkLogStruct(b *testing.B) {
	l := slog.New(slog.NewJSONHandler(io.Discard, nil))
	p := plain{"alice", "sk_live_abc", "token", "1234"}
	s := secrets{"alice", audit.NewSecret(p.Key), audit.NewSecret(p.Token), audit.NewSecret(p.Pin)}
	type bare secrets
	run(b, "redoubt", func() { l.Info("m", "user", s) })
	run(b, "redoubt-plain", func() { l.Info("m", "user", bare(s)) })
	run(b, "hand-LogValuer", func() { l.Info("m", "user", hand(p)) })
	m := mask.NewMasker()
	m.RegisterMaskStringFunc("fixed", func(string, string) (string, error) { return "***", nil })
	run(b, "go-mask", func() { l.Info("m", "user", must(m.Mask(p))) })
	r := slog.New(redact.New(redact.Config{Next: slog.NewJSONHandler(io.Discard, nil)}))
	t := tagged(p)
	run(b, "redoubt-redact", func() { r.Info("m", "user", t) })
}

// tagged is the struct for package redact.
type tagged struct {
	Name  string
	Key   string `audit:"key,sensitive"`
	Token string
	Pin   string
}

// 64 goroutines read one field, or record plain events, to a sink that takes a
// millisecond as a disk does.
func BenchmarkFieldReaders(b *testing.B) {
	slow := audit.SinkFunc(func(context.Context, []*audit.Event) error { time.Sleep(time.Millisecond); return nil })
	log := audit.New(audit.Config{Sink: slow, Timeout: -1})
	f := must((&audit.Attribute[string]{Name: "key"}).Load(log.Object("user", "u-1"), "hunter2"))
	durable(b, "redoubt-get", 64, func() error { _, err := f.Get(ctx); return err })
	durable(b, "redoubt-record", 64, func() error { return log.Record(ctx, event()) })
}

// A recorded read of a field, to a sink that encodes events and drops them. By
// hand, zerolog writes the same event under a lock before the value is
// returned.
func BenchmarkFieldGet(b *testing.B) {
	log := audit.New(audit.Config{Sink: &encoded{}, Timeout: -1})
	o := log.Object("user", "u-1")
	f := must((&audit.Attribute[string]{Name: "key", Sensitive: true}).Load(o, "hunter2"))
	quiet := must((&audit.Attribute[string]{Name: "key", QuietRead: true}).Load(o, "hunter2"))
	run(b, "redoubt", func() { must(f.Get(ctx)) })
	run(b, "redoubt-quiet", func() { must(quiet.Get(ctx)) })
	run(b, "redoubt-IsSet", func() { _ = f.IsSet() })
	z := zerolog.New(io.Discard)
	var mu sync.Mutex
	value := "hunter2"
	n := 0
	run(b, "hand-zerolog", func() {
		mu.Lock()
		defer mu.Unlock()
		n++
		z.Info().Time("time", time.Now()).Str("id", strconv.Itoa(n)).Str("action", "read").Str("outcome", "success").
			Dict("actor", zerolog.Dict().Str("id", "alice")).Dict("target", zerolog.Dict().Str("type", "user").Str("id", "u-1")).
			Array("changes", zerolog.Arr().Dict(zerolog.Dict().Str("field", "key").Bool("sensitive", true))).Send()
		_ = value
	})
}
