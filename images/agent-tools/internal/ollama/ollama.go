// Package ollama is the part of Ollama's HTTP API that the loader and the build of stores use.
// It holds for 0.17 and 0.33.
package ollama

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Longer than any line of a stream.
const maxLineBytes = 1 << 20

// Client talks to one Ollama.
type Client struct {
	// URL such as http://127.0.0.1:11435.
	URL string
	// HTTP has no timeout: a load may take minutes. Callers set deadlines where they have one.
	HTTP http.Client
}

// APIError is an answer of Ollama that says what is wrong.
type APIError struct {
	Status  int
	Message string
}

func (e *APIError) Error() string { return fmt.Sprintf("Ollama answers %d: %s", e.Status, e.Message) }

// Unreachable says whether an error is the connection's: neither an answer of Ollama, nor one that
// took too long.
func Unreachable(err error) bool {
	var connection *url.Error
	return errors.As(err, &connection) && !errors.Is(err, context.DeadlineExceeded)
}

// Running is a loaded model as /api/ps lists it.
type Running struct {
	Name string `json:"name"`
	// Digest of the manifest, in hex without a prefix.
	Digest string `json:"digest"`
	// Size in bytes of weights, KV cache and compute buffers.
	Size int64 `json:"size"`
	// SizeVRAM is the part of Size on GPUs.
	SizeVRAM      int64     `json:"size_vram"`
	ContextLength int       `json:"context_length"`
	ExpiresAt     time.Time `json:"expires_at"`
}

// Running lists the loaded models.
func (c *Client) Running(ctx context.Context) ([]Running, error) {
	var answer struct {
		Models []Running `json:"models"`
	}
	err := c.call(ctx, http.MethodGet, "/api/ps", nil, &answer)
	return answer.Models, err
}

// Version of the server.
func (c *Client) Version(ctx context.Context) (string, error) {
	var answer struct {
		Version string `json:"version"`
	}
	err := c.call(ctx, http.MethodGet, "/api/version", nil, &answer)
	return answer.Version, err
}

// generation is a request to /api/generate. Whatever of it decides how the model is loaded must be
// what OpenClaw sends with its chats (num_ctx, shift), or its first request would load it anew.
type generation struct {
	Model     string         `json:"model"`
	Prompt    string         `json:"prompt,omitempty"`
	Raw       bool           `json:"raw,omitempty"`
	Stream    *bool          `json:"stream,omitempty"`
	KeepAlive int            `json:"keep_alive"`
	Shift     *bool          `json:"shift,omitempty"`
	Options   map[string]any `json:"options,omitempty"`
}

type generated struct {
	Done       bool   `json:"done"`
	DoneReason string `json:"done_reason"`
	EvalCount  int    `json:"eval_count"`
}

const forever = -1

// Load loads a model, or does nothing if it is loaded with that context.
func (c *Client) Load(ctx context.Context, model string, context int) error {
	answer, err := c.generate(ctx, generation{
		Model: model, KeepAlive: forever, Shift: new(false), Options: map[string]any{"num_ctx": context},
	})
	if err == nil && answer.DoneReason != "load" {
		err = fmt.Errorf("Ollama was asked to load %s and answers done_reason %q", model, answer.DoneReason)
	}
	return err
}

// Unload takes a model out of memory once its streams have ended.
func (c *Client) Unload(ctx context.Context, model string) error {
	_, err := c.generate(ctx, generation{Model: model})
	return err
}

// Answer has a model write one token: the proof that it not only lies in memory.
func (c *Client) Answer(ctx context.Context, model string, context int) error {
	answer, err := c.generate(ctx, generation{
		Model: model, Prompt: "1", Raw: true, Stream: new(false), KeepAlive: forever, Shift: new(false),
		Options: map[string]any{"num_ctx": context, "num_predict": 1},
	})
	if err == nil && (!answer.Done || answer.EvalCount < 1) {
		err = fmt.Errorf("%s writes nothing", model)
	}
	return err
}

func (c *Client) generate(ctx context.Context, request generation) (generated, error) {
	var answer generated
	err := c.call(ctx, http.MethodPost, "/api/generate", request, &answer)
	return answer, err
}

// TrainedContext is the context that a model was trained with, or 0 where its file doesn't say.
// Ollama loads no more than that, whatever it is asked for.
func (c *Client) TrainedContext(ctx context.Context, model string) (int, error) {
	var answer struct {
		Info map[string]any `json:"model_info"`
	}
	request := map[string]string{"model": model}
	if err := c.call(ctx, http.MethodPost, "/api/show", request, &answer); err != nil {
		return 0, err
	}
	architecture, _ := answer.Info["general.architecture"].(string)
	length, _ := answer.Info[architecture+".context_length"].(float64)
	return int(length), nil
}

// Status is a line of a stream of progress.
type Status struct {
	Status    string `json:"status"`
	Total     int64  `json:"total"`
	Completed int64  `json:"completed"`
	Error     string `json:"error"`
}

// Create makes a model; each line of progress is handed to on.
//
// Ollama writes errors into a stream that began with 200, so only a last line "success" is one.
func (c *Client) Create(ctx context.Context, request any, on func(Status)) error {
	response, err := c.send(ctx, http.MethodPost, "/api/create", request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxLineBytes)
	var last Status
	for lines.Scan() {
		last = Status{}
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			return fmt.Errorf("Ollama's stream has the line %q", lines.Text())
		}
		if last.Error != "" {
			return &APIError{Status: response.StatusCode, Message: last.Error}
		}
		on(last)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("Ollama's stream broke: %w", err)
	}
	if last.Status != "success" {
		return fmt.Errorf("Ollama's stream ended with %q, not with success", last.Status)
	}
	return nil
}

func (c *Client) call(ctx context.Context, method, path string, request, answer any) error {
	response, err := c.send(ctx, method, path, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("Ollama's answer to %s can't be read: %w", path, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, request any) (*http.Response, error) {
	var body io.Reader
	if request != nil {
		data, err := json.Marshal(request)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	sent, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.URL, "/")+path, body)
	if err != nil {
		return nil, err
	}
	sent.Header.Set("Content-Type", "application/json")
	response, err := c.HTTP.Do(sent)
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	return nil, apiError(response)
}

func apiError(response *http.Response) error {
	data, _ := io.ReadAll(io.LimitReader(response.Body, maxLineBytes))
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(data, &answer) != nil || answer.Error == "" {
		answer.Error = strings.TrimSpace(string(data))
	}
	return &APIError{Status: response.StatusCode, Message: answer.Error}
}
