package loader

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Below the probes' timeout of five seconds.
const checkTimeout = 4 * time.Second

// serve answers probes and metrics on a listener until the returned function is called.
func (l *Loader) serve(listener net.Listener) (stop func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /proven", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(l.isProven(r.Context()))
	})
	mux.HandleFunc("GET /healthy", func(w http.ResponseWriter, _ *http.Request) {
		answer(w)(l.state.isHealthy())
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, l.metrics())
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: checkTimeout}
	go func() { _ = server.Serve(listener) }() // ends with Close
	return func() { _ = server.Close() }
}

// isProven looks at Ollama again: between two looks of the watch it may have lost the model.
func (l *Loader) isProven(ctx context.Context) (bool, string) {
	if proven, reason := l.state.isProven(); !proven {
		return false, reason
	}
	if _, err := l.look(ctx); err != nil {
		return false, err.Error()
	}
	return true, ""
}

func answer(w http.ResponseWriter) func(bool, string) {
	return func(yes bool, reason string) {
		if !yes {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, reason)
	}
}

// No is the answer to a check, with the reason.
type No struct{ Reason string }

func (n *No) Error() string { return n.Reason }

// check asks the loader that listens at address.
func check(ctx context.Context, address, question string) error {
	if question != "proven" && question != "healthy" {
		return fmt.Errorf("--check knows proven and healthy, not %q", question)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/"+question, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return &No{Reason: fmt.Sprintf("the loader doesn't answer: %v", err)}
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	reason, _ := io.ReadAll(response.Body)
	return &No{Reason: strings.TrimSpace(string(reason))}
}
