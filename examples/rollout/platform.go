package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/semver"
)

const (
	maxSessions = 4
	startup     = 50 * time.Millisecond // until a service is healthy
)

// troubles are the services whose wanted version does not start, by
// environment.
var troubles = map[string]string{
	"canary-search/search": "crashed", "production/search": "crashed",
	"production/billing": "crashed", // not seen in the canary
	"production/mail":    "starting",
}

// A status is the answer of the platform about a service.
type status struct {
	Version semver.Version `json:"version"`
	State   string         `json:"state"` // starting, healthy or crashed
}

// A platform pretends to run services. It answers every third request about a
// service with 503.
type platform struct {
	*http.ServeMux
	mu           sync.Mutex
	lockedBy     string
	sessions     map[string]bool
	environments map[string]map[string]*deployment // by name, then by service
	wanted       map[string]semver.Version         // by service
	asked        map[string]int                    // by path
}

type deployment struct {
	version semver.Version
	since   time.Time
}

func newPlatform(plan []change) *platform {
	p := &platform{
		ServeMux: http.NewServeMux(),
		sessions: map[string]bool{}, environments: map[string]map[string]*deployment{"production": {}},
		wanted: map[string]semver.Version{}, asked: map[string]int{},
	}
	for _, c := range plan {
		p.wanted[c.service] = c.to
		p.environments["production"][c.service] = &deployment{version: c.from}
	}
	for pattern, handle := range map[string]func(r *http.Request, body string) (int, string){
		"POST /sessions":   p.login,
		"DELETE /sessions": p.logout,
		"PUT /lock":        p.lock, "DELETE /lock": p.unlock,
		"PUT /environments/{env}": p.create, "DELETE /environments/{env}": p.remove,
		"PUT /environments/{env}/services/{service}": p.deploy, "GET /environments/{env}/services/{service}": p.status,
	} {
		p.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<10))
			p.mu.Lock()
			defer p.mu.Unlock()
			code, text := http.StatusServiceUnavailable, "try again"
			if p.asked[r.URL.Path]++; !strings.Contains(r.URL.Path, "/services/") || p.asked[r.URL.Path]%3 != len(r.URL.Path)%3 {
				code, text = handle(r, string(body))
			}
			w.WriteHeader(code)
			io.WriteString(w, text)
		})
	}
	return p
}

func (p *platform) login(*http.Request, string) (int, string) {
	if len(p.sessions) == maxSessions {
		return http.StatusTooManyRequests, "too many sessions"
	}
	token := rand.Text()
	p.sessions[token] = true
	return http.StatusCreated, token
}

func (p *platform) logout(r *http.Request, _ string) (int, string) {
	delete(p.sessions, r.Header.Get("Session"))
	return http.StatusOK, ""
}

// lock gives the lock to a client that does not have it or has it already: a
// PUT is idempotent.
func (p *platform) lock(_ *http.Request, who string) (int, string) {
	if p.lockedBy != "" && p.lockedBy != who {
		return http.StatusLocked, p.lockedBy + " is at work"
	}
	p.lockedBy = who
	return http.StatusOK, ""
}

func (p *platform) unlock(*http.Request, string) (int, string) {
	p.lockedBy = ""
	return http.StatusOK, ""
}

func (p *platform) create(r *http.Request, _ string) (int, string) {
	p.environments[r.PathValue("env")] = map[string]*deployment{}
	return http.StatusCreated, ""
}

func (p *platform) remove(r *http.Request, _ string) (int, string) {
	delete(p.environments, r.PathValue("env"))
	return http.StatusOK, ""
}

func (p *platform) deploy(r *http.Request, version string) (int, string) {
	env, v := p.environments[r.PathValue("env")], semver.Version{}
	if err := v.UnmarshalText([]byte(version)); err != nil || env == nil || !p.sessions[r.Header.Get("Session")] {
		return http.StatusBadRequest, fmt.Sprintf("no such environment, no session, or no version: %v", err)
	}
	env[r.PathValue("service")] = &deployment{v, time.Now()}
	return http.StatusAccepted, ""
}

func (p *platform) status(r *http.Request, _ string) (int, string) {
	service := r.PathValue("service")
	d := p.environments[r.PathValue("env")][service]
	if d == nil {
		return http.StatusNotFound, "not deployed"
	}
	s := status{d.version, "starting"}
	if time.Since(d.since) >= startup {
		s.State = "healthy"
		trouble := troubles[r.PathValue("env")+"/"+service]
		if trouble != "" && d.version == p.wanted[service] {
			s.State = trouble
		}
	}
	text, _ := json.Marshal(s)
	return http.StatusOK, string(text)
}
