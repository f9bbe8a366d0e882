package debug

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// patience is the time for which a client may leave an event unread.
const patience = 10 * time.Second

// stream sends the state of all objects after each Interval, as server-sent
// events, until the client or the Handler ends it.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request) {
	if n := h.streams.Add(1); n > int64(h.config.Load().MaxStreams) || h.closed.Err() != nil {
		h.streams.Add(-1)
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many open pages", http.StatusServiceUnavailable)
		return
	}
	defer h.streams.Add(-1)
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies must not wait for the end
	if r.Method == http.MethodHead {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-h.closed.Done():
			return
		case <-timer.C:
		}
		c := h.config.Load()
		objects := look(c.Objects)
		text, bad := summary(objects)
		event, err := json.Marshal(struct {
			Time    string `json:"time"`
			Summary string `json:"summary"`
			Bad     bool   `json:"bad"`
			Objects []view `json:"objects"`
		}{time.Now().Format(time.TimeOnly), text, bad, views(objects, false)})
		if err != nil {
			return
		}
		// A ResponseWriter without deadlines ends with its request.
		_ = control.SetWriteDeadline(time.Now().Add(c.Interval + patience))
		if _, err := fmt.Fprintf(w, "data: %s\n\n", event); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		timer.Reset(c.Interval)
	}
}
