package redoubtprometheus_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redoubt-go/redoubt/breaker"
	redoubtprometheus "github.com/redoubt-go/redoubt/contrib/prometheus"
)

// Ten thousand breakers with 24 series each: a scrape of them, its part in the
// Registry, and the part of this package in that.
const objects = 10_000

func collectors(n int) []prometheus.Collector {
	all := make([]prometheus.Collector, n)
	for i := range all {
		all[i] = redoubtprometheus.NewCollector(fmt.Sprint("b", i), breaker.New(breaker.Config{}))
	}
	return all
}

func BenchmarkCollect(b *testing.B) {
	all, ch := collectors(objects), make(chan prometheus.Metric, 1000)
	defer close(ch)
	n := 0
	done := make(chan struct{})
	go func() {
		for range ch {
			if n++; n%(24*objects) == 0 {
				done <- struct{}{}
			}
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range all {
			c.Collect(ch)
		}
		<-done
	}
	b.ReportMetric(24*objects, "series/op")
}

func registry(b *testing.B) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors(objects)...)
	families, err := reg.Gather()
	n := 0
	for _, f := range families {
		n += len(f.GetMetric())
	}
	if err != nil || n != 24*objects {
		b.Fatalf("%d series, %v", n, err)
	}
	b.ReportAllocs()
	return reg
}

func BenchmarkGather(b *testing.B) {
	reg := registry(b)
	for b.Loop() {
		if _, err := reg.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScrape(b *testing.B) {
	handler := promhttp.HandlerFor(registry(b), promhttp.HandlerOpts{DisableCompression: true})
	for b.Loop() {
		w := discarding{httptest.NewRecorder()}
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}

type discarding struct{ *httptest.ResponseRecorder }

func (discarding) Write(p []byte) (int, error) { return io.Discard.Write(p) }
