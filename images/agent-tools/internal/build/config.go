package build

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Quantizations that Ollama makes (server/quantization.go); it makes them of full precision only.
var quantizations = []string{"q4_K_M", "q4_K_S", "q8_0"}

// Config of a build: what it is to become, and of what.
type Config struct {
	// Source is a URL, SHA256 the sha256 in hex of what must lie there.
	Source string
	SHA256 string
	// SourceName and Licence are for people.
	SourceName string
	Licence    string
	// To is the URL of the store.
	To string
	// Models is the folder that is OLLAMA_MODELS of the Ollama beside.
	Models string
	// Model and Quantization as the catalogue calls them.
	Model        string
	Quantization string
	// Quantize is Ollama's word for what to make of the source, or "".
	Quantize      string
	OllamaVersion string
	// Ollama is the URL of the server.
	Ollama  string
	Options Options
}

// Options are the lines of a Modelfile that the catalogue has for a model.
type Options struct {
	// Template and its Parameters are used where the source has no chat template.
	Template   string         `json:"template"`
	Parameters map[string]any `json:"parameters"`
	System     string         `json:"system"`
}

func parse(args []string) (Config, error) {
	var c Config
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	flags.StringVar(&c.Source, "source", "", "s3:// or https:// URL of a GGUF file")
	flags.StringVar(&c.SHA256, "sha256", "", "sha256 of the source, in hex")
	flags.StringVar(&c.SourceName, "source-name", "", "what people call the source")
	flags.StringVar(&c.Licence, "licence", "", "licence of the model")
	flags.StringVar(&c.To, "to", "", "URL of the store: s3://BUCKET/PREFIX")
	flags.StringVar(&c.Models, "models", "", "folder that is OLLAMA_MODELS")
	flags.StringVar(&c.Model, "model", "", "model of the catalogue")
	flags.StringVar(&c.Quantization, "quantization", "", "quantization of the catalogue")
	flags.StringVar(&c.Quantize, "quantize", "", "make it of a source of full precision: "+
		strings.Join(quantizations, ", "))
	flags.StringVar(&c.OllamaVersion, "ollama-version", "", "version of Ollama that the store is for")
	if err := flags.Parse(args); err != nil {
		return Config{}, err
	}
	c.Ollama = os.Getenv("BUILD_OLLAMA")
	if text := os.Getenv("BUILD_OPTIONS"); text != "" {
		decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&c.Options); err != nil {
			return Config{}, fmt.Errorf("BUILD_OPTIONS can't be read: %w", err)
		}
	}
	return c, c.check()
}

func (c Config) check() error {
	for name, value := range map[string]string{
		"--source": c.Source, "--sha256": c.SHA256, "--to": c.To, "--models": c.Models,
		"--model": c.Model, "--quantization": c.Quantization, "--ollama-version": c.OllamaVersion,
		"BUILD_OLLAMA": c.Ollama,
	} {
		if value == "" {
			return fmt.Errorf("%s is missing", name)
		}
	}
	if c.Quantize != "" && !slices.Contains(quantizations, c.Quantize) {
		return fmt.Errorf("Ollama makes %s, not %q", strings.Join(quantizations, ", "), c.Quantize)
	}
	return nil
}
