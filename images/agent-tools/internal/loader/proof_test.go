package loader

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"moltghost.dev/agent-tools/internal/ollama"
)

const digest = "46e0c10c039e019119339687c3c1757cc81b9da49709a3b3924863ba87ca666e"

// Size of the model's file in the fixtures.
const fileBytes = 4920734272

func fixture(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func TestTheProofAgainstWhatOllamaAnswers(t *testing.T) {
	const gpu, cpu = 1, 0
	for _, test := range []struct {
		name    string
		file    string
		gpus    int
		trained int
		want    error
	}{
		{"all on the GPU is what a GPU plan asks for", "ps-gpu.json", gpu, 131072, nil},
		{"nothing on a GPU is what a CPU plan asks for", "ps-cpu.json", cpu, 131072, nil},
		{"on the CPU is no proof on a GPU plan", "ps-cpu.json", gpu, 131072, errResidence},
		{"partly on the CPU is no proof", "ps-partly-on-cpu.json", gpu, 131072, errResidence},
		{"partly on a GPU is not what a CPU plan asks for", "ps-partly-on-cpu.json", cpu, 131072, errResidence},
		{"on a GPU is not what a CPU plan asks for", "ps-gpu.json", cpu, 131072, errResidence},
		{"the size of the file proves nothing on a GPU plan", "ps-size-of-file.json", gpu, 131072, errResidence},
		{"the size of the file is all right on a CPU plan", "ps-size-of-file.json", cpu, 131072, nil},
		{"a context clamped to the trained one is shorter than planned", "ps-clamped.json", gpu, 8192, errTrained},
		{"a shorter context than planned is wrong", "ps-clamped.json", gpu, 131072, errContext},
		{"a longer context than trained is wrong, whatever Ollama says", "ps-gpu.json", gpu, 8192, errTrained},
		{"a model that doesn't say what it was trained with is taken at its word", "ps-gpu.json", gpu, 0, nil},
		{"another model of the same name is wrong", "ps-other-model.json", gpu, 131072, errDigest},
		{"nothing is loaded", "ps-none.json", gpu, 131072, errNotLoaded},
	} {
		t.Run(test.name, func(t *testing.T) {
			var answer struct{ Models []ollama.Running }
			fixture(t, test.file, &answer)
			expect := Expectation{
				Digest: digest, Context: 32768, Trained: test.trained, GPUs: test.gpus,
				FileBytes: []int64{412, fileBytes},
			}
			_, err := expect.check(answer.Models)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}
