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

// actions returns the changes that an object can make.
func actions(value any) []action {
	switch v := value.(type) {
	case *breaker.Breaker:
		return []action{without("force-open", v.ForceOpen), without("force-closed", v.ForceClosed), without("reset", v.Reset)}
	case *ratelimit.Limiter:
		c := v.Config()
		return []action{limits(join(c.Limits), func(list []ratelimit.Limit) error {
			c.Limits = list
			return v.Set(c)
		}), without("reset", v.Reset)}
	case *ratelimit.Window:
		c := v.Config()
		return []action{limit(c.Limit, func(l ratelimit.Limit) error { c.Limit = l; return v.Set(c) })}
	case *ratelimit.Counter:
		c := v.Config()
		return []action{limit(c.Limit, func(l ratelimit.Limit) error { c.Limit = l; return v.Set(c) })}
	case *bulkhead.Bulkhead:
		c := v.Config()
		return []action{{"limit", "such as 20", strconv.Itoa(c.Limit), func(value string) (err error) {
			if c.Limit, err = strconv.Atoi(value); err != nil || c.Limit < 1 {
				return fmt.Errorf("debug: limit is %q, want a whole number from 1", value)
			}
			return v.Set(c)
		}}}
	}
	var list []action
	if v, ok := value.(interface {
		Config() ratelimit.KeyedConfig
		Set(ratelimit.KeyedConfig) error
	}); ok {
		if c := v.Config(); len(c.Quotas) == 0 {
			now := c.Limits
			if c.Limit != (ratelimit.Limit{}) {
				now = append([]ratelimit.Limit{c.Limit}, now...)
			}
			list = append(list, limits(join(now), func(limits []ratelimit.Limit) error {
				c.Limit, c.Limits = ratelimit.Limit{}, limits
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
func limits(now string, set func([]ratelimit.Limit) error) action {
	return action{"limit", "such as 100/s burst 20, 5000/h", now, func(value string) error {
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

func limit(now ratelimit.Limit, set func(ratelimit.Limit) error) action {
	return action{"limit", "such as 100/m", now.String(), func(value string) error {
		l, err := ratelimit.ParseLimit(value)
		if err != nil {
			return err
		}
		return set(l)
	}}
}

func join(limits []ratelimit.Limit) string {
	texts := make([]string, len(limits))
	for i, l := range limits {
		texts[i] = l.String()
	}
	return strings.Join(texts, ", ")
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
		fmt.Fprintf(w, "%s: %s\n", asked.Object, strings.TrimSpace(asked.Name+" "+asked.Value))
	}
}
