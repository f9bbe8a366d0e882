package debug

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

// An action is a change of an object.
type action struct {
	Name  string
	Value string // describes the value that the action needs; empty if it needs none
	Now   string // the value in force
	do    func(value string) error
}

func without(name string, do func()) action {
	return action{Name: name, do: func(string) error { do(); return nil }}
}

// actions returns the changes that an object can make. A change reads the
// configuration when it is made: the program may have changed it since.
func actions(value any) []action {
	switch v := value.(type) {
	case *breaker.Breaker:
		return []action{without("force-open", v.ForceOpen), without("force-closed", v.ForceClosed), without("reset", v.Reset)}
	case *ratelimit.Limiter:
		return []action{limits(v.Config().Limits, func(list []ratelimit.Limit) error {
			c := v.Config()
			c.Limits = renamed(list, c.Limits)
			return v.Set(c)
		}), without("reset", v.Reset)}
	case interface { // a Window or a Counter
		Config() ratelimit.WindowConfig
		Set(ratelimit.WindowConfig) error
	}:
		return []action{{"limit", "such as 100/m", v.Config().Limit.String(), func(value string) error {
			c := v.Config()
			l, err := ratelimit.ParseLimit(value)
			if err != nil {
				return err
			}
			c.Limit = l.WithName(c.Limit.Name)
			return v.Set(c)
		}}}
	case *bulkhead.Bulkhead:
		return []action{{"limit", "such as 20", strconv.Itoa(v.Config().Limit), func(value string) error {
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return fmt.Errorf("debug: limit is %s, want a whole number from 1", quote.Text(value))
			}
			c := v.Config()
			c.Limit = n
			return v.Set(c)
		}}}
	}
	var list []action
	if v, ok := value.(interface {
		Config() ratelimit.KeyedConfig
		Set(ratelimit.KeyedConfig) error
	}); ok {
		if c := v.Config(); len(c.Quotas) == 0 {
			list = append(list, limits(all(c), func(limits []ratelimit.Limit) error {
				c := v.Config()
				c.Limit, c.Limits = ratelimit.Limit{}, renamed(limits, all(c))
				return v.Set(c)
			}))
		}
	}
	if v, ok := value.(interface{ Reset(string) }); ok {
		list = append(list, action{Name: "reset", Value: "a key", do: func(key string) error { v.Reset(key); return nil }})
	}
	if v, ok := value.(interface{ Clear() }); ok {
		list = append(list, without("clear", v.Clear))
	}
	return list
}

// limits sets several limits, which are separated by commas.
func limits(now []ratelimit.Limit, set func([]ratelimit.Limit) error) action {
	texts := make([]string, len(now))
	for i, l := range now {
		texts[i] = l.String()
	}
	return action{"limit", "such as 100/s burst 20, 5000/h", strings.Join(texts, ", "), func(value string) error {
		var list []ratelimit.Limit
		for text := range strings.SplitSeq(value, ",") {
			l, err := ratelimit.ParseLimit(strings.TrimSpace(text))
			if err != nil {
				return err
			}
			list = append(list, l)
		}
		return set(list)
	}}
}

// all returns the limits of a key.
func all(c ratelimit.KeyedConfig) []ratelimit.Limit {
	if c.Limit == (ratelimit.Limit{}) {
		return c.Limits
	}
	return append([]ratelimit.Limit{c.Limit}, c.Limits...)
}

// renamed gives limits the names of the limits in their places before.
func renamed(limits, before []ratelimit.Limit) []ratelimit.Limit {
	for i := range min(len(limits), len(before)) {
		limits[i].Name = before[i].Name
	}
	return limits
}

// maxForm is the size of a request for a change.
const maxForm = 64 << 10

// change answers a request for a change.
func (h *Handler) change(w http.ResponseWriter, r *http.Request) {
	c := h.config.Load()
	if err := h.csrf.Check(r); err != nil || c.Authorize == nil {
		http.Error(w, "changes are not allowed", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	asked := Action{Object: r.PostForm.Get("object"), Name: r.PostForm.Get("action"), Value: strings.TrimSpace(r.PostForm.Get("value"))}
	value, ok := find(c.Objects, asked.Object)
	var chosen *action
	if ok {
		for _, a := range actions(value) {
			if a.Name == asked.Name {
				chosen = &a
			}
		}
	}
	actor, refused := c.Authorize(r, asked)
	ctx := audit.WithActor(r.Context(), actor)
	var work error // of the action itself
	guard := audit.Guard{
		Log: c.Audit, Action: "guard.change", Target: audit.Target{Type: "guard", ID: asked.Object},
		Attrs: []slog.Attr{slog.String("change", asked.Name), slog.String("value", asked.Value)},
		Allow: func(context.Context) error { return refused },
	}
	if refused == nil && chosen == nil {
		http.Error(w, "no such object or action", http.StatusNotFound)
		return
	}
	if refused == nil && (asked.Value == "") != (chosen.Value == "") {
		http.Error(w, fmt.Sprintf("%s wants a value: %s", asked.Name, cmp.Or(chosen.Value, "none")), http.StatusBadRequest)
		return
	}
	err := guard.Do(ctx, func(context.Context) error {
		work = chosen.do(asked.Value)
		return work
	})
	switch {
	case refused != nil:
		http.Error(w, "changes are not allowed", http.StatusForbidden)
	case work != nil:
		http.Error(w, work.Error(), http.StatusBadRequest)
	case errors.Is(err, audit.ErrDenied), errors.Is(err, audit.ErrNoActor):
		http.Error(w, "changes are not allowed", http.StatusForbidden)
	case errors.Is(err, audit.ErrUnrecorded):
		http.Error(w, "the change was made, and its outcome could not be recorded", http.StatusInternalServerError)
	case err != nil:
		http.Error(w, "the change cannot be recorded, and was not made", http.StatusServiceUnavailable)
	case format(r) == "html":
		w.Header().Set("Location", "?") // the same page, also below http.StripPrefix
		w.WriteHeader(http.StatusSeeOther)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "%s: %s\n", plain(asked.Object), strings.TrimSpace(asked.Name+" "+plain(asked.Value)))
	}
}
