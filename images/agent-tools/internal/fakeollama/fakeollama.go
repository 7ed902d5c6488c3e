// Package fakeollama is an Ollama for tests: it loads and reloads by the rules of 0.33
// (server/sched.go), lists what is loaded as /api/ps does, and fails on demand.
package fakeollama

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Model is what the server has and how it loads it.
type Model struct {
	Digest string
	// Trained context in tokens.
	Trained int
	Size    int64
	// SizeVRAM when it is loaded.
	SizeVRAM int64
}

// Server is one Ollama.
type Server struct {
	URL string

	mu     sync.Mutex
	model  Model
	loaded *launch
	loads  int
	bodies []map[string]any
	broken string
	mute   bool
	hang   bool
	server *httptest.Server
	mux    *http.ServeMux
}

// launch is what decides whether a request can use a loaded model.
type launch struct {
	context int
	shift   bool
}

// New starts a server.
func New(t *testing.T, model Model) *Server {
	t.Helper()
	mux := http.NewServeMux()
	s := &Server{model: model, mux: mux}
	mux.HandleFunc("POST /api/generate", s.generate)
	mux.HandleFunc("POST /api/chat", s.generate)
	mux.HandleFunc("POST /api/show", s.show)
	mux.HandleFunc("GET /api/ps", s.ps)
	s.server = httptest.NewServer(mux)
	s.URL = s.server.URL
	t.Cleanup(s.server.Close)
	return s
}

// Kill ends the server: whoever connects is refused.
func (s *Server) Kill() { s.server.Close() }

// SetModel changes what lies on the disk; what is loaded goes.
func (s *Server) SetModel(model Model) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.model, s.loaded = model, nil
}

// Unload forgets what is loaded, as a request with keep_alive 0 does.
func (s *Server) Unload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = nil
}

// Break makes loads fail with that message; "" mends it.
func (s *Server) Break(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = message
}

// Mute makes answers empty.
func (s *Server) Mute() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = true
}

// Hang makes whoever asks for an answer wait until it goes.
func (s *Server) Hang() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang = true
}

// Loads is how often the model was loaded.
func (s *Server) Loads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads
}

// Bodies are the requests to /api/generate and /api/chat.
func (s *Server) Bodies() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies
}

func (s *Server) generate(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	empty := body["prompt"] == nil && body["messages"] == nil
	if hang && !empty {
		<-r.Context().Done()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, body)
	if keep, ok := body["keep_alive"].(float64); ok && keep == 0 && empty {
		s.loaded = nil
		write(w, map[string]any{"done": true, "done_reason": "unload"})
		return
	}
	if s.broken != "" {
		fail(w, http.StatusInternalServerError, s.broken)
		return
	}
	s.schedule(body)
	switch {
	case empty:
		write(w, map[string]any{"done": true, "done_reason": "load"})
	case s.mute:
		write(w, map[string]any{"done": true, "done_reason": "stop"})
	default:
		write(w, map[string]any{"done": true, "done_reason": "length", "eval_count": 1})
	}
}

// schedule loads the model unless it is loaded the way that the request wants it.
func (s *Server) schedule(body map[string]any) {
	wanted := launch{context: 4096, shift: true}
	if options, ok := body["options"].(map[string]any); ok {
		if context, ok := options["num_ctx"].(float64); ok {
			wanted.context = int(context)
		}
	}
	if s.model.Trained > 0 {
		wanted.context = min(wanted.context, s.model.Trained)
	}
	if shift, ok := body["shift"].(bool); ok {
		wanted.shift = shift
	}
	if s.loaded == nil || *s.loaded != wanted {
		s.loaded = &wanted
		s.loads++
	}
}

func (s *Server) show(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := map[string]any{"general.architecture": "llama"}
	if s.model.Trained > 0 {
		info["llama.context_length"] = s.model.Trained
	}
	write(w, map[string]any{"model_info": info})
}

func (s *Server) ps(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	models := []any{}
	if s.loaded != nil {
		models = append(models, map[string]any{
			"name": "moltghost/agent:current", "digest": s.model.Digest, "size": s.model.Size,
			"size_vram": s.model.SizeVRAM, "context_length": s.loaded.context,
		})
	}
	write(w, map[string]any{"models": models})
}

func write(w http.ResponseWriter, answer any) {
	_ = json.NewEncoder(w).Encode(answer)
}

func fail(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":%q}`, message)
}
