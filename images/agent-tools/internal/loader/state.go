package loader

import (
	"sync"
	"time"

	"moltghost.dev/agent-tools/internal/ollama"
)

// A load that was lost is made good while requests wait in Ollama's queue. A longer wait is worse
// than being told that nobody is there: OpenClaw's tries again hide about a minute.
const reloadGrace = time.Minute

// state is what probes and metrics see.
type state struct {
	mu sync.Mutex
	// proven: the last look at Ollama found the model as planned, after this loader warmed it.
	proven bool
	// out: what serves is wrong, or keeps failing.
	out    bool
	reason string
	// reloading since then, if not zero.
	reloading time.Time

	model       ollama.Running
	loadSeconds float64
	reloads     int
	failures    int
}

func (s *state) foundProven(model ollama.Running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proven, s.out, s.reason, s.model = true, false, "", model
	s.reloading = time.Time{}
}

func (s *state) foundReloading(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proven, s.reason, s.reloading = false, reason, time.Now()
	s.reloads++
}

func (s *state) foundFailing(reason string, out bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proven, s.reason = false, reason
	s.out = s.out || out
	s.failures++
}

// waiting notes why there is no proof yet.
func (s *state) waiting(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reason = reason
}

func (s *state) loaded(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loadSeconds = took.Seconds()
}

// isProven says whether the model is loaded as planned, and why not.
func (s *state) isProven() (bool, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proven, s.reason
}

// isHealthy says whether the pod may get requests, and why not.
func (s *state) isHealthy() (bool, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out {
		return false, s.reason
	}
	slow := !s.reloading.IsZero() && time.Since(s.reloading) > reloadGrace
	return !slow, s.reason
}
