package loader

import (
	"errors"
	"fmt"

	"moltghost.dev/agent-tools/internal/ollama"
)

// Expectation is what /api/ps must say of the model.
type Expectation struct {
	// Digest of the manifest in hex, from store.json.
	Digest string
	// Context in tokens that was asked for.
	Context int
	// Trained context of the model, 0 if unknown. Ollama loads no more than that and goes on, while
	// the runtime counts on the plan's.
	Trained int
	// GPUs of the plan; with none the model is to lie in main memory.
	GPUs int
	// FileBytes are the sizes of the store's files. Where Ollama can't tell how much memory a model
	// takes, it gives the size of the model's file, which proves nothing.
	FileBytes []int64
}

// Ways in which the proof can fail.
var (
	// A mere reload mends these two.
	errNotLoaded = errors.New("the model isn't loaded")
	errContext   = errors.New("the model is loaded with another context")
	// The model would have to leave memory first.
	errResidence = errors.New("the model doesn't lie where the plan says")
	// Nothing that the loader could do mends these two.
	errDigest  = errors.New("another model is loaded")
	errTrained = errors.New("the model was trained for a shorter context than the plan's")
)

// check proves that what runs is what was planned, and returns it.
//
// Models are compared by digest, not by name: after a copy of an alias /api/ps keeps showing the
// name that was loaded first.
func (e Expectation) check(running []ollama.Running) (ollama.Running, error) {
	if len(running) == 0 {
		return ollama.Running{}, errNotLoaded
	}
	for _, model := range running {
		if model.Digest == e.Digest {
			return model, e.checkModel(model)
		}
	}
	return ollama.Running{}, fmt.Errorf("%w: %s has the manifest sha256:%s, the store's is sha256:%s",
		errDigest, running[0].Name, running[0].Digest, e.Digest)
}

func (e Expectation) checkModel(model ollama.Running) error {
	if 0 < e.Trained && e.Trained < e.Context {
		return fmt.Errorf("%w: %d tokens, not %d", errTrained, e.Trained, e.Context)
	}
	if model.ContextLength != e.Context {
		return fmt.Errorf("%w: %d tokens, not %d", errContext, model.ContextLength, e.Context)
	}
	if e.GPUs == 0 {
		return e.checkOnCPU(model)
	}
	return e.checkOnGPU(model)
}

func (e Expectation) checkOnGPU(model ollama.Running) error {
	switch {
	case model.SizeVRAM != model.Size:
		return fmt.Errorf("%w: %d of its %d bytes are on the GPU, the rest would be computed on the CPU",
			errResidence, model.SizeVRAM, model.Size)
	case model.SizeVRAM <= 0:
		return fmt.Errorf("%w: none of it is on a GPU", errResidence)
	case e.isFile(model.Size):
		return fmt.Errorf("%w: Ollama gives the size of the model's file, %d bytes, for its memory, "+
			"so it doesn't know where the model lies", errResidence, model.Size)
	}
	return nil
}

// checkOnCPU lets the size of the file pass: without a GPU there is one place only.
func (e Expectation) checkOnCPU(model ollama.Running) error {
	if model.SizeVRAM != 0 && !e.isFile(model.Size) {
		return fmt.Errorf("%w: %d of its %d bytes are on a GPU, and the plan has none",
			errResidence, model.SizeVRAM, model.Size)
	}
	return nil
}

func (e Expectation) isFile(bytes int64) bool {
	for _, size := range e.FileBytes {
		if size == bytes {
			return true
		}
	}
	return false
}
