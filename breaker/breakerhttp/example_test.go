package breakerhttp_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
)

func Example() {
	server := httptest.NewServer(http.NotFoundHandler())
	url := server.URL
	server.Close() // no server listens

	perHost := breaker.NewGroup(breaker.GroupConfig[string]{})
	client := &http.Client{
		Transport: &breakerhttp.Transport{Gate: breakerhttp.PerHost(perHost)},
		Timeout:   10 * time.Second,
	}
	fetch := func(url string) ([]byte, error) {
		resp, err := client.Get(url)
		if err != nil {
			return nil, err // is breaker.ErrOpen if nothing was sent
		}
		defer resp.Body.Close()
		return io.ReadAll(resp.Body)
	}
	for range 7 {
		_, err := fetch(url)
		fmt.Println(errors.Is(err, breaker.ErrOpen))
	}
	// Output:
	// false
	// false
	// false
	// false
	// false
	// true
	// true
}

func ExampleTransport() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()

	b := breaker.New(breaker.Config{Name: "billing", MinCalls: 3})
	client := &http.Client{Transport: &breakerhttp.Transport{Gate: breakerhttp.One(b)}}
	for range 5 {
		resp, err := client.Get(server.URL)
		if err != nil {
			fmt.Println("refused:", errors.Is(err, breaker.ErrOpen))
			continue
		}
		fmt.Println(resp.Status)
		resp.Body.Close()
	}
	// Output:
	// 503 Service Unavailable
	// 503 Service Unavailable
	// 503 Service Unavailable
	// refused: true
	// refused: true
}

func ExampleClassify() {
	// Some services answer 404 when they have lost their data.
	rt := &breakerhttp.Transport{Classify: func(resp *http.Response, err error) breaker.Outcome {
		if err == nil && resp.StatusCode == http.StatusNotFound {
			return breaker.OutcomeFailure
		}
		return breakerhttp.Classify(resp, err)
	}}
	for _, code := range []int{200, 404, 429, 500} {
		fmt.Println(code, rt.Classify(&http.Response{StatusCode: code}, nil))
	}
	// Output:
	// 200 success
	// 404 failure
	// 429 ignored
	// 500 failure
}

func ExamplePerHost() {
	g := breaker.NewGroup(breaker.GroupConfig[string]{Config: func(host string) breaker.Config {
		return breaker.Config{Name: host}
	}})
	gate := breakerhttp.PerHost(g)
	for _, url := range []string{"http://a.example.com/x", "http://A.example.com/y", "http://b.example.com/"} {
		gate(httptest.NewRequest(http.MethodGet, url, nil))
	}
	for origin := range g.All() {
		fmt.Println(origin)
	}
	// Unordered output:
	// http://a.example.com
	// http://b.example.com
}

func ExampleOne() {
	b := breaker.New(breaker.Config{Name: "billing"})
	client := &http.Client{Transport: &breakerhttp.Transport{Gate: breakerhttp.One(b)}}
	b.ForceOpen()
	_, err := client.Get("http://billing.example.com/")
	fmt.Println(errors.Is(err, breaker.ErrOpen))
	// Output: true
}

func ExampleRefuse() {
	billing := breaker.New(breaker.Config{Name: "billing"})
	client := &http.Client{Transport: &breakerhttp.Transport{Gate: breakerhttp.One(billing)}}
	handler := func(w http.ResponseWriter, r *http.Request) {
		resp, err := client.Get("http://billing.example.com/")
		switch {
		case breakerhttp.Refuse(w, err):
			return // answered with status 503 and Retry-After
		case err != nil:
			http.Error(w, "billing failed", http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		io.Copy(w, resp.Body)
	}

	billing.Trip(2500*time.Millisecond, nil)
	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Header().Get("Retry-After"))
	fmt.Print(w.Body)
	// Output:
	// 503 3
	// {"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","title":"Service unavailable","status":503}
}

func ExamplePool() {
	eu := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer eu.Close()
	us := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s from us", r.URL.Path)
	}))
	defer us.Close()

	regions := breaker.NewPool(breaker.PoolConfig[string]{
		Endpoints: []string{eu.URL, us.URL}, // such as "https://eu.example.com"
		Ordered:   true,
	})
	client := &http.Client{Transport: &breakerhttp.Pool{Endpoints: regions}}
	for range 2 {
		resp, err := client.Get("https://api.example.com/users/7")
		if err != nil {
			fmt.Println(err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("%d %q\n", resp.StatusCode, body)
	}
	// Output:
	// 503 ""
	// 200 "/users/7 from us"
}
