package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// recordVerdicts writes every verdict to the ledger in dir: who asked what, and what came out.
func recordVerdicts(ctx context.Context, dir string, verdicts []verdict) (err error) {
	led, err := ledger.Open(ctx, dir, ledger.Config{Origin: "modwatch", Sync: ledger.SyncNever})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	log := audit.New(audit.Config{Sink: led})
	ctx = audit.WithActor(ctx, audit.Actor{ID: "modwatch", Type: "program"})
	for _, v := range verdicts {
		err := log.Record(ctx, audit.Event{
			Action:  "module.verdict",
			Outcome: audit.Success,
			Target:  audit.Target{Type: "module", ID: v.path},
			Attrs: []slog.Attr{
				slog.String("version", v.version), slog.String("latest", v.latest), slog.String("step", v.step),
				slog.String("advisories", strings.Join(v.advisories, " ")), slog.String("move_to", v.moveTo),
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// printLedger verifies the ledger from its files alone and says what came out.
func printLedger(ctx context.Context, w io.Writer, dir string) error {
	report, err := ledger.Verify(ctx, os.DirFS(dir), ledger.VerifyConfig{})
	if err != nil {
		return fmt.Errorf("the ledger does not verify: %w", err)
	}
	fmt.Fprintf(w, "ledger: %d records, root %v, verified\n", report.Records, report.Root)
	return nil
}

// tamper forges record n of the ledger in dir, as somebody would who wants a verdict to read better than it was.
func tamper(dir string, n int) error {
	seq := fmt.Appendf(nil, `{"seq":%d,`, n)
	files, err := fs.Glob(os.DirFS(dir), "*.jsonl")
	for _, name := range files {
		name = filepath.Join(dir, name)
		text, readErr := os.ReadFile(name)
		if start := bytes.Index(text, seq); readErr == nil && start >= 0 {
			line := text[start:]
			i := bytes.Index(line, []byte(`"success"`))
			if i < 0 {
				continue
			}
			copy(line[i:], `"failure"`)
			return os.WriteFile(name, text, 0o600)
		}
	}
	return errors.Join(err, fmt.Errorf("there is no verdict %d to tamper with", n))
}
