package loader

import (
	"fmt"
	"os"
	"strconv"
)

// Config of the loader, from LOADER_* variables.
type Config struct {
	// Ollama is the URL of the server.
	Ollama string
	// Store is the folder that `agent-tools weights` filled.
	Store string
	// Model is the name that requests use.
	Model string
	// Context in tokens.
	Context int
	// GPUs of the plan; 0 is a model on the CPU.
	GPUs int
	// PredictedBytes is the memory that the plan expects the model to take.
	PredictedBytes int64
	// Listen is where probes and metrics are answered, on loopback.
	Listen string
}

const defaultListen = "127.0.0.1:11436"

func fromEnvironment() (Config, error) {
	c := Config{
		Ollama: os.Getenv("LOADER_OLLAMA"),
		Store:  os.Getenv("LOADER_STORE"),
		Model:  os.Getenv("LOADER_MODEL"),
		Listen: listen(),
	}
	for name, value := range map[string]string{
		"LOADER_OLLAMA": c.Ollama, "LOADER_STORE": c.Store, "LOADER_MODEL": c.Model,
	} {
		if value == "" {
			return Config{}, fmt.Errorf("%s isn't set", name)
		}
	}
	var err error
	if c.Context, err = number("LOADER_CONTEXT"); err != nil {
		return Config{}, err
	}
	if c.GPUs, err = number("LOADER_GPUS"); err != nil {
		return Config{}, err
	}
	predicted, err := number("LOADER_PREDICTED_BYTES")
	c.PredictedBytes = int64(predicted)
	return c, err
}

func listen() string {
	if address := os.Getenv("LOADER_LISTEN"); address != "" {
		return address
	}
	return defaultListen
}

func number(name string) (int, error) {
	value, err := strconv.Atoi(os.Getenv(name))
	if err != nil || value < 0 {
		return 0, fmt.Errorf("%s is %q, not a number", name, os.Getenv(name))
	}
	return value, nil
}
