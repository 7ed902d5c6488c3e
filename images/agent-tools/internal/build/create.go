package build

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"moltghost.dev/agent-tools/internal/gguf"
	"moltghost.dev/agent-tools/internal/ollama"
	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/store"
)

// Ollama looks at the name of a file for its kind.
const sourceFile = "model.gguf"

// creation is a request to /api/create.
type creation struct {
	Model      string            `json:"model"`
	Files      map[string]string `json:"files"`
	Quantize   string            `json:"quantize,omitempty"`
	Template   string            `json:"template,omitempty"`
	System     string            `json:"system,omitempty"`
	Parameters map[string]any    `json:"parameters,omitempty"`
}

// create has Ollama make the model, quantized if asked.
func (b *build) create(ctx context.Context, head gguf.Head) error {
	request := creation{
		Model: store.Model, Files: map[string]string{sourceFile: store.Digest(b.SHA256)},
		Quantize: b.Quantize, System: b.Options.System,
	}
	if !head.HasTemplate {
		request.Template, request.Parameters = b.Options.Template, b.Options.Parameters
	}
	if !head.HasTemplate && request.Template == "" {
		b.report.Message(stageQuantize, "neither the source nor the options have a chat template: "+
			"the model won't see a system prompt")
	}
	meter := &stream{report: b.report}
	err := b.ollama.Create(ctx, request, meter.on)
	var answer *ollama.APIError
	if errors.As(err, &answer) {
		return b.refused(answer)
	}
	return err
}

func (b *build) refused(answer *ollama.APIError) error {
	failure := &progress.Failure{
		What: fmt.Sprintf("Ollama can't make %s of %s: %s", b.Quantization, b.source(), answer.Message),
		Next: "see the log of the container `ollama`",
	}
	if strings.Contains(answer.Message, "no space left") {
		failure.Next = "the job's volume is too small: it needs the source and twice the result"
	}
	return failure
}

// stream turns Ollama's lines into ours: bytes where it tells them, else each status once.
type stream struct {
	report *progress.Reporter
	last   string
	meter  *progress.Meter
}

func (s *stream) on(status ollama.Status) {
	if status.Status != s.last {
		s.last, s.meter = status.Status, nil
		s.report.Message(stageQuantize, status.Status)
	}
	if status.Total > 0 {
		if s.meter == nil {
			s.meter = s.report.NewMeter(stageQuantize, status.Total)
		}
		s.meter.Set(status.Completed)
	}
}
