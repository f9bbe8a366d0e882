package scan_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/redoubt-go/redoubt/contrib/nats/scan"
	"github.com/redoubt-go/redoubt/logscan"
)

// An object counts the ranges that are open.
type object struct {
	text  string
	gets  []string
	open  int
	short int // bytes that are missing at the end of each range
	err   error
}

func (o *object) get(offset, end int64) (io.ReadCloser, error) {
	o.gets = append(o.gets, fmt.Sprintf("%d-%d", offset, end))
	if o.err != nil {
		return nil, o.err
	}
	o.open++
	return &objectRange{strings.NewReader(o.text[offset : end-int64(o.short)]), o}, nil
}

type objectRange struct {
	io.Reader
	o *object
}

func (r *objectRange) Close() error {
	r.o.open--
	return nil
}

func TestRangedIsAReader(t *testing.T) {
	text := strings.Repeat("0123456789", 30_000)
	o := &object{text: text}
	rc := scan.Ranged(int64(len(text)), o.get)
	if err := iotest.TestReader(rc, []byte(text)); err != nil {
		t.Error(err)
	}
	if err := rc.Close(); err != nil || o.open != 0 {
		t.Errorf("%v, %d ranges are open", err, o.open)
	}
}

func TestRangedReadsOnlyItsPart(t *testing.T) {
	o := &object{text: strings.Repeat("x", 20<<20)}
	rc := scan.Ranged(20<<20, o.get)
	if _, err := io.ReadFull(rc, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if end, err := rc.Seek(0, io.SeekEnd); err != nil || end != 20<<20 {
		t.Errorf("the end is %d, %v", end, err)
	}
	if _, err := rc.Seek(10<<20, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, rc); n != 10<<20 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	rc.Close()
	checkEqual(t, o.gets, []string{"0-65536", "10485760-18874368", "18874368-20971520"})
	checkEqual(t, o.open, 0)
}

func TestRangedErrors(t *testing.T) {
	o := &object{text: "0123456789", short: 1}
	rc := scan.Ranged(10, o.get)
	_, err := io.ReadAll(rc)
	checkIs(t, err, io.ErrUnexpectedEOF)
	rc.Close()
	checkEqual(t, o.open, 0)
	broken := errors.New("broken")
	rc = scan.Ranged(10, (&object{err: broken}).get)
	_, err = rc.Read(make([]byte, 1))
	checkIs(t, err, broken)
	if _, err := rc.Seek(-1, io.SeekStart); err == nil {
		t.Error("no error for a negative offset")
	}
	if n, err := scan.Ranged(-1, o.get).Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("got %d, %v", n, err)
	}
}

// The workers of a part of an object load that part and its beginning only.
func TestPartsOfObjectsAreLoadedOnce(t *testing.T) {
	text := strings.Repeat("a line of a log\n", 1<<17) // 2 MiB
	server := newS3(map[string]string{"/logs/a": text})
	defer server.Close()
	var loaded atomic.Int64
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := server.Client().Transport.RoundTrip(r)
		if err == nil && r.Method == http.MethodGet {
			loaded.Add(resp.ContentLength)
		}
		return resp, err
	})}
	store := &s3{client: client, bucket: server.URL + "/logs"}
	js := start(t)
	j := job("loaded", newText)
	j.Open, j.Task = store.Open, 512<<10
	j.Ahead = 1
	stop := work(t, js, j, 1)
	got, err := j.Run(deadline(t), js, func(yield func(logscan.Input, error) bool) { yield(logscan.Input{Name: "a"}, nil) })
	stop()
	if err != nil {
		t.Fatal(err)
	}
	checkForm(t, form(t, got), []byte(text))
	// The coordinator and each task load the first 64 KiB. A range that is open
	// at the end of a task was asked for, and is hardly sent.
	if n := loaded.Load(); n > 7<<20 {
		t.Errorf("%d bytes were asked for, of %d", n, len(text))
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An object that is replaced between two requests is an error, not a mixture.
func TestReplacedObject(t *testing.T) {
	objects := map[string]string{"/logs/a": strings.Repeat("x", 100_000)}
	server := newS3(objects)
	defer server.Close()
	store := &s3{client: server.Client(), bucket: server.URL + "/logs"}
	rc, err := store.Open(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	objects["/logs/a"] = strings.Repeat("y", 100_001)
	if _, err := io.ReadAll(rc); err == nil || !strings.Contains(err.Error(), "412") {
		t.Errorf("got %v", err)
	}
}

func TestClip(t *testing.T) {
	path := t.TempDir() + "/a"
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		open func() io.ReadCloser
		file bool
	}{
		{"file", func() io.ReadCloser { f, _ := os.Open(path); return f }, true},
		{"fs", func() io.ReadCloser { f, _ := fstest.MapFS{"a": {Data: []byte("0123456789")}}.Open("a"); return f }, true},
		{"seeker", func() io.ReadCloser { return scan.Ranged(10, (&object{text: "0123456789"}).get) }, false},
		{"stream", func() io.ReadCloser { return stream{io.NopCloser(strings.NewReader("0123456789"))} }, false},
	} {
		for size, want := range map[int64]string{-1: "0123456789", 0: "", 4: "0123", 10: "0123456789"} {
			rc, err := scan.Clip(test.open(), size)
			if err != nil {
				t.Fatal(err)
			}
			if test.name != "stream" {
				err = iotest.TestReader(rc, []byte(want))
			} else if got, e := io.ReadAll(rc); string(got) != want {
				err = fmt.Errorf("got %q, %w", got, e)
			}
			if err != nil {
				t.Errorf("%s, %d: %v", test.name, size, err)
			}
			f, ok := rc.(fs.File)
			if _, at := rc.(io.ReaderAt); ok && at != test.file && size >= 0 {
				t.Errorf("%s, %d: ReaderAt %v", test.name, size, at)
			}
			if ok && test.file && size >= 0 {
				if info, err := f.Stat(); err != nil || info.Size() != size || !info.Mode().IsRegular() {
					t.Errorf("%s, %d: got %v, %v", test.name, size, info, err)
				}
			}
			rc.Close()
		}
		rc, err := scan.Clip(test.open(), 11)
		if test.name == "stream" && err == nil {
			_, err = io.ReadAll(rc)
		}
		checkIs(t, err, io.ErrUnexpectedEOF)
	}
}
