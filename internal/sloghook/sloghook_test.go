package sloghook_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/redoubt-go/redoubt/internal/sloghook"
)

type event struct{ name string }

func (e event) LogValue() slog.Value {
	if e.name == "" {
		panic("LogValue of an event below the level")
	}
	return slog.GroupValue(slog.String("name", e.name))
}

func describe(e event) (slog.Level, string) {
	if e.name == "" {
		return slog.LevelDebug, "nothing"
	}
	return slog.LevelWarn, "happened"
}

func TestEventsBecomeFlatRecords(t *testing.T) {
	var out bytes.Buffer
	hook := sloghook.New(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})), describe)
	hook(context.Background(), event{"x"})
	hook(context.Background(), event{}) // its level is not enabled
	if got, want := out.String(), "level=WARN msg=happened name=x\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNilMeansTheDefaultOfTheMoment(t *testing.T) {
	hook := sloghook.New(nil, describe)
	var out bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	defer slog.SetDefault(old)
	hook(context.Background(), event{"x"})
	if !bytes.Contains(out.Bytes(), []byte("msg=happened name=x")) {
		t.Errorf("got %q, want the event in the default logger", out.String())
	}
}
