package scan_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/contrib/nats/scan"
	"github.com/redoubt-go/redoubt/logscan"
)

// An s3 reads objects of a bucket of an S3-compatible store, with path-style
// requests. It does not sign them: the Transport of the client may do so, or
// the bucket may be readable for the network of the workers.
type s3 struct {
	client *http.Client
	bucket string // http://host/bucket
}

// Open opens an object. All requests for it are for the same version.
func (s *s3) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	head, err := s.do(ctx, http.MethodHead, name, http.StatusOK, nil)
	if err != nil {
		return nil, err
	}
	head.Body.Close()
	version := head.Header.Get("ETag")
	store, size := s, head.ContentLength
	rc := scan.Ranged(size, func(offset, end int64) (io.ReadCloser, error) {
		return store.get(ctx, name, version, offset, end)
	})
	return rc, nil
}

// get reads the bytes of an object from offset up to end.
func (s *s3) get(ctx context.Context, name, version string, offset, end int64) (io.ReadCloser, error) {
	resp, err := s.do(ctx, http.MethodGet, name, http.StatusPartialContent, http.Header{
		"Range":    {fmt.Sprintf("bytes=%d-%d", offset, end-1)},
		"If-Match": {version},
	})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (s *s3) do(ctx context.Context, method, name string, status int, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.bucket+"/"+name, nil)
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != status {
		resp.Body.Close()
		return nil, fmt.Errorf("s3: %s: %s", method, resp.Status)
	}
	return resp, nil
}

// newS3 starts a store with objects.
func newS3(objects map[string]string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := objects[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprint(len(text))))
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
	}))
}

// Objects of an S3-compatible store, divided between the workers.
func ExampleRanged() {
	js, stop := exampleServer()
	defer stop()
	server := newS3(map[string]string{
		"/logs/2026-11-28.log": strings.Repeat("level=INFO\n", 1000),
		"/logs/2026-11-29.log": strings.Repeat("level=ERROR\n", 100),
	})
	defer server.Close()
	ctx := context.Background()

	store := &s3{client: server.Client(), bucket: server.URL + "/logs"}
	job := scan.Job[*levels]{
		Name:    "s3",
		Program: "levels/1",
		Scanner: logscan.Scanner{Parser: logscan.Logfmt("level")},
		Open:    store.Open,
		New:     newLevels,
		Task:    2000,
	}
	objects := func(yield func(logscan.Input, error) bool) {
		_ = yield(logscan.Input{Name: "2026-11-28.log"}, nil) && yield(logscan.Input{Name: "2026-11-29.log"}, nil)
	}
	worker := goWork(ctx, job.Work, js)
	total, err := job.Run(ctx, js, objects)
	<-worker
	fmt.Println(total.Items(), err)
	// Output: [{INFO 1000 0} {ERROR 100 0}] <nil>
}
