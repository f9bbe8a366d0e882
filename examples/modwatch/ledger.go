package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// recordVerdicts writes every verdict to the ledger in dir.
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
			Target:  audit.Target{Type: "module", ID: v.Path},
			Attrs: []slog.Attr{
				slog.String("version", v.Version), slog.String("latest", v.Latest), slog.String("update", v.Update),
				slog.String("advisories", strings.Join(v.Advisories, " ")), slog.String("move_to", v.MoveTo),
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A ledgerSummary is the result of the verification of the ledger.
type ledgerSummary struct {
	Records uint64 `json:"records"`
	Root    string `json:"root"`
	Problem string `json:"problem,omitempty"` // none: it verifies
}

func (s *ledgerSummary) String() string {
	if s.Problem != "" {
		return s.Problem
	}
	return fmt.Sprintf("%d records, root %s, verified", s.Records, s.Root)
}

// verifyLedger reads the ledger from its files alone. If the ledger does not
// verify, both the error and the summary contain the reason.
func verifyLedger(ctx context.Context, dir string) (*ledgerSummary, error) {
	report, err := ledger.Verify(ctx, os.DirFS(dir), ledger.VerifyConfig{})
	if err != nil {
		err = fmt.Errorf("the ledger does not verify: %w", err)
		return &ledgerSummary{Problem: err.Error()}, err
	}
	return &ledgerSummary{Records: report.Records, Root: report.Root.String()}, nil
}

// tamper forges record n of the ledger in dir: it improves a verdict.
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
