package loader

import (
	"fmt"
	"strings"
)

// metrics in Prometheus' text format.
func (l *Loader) metrics() string {
	proven, _ := l.state.isProven()
	healthy, _ := l.state.isHealthy()
	s := &l.state
	s.mu.Lock()
	defer s.mu.Unlock()
	var out strings.Builder
	write := func(name, kind, help string, value float64) {
		fmt.Fprintf(&out, "# HELP moltghost_loader_%[1]s %[2]s\n# TYPE moltghost_loader_%[1]s %[3]s\n"+
			"moltghost_loader_%[1]s %[4]g\n", name, help, kind, value)
	}
	write("proven", "gauge", "Whether the model is loaded as planned.", number01(proven))
	write("healthy", "gauge", "Whether the pod may get requests.", number01(healthy))
	write("predicted_bytes", "gauge", "Memory that the plan expects the model to take.",
		float64(l.config.PredictedBytes))
	write("memory_bytes", "gauge", "Memory that Ollama says the model takes.", float64(s.model.Size))
	write("gpu_memory_bytes", "gauge", "The part of it on GPUs.", float64(s.model.SizeVRAM))
	write("context_tokens", "gauge", "Context that the model is loaded with.",
		float64(s.model.ContextLength))
	write("load_seconds", "gauge", "How long the last load took.", s.loadSeconds)
	write("reloads_total", "counter", "Loads that were lost and made good.", float64(s.reloads))
	write("failures_total", "counter", "Looks at Ollama that failed.", float64(s.failures))
	return out.String()
}

func number01(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
