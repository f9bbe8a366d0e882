package siem

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/internal/retryafter"
)

// HTTPConfig configures an [HTTP] sink.
type HTTPConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Name identifies the sink in errors. It may be empty.
	Name string

	// URL receives the events in POST requests. Required. Errors contain
	// nothing of it but the host.
	URL string

	// Format is the format of the requests. Required.
	Format Format

	// Authorization is the header field of that name, such as "Splunk" and a
	// token. It may be empty.
	Authorization audit.Secret[string]

	// Header contains further header fields. Errors do not contain it.
	Header http.Header

	// MaxBody bounds the body of a request in bytes. More events are sent in
	// several requests. An event over the bound loses attributes, changes and
	// the ends of its texts. Zero means 1 MiB. The smallest bound is 8 KiB.
	MaxBody int

	// Timeout bounds one call of WriteEvents with all its tries. Zero means 30
	// seconds. Negative means no limit other than the context.
	Timeout time.Duration

	// Client sends the requests. Nil means a client that follows no redirects
	// and gives up on a try after 10 seconds.
	Client *http.Client
}

// minBody is room for the bounded fields of an event.
const minBody = 8 << 10

// maxResponse bounds the part of a response that is read.
const maxResponse = 4 << 20

// Validate reports everything that is wrong with c. The error matches
// [audit.ErrInvalid].
func (c HTTPConfig) Validate() error {
	var errs []error
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		errs = append(errs, invalid("http: URL is not an absolute HTTP URL")) // it may contain a token
	}
	if c.Format.append == nil {
		errs = append(errs, invalid("http: Format is missing"))
	}
	if c.MaxBody != 0 && c.MaxBody < minBody {
		errs = append(errs, invalid("http: MaxBody is %d, want at least %d", c.MaxBody, minBody))
	}
	return errors.Join(errs...)
}

// HTTP is a sink that sends events in POST requests. It tries again after
// network errors and the statuses 408, 429 and 5xx, and waits as long as
// Retry-After says. Every try sends the same IDs, so that a store can recognize
// events that it already has. Put an [audit.Buffer] in front of it: a batch
// becomes one request.
type HTTP struct {
	config func() HTTPConfig // a closure, which printers of structs cannot enter
	op     string
}

// NewHTTP returns a sink for c.URL. It panics with the error of
// [HTTPConfig.Validate].
func NewHTTP(c HTTPConfig) *HTTP {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	c.MaxBody, c.Header = cmp.Or(c.MaxBody, 1<<20), c.Header.Clone()
	if c.Client == nil {
		c.Client = &http.Client{
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &HTTP{func() HTTPConfig { return c }, opOf("http", c.Name)}
}

// WriteEvents sends the events. It tries again until the context or the timeout
// ends.
//
// Errors: [audit.ErrFailed] if no event was stored, [audit.ErrUncertain]
// otherwise, each with the last error.
func (h *HTTP) WriteEvents(ctx context.Context, events []*audit.Event) error {
	c := h.config()
	t := newTries(ctx, c.Timeout, h.op, nil)
	defer t.end()
	return h.write(t, &c, events)
}

func (h *HTTP) write(t *tries, c *HTTPConfig, events []*audit.Event) error {
	for len(events) > 0 {
		body := c.Format.append(events, nil)
		if len(body) > c.MaxBody {
			if len(events) > 1 {
				return h.halves(t, c, events)
			}
			body = encodeWithin(func(e *audit.Event, _ []byte) []byte { return c.Format.append([]*audit.Event{e}, nil) }, events[0], c.MaxBody)
		}
		rest, after, err := h.post(t, c, events, body)
		switch {
		case err == nil:
			t.unsure = true // from here on, an error means that a part was stored
			return nil
		case errors.Is(err, errTooLarge) && len(events) > 1:
			return h.halves(t, c, events)
		case len(rest) == 0:
			return t.failed(err)
		}
		if err := t.wait(err, after); err != nil {
			return err
		}
		events = rest
	}
	return nil
}

func (h *HTTP) halves(t *tries, c *HTTPConfig, events []*audit.Event) error {
	n := len(events) / 2
	if err := h.write(t, c, events[:n]); err != nil {
		return err
	}
	return h.write(t, c, events[n:])
}

var errTooLarge = errors.New("request too large")

// post sends one request. Rest contains the events for another try, and is
// empty if another try is of no use.
func (h *HTTP) post(t *tries, c *HTTPConfig, events []*audit.Event, body []byte) (rest []*audit.Event, after time.Duration, err error) {
	r, err := http.NewRequestWithContext(t.ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return nil, 0, errors.New("request not made")
	}
	for k, v := range c.Header {
		r.Header[k] = slices.Clone(v)
	}
	r.Header.Set("Content-Type", c.Format.contentType)
	if a := c.Authorization.Reveal(); a != "" {
		r.Header.Set("Authorization", a)
	}
	resp, err := c.Client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL
		}
		t.unsure = true
		return events, 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	switch status := resp.StatusCode; {
	case status >= 200 && status < 300:
		if err != nil {
			t.unsure = true
			return events, 0, err
		}
		if c.Format.check == nil {
			return nil, 0, nil
		}
		stored := false
		rest, stored, err = c.Format.check(events, answer)
		t.unsure = t.unsure || stored
		return rest, 0, err
	case status == http.StatusRequestEntityTooLarge:
		return nil, 0, errTooLarge
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		t.unsure = t.unsure || status >= 500 && status != http.StatusServiceUnavailable && status != http.StatusNotImplemented
		after, _ := retryafter.Parse(resp.Header, time.Now())
		return events, after, fmt.Errorf("status %d", status)
	default:
		return nil, 0, fmt.Errorf("status %d: %s", status, quote.Text(string(answer)))
	}
}
