package fakeollama

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Creating is how /api/create behaves.
type Creating struct {
	// Models is the folder that is OLLAMA_MODELS.
	Models string
	// Version of the server.
	Version string
	// Fails ends the stream with an error, though it began with 200.
	Fails string
	// Breaks ends the stream before success.
	Breaks bool
}

// Create lets the server make models.
func (s *Server) Create(how Creating) {
	s.mux.HandleFunc("GET /api/version", func(w http.ResponseWriter, _ *http.Request) {
		write(w, map[string]any{"version": how.Version})
	})
	s.mux.HandleFunc("POST /api/create", func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		s.mu.Lock()
		s.bodies = append(s.bodies, body)
		s.mu.Unlock()
		say := func(format string, values ...any) {
			fmt.Fprintf(w, format+"\n", values...)
			w.(http.Flusher).Flush()
		}
		say(`{"status":"parsing GGUF"}`)
		if how.Fails != "" {
			say(`{"error":%q}`, how.Fails)
			return
		}
		say(`{"status":"quantizing F16 model to Q4_K_M","digest":"0","total":100,"completed":50}`)
		if how.Breaks {
			return
		}
		if err := makeModel(how.Models, body); err != nil {
			say(`{"error":%q}`, err)
			return
		}
		say(`{"status":"writing manifest"}`)
		say(`{"status":"success"}`)
	})
}

// makeModel writes blobs and manifest as Ollama does. What is quantized is half as long.
func makeModel(models string, body map[string]any) error {
	digest := body["files"].(map[string]any)["model.gguf"].(string)
	source, err := os.ReadFile(filepath.Join(models, "blobs", strings.Replace(digest, ":", "-", 1)))
	if err != nil {
		return err
	}
	if body["quantize"] != nil {
		source = source[:len(source)/2]
	}
	var layers []string
	for _, data := range [][]byte{[]byte(`{"model_format":"gguf"}`), source} {
		sum := sha256.Sum256(data)
		name := hex.EncodeToString(sum[:])
		if err := os.WriteFile(filepath.Join(models, "blobs", "sha256-"+name), data, 0o644); err != nil {
			return err
		}
		layers = append(layers, fmt.Sprintf(`{"digest":"sha256:%s","size":%d}`, name, len(data)))
	}
	path := filepath.Join(models, "manifests/registry.ollama.ai", strings.Replace(
		body["model"].(string), ":", "/", 1))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	manifest := fmt.Sprintf(`{"config":%s,"layers":[%s]}`, layers[0], layers[1])
	return os.WriteFile(path, []byte(manifest), 0o644)
}
