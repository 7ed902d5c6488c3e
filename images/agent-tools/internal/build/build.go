// Package build makes a model store: it reads a source, has Ollama make a model of it, and
// publishes the result, store.json last.
package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"moltghost.dev/agent-tools/internal/gguf"
	"moltghost.dev/agent-tools/internal/ollama"
	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/remote"
	"moltghost.dev/agent-tools/internal/store"
	"moltghost.dev/agent-tools/internal/transfer"
)

const (
	stageSelect   = "select"
	stageDownload = "download"
	stageQuantize = "quantize"
	stagePublish  = "publish"

	// How long source or store may be away before the job fails and is tried again.
	outageBudget = 10 * time.Minute
)

// Main is `agent-tools build`.
func Main(ctx context.Context, args []string, report *progress.Reporter) error {
	config, err := parse(args)
	if err != nil {
		return err
	}
	prefix, err := remote.OpenPrefix(ctx, config.To)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(config.Models, "blobs"), 0o755); err != nil {
		return err
	}
	folder, err := transfer.OpenFolder(config.Models)
	if err != nil {
		return err
	}
	defer folder.Close()
	b := &build{
		Config: config, prefix: prefix, folder: folder, report: report,
		ollama: &ollama.Client{URL: config.Ollama},
		open:   remote.Open,
	}
	return b.explain(b.run(ctx))
}

type build struct {
	Config
	prefix *remote.Prefix
	folder *transfer.Folder
	report *progress.Reporter
	ollama *ollama.Client
	open   func(ctx context.Context, url string) (remote.Object, int64, error)
	// Bytes that are still to be written to the folder.
	left int64
}

func (b *build) run(ctx context.Context) error {
	there, err := b.isThere(ctx)
	if err != nil || there {
		return err
	}
	if err := b.checkOllama(ctx); err != nil {
		return err
	}
	if err := b.download(ctx); err != nil {
		return err
	}
	head, err := b.inspect()
	if err != nil {
		return err
	}
	if err := b.create(ctx, head); err != nil {
		return err
	}
	return b.publish(ctx)
}

// isThere says whether the store exists: it never changes once it does.
func (b *build) isThere(ctx context.Context) (bool, error) {
	var data []byte
	url := b.prefix.URL(store.IndexName)
	err := b.patience(stageSelect).Do(ctx, url, func(ctx context.Context) (err error) {
		data, err = b.prefix.Get(ctx, store.IndexName, store.MaxIndexBytes)
		return err
	})
	if errors.Is(err, remote.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	index, err := store.Parse(data)
	if err != nil {
		return false, &progress.Failure{
			What: fmt.Sprintf("%s is there and can't be used: %v", url, err),
			Next: "remove the store with `moltghost weights remove`, then add it again",
		}
	}
	b.report.Message(stagePublish, fmt.Sprintf("%s is there already, made %s from %s",
		b.prefix.URL(""), index.Created.Format(time.DateOnly), index.Source))
	return true, nil
}

// checkOllama makes sure that the store is built by the version that will read it: the layout of
// OLLAMA_MODELS belongs to the version.
func (b *build) checkOllama(ctx context.Context) error {
	var version string
	err := b.patience(stageSelect).Do(ctx, b.Ollama, func(ctx context.Context) (err error) {
		version, err = b.ollama.Version(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if version != b.OllamaVersion {
		return &progress.Failure{
			What: fmt.Sprintf("the Ollama beside is %s, the store is for %s", version, b.OllamaVersion),
			Next: "the image and its version in planning/images.json must belong together",
		}
	}
	b.report.Message(stageSelect, fmt.Sprintf("%s %s from %s, with Ollama %s",
		b.Model, b.Quantization, b.source(), version))
	return nil
}

// source is what people call it.
func (b *build) source() string {
	if b.SourceName != "" {
		return b.SourceName
	}
	return b.Source
}

// download makes the source a blob of Ollama's, which spares handing it over and a copy of it.
func (b *build) download(ctx context.Context) error {
	patience := b.patience(stageDownload)
	var object remote.Object
	var size int64
	err := patience.Do(ctx, b.Source, func(ctx context.Context) (err error) {
		object, size, err = b.open(ctx, b.Source)
		return err
	})
	if errors.Is(err, remote.ErrNotFound) {
		return &progress.Failure{
			What: err.Error(),
			Next: "give a source that exists, by an immutable reference: `moltghost weights add --from`",
		}
	}
	if err != nil {
		return err
	}
	file := store.File{Path: store.BlobPath(b.SHA256), Size: size, SHA256: b.SHA256}
	meter := b.report.NewMeter(stageDownload, size)
	defer meter.Run(ctx)()
	if sum, err := b.folder.Sum(file, meter.Add); err != nil || sum == b.SHA256 {
		return err
	}
	meter.Reset()
	b.left = size
	if err := b.folder.CheckSpace(size); err != nil {
		return err
	}
	copied := transfer.File{
		Copier: transfer.NewCopier(patience), Object: object, Folder: b.folder, File: file,
		Count: meter.Add,
		Say:   func(message string) { b.report.Message(stageDownload, message) },
	}
	err = copied.Copy(ctx)
	var corrupt *transfer.CorruptError
	if errors.As(err, &corrupt) {
		return &progress.Failure{
			What: err.Error(),
			Next: "the source isn't the one that was meant: see its sha256 where it comes from",
		}
	}
	return err
}

// inspect reads the source's metadata and refuses what can't become this store.
func (b *build) inspect() (gguf.Head, error) {
	file, err := b.folder.Open(store.BlobPath(b.SHA256))
	if err != nil {
		return gguf.Head{}, err
	}
	defer file.Close()
	head, err := gguf.Read(file)
	if err != nil {
		return gguf.Head{}, &progress.Failure{
			What: fmt.Sprintf("%s can't be used: %v", b.source(), err),
			Next: "give a GGUF file; convert a safetensors model with llama.cpp's convert_hf_to_gguf.py",
		}
	}
	return head, b.checkPrecision(head)
}

func (b *build) checkPrecision(head gguf.Head) error {
	precision := head.Precision()
	switch {
	case b.Quantize != "" && !head.Full():
		return &progress.Failure{
			What: fmt.Sprintf("%s is %s already, and only F16, BF16 and F32 can be quantized",
				b.source(), name(precision)),
			Next: "give a source of full precision, or leave --quantize out to take it as it is",
		}
	case b.Quantize == "" && precision != "" && precision != b.Quantization:
		return &progress.Failure{
			What: fmt.Sprintf("%s is %s, the store is to be %s", b.source(), precision, b.Quantization),
			Next: "name the model with its quantization, or have it quantized with --quantize",
		}
	}
	return nil
}

func name(precision string) string {
	if precision == "" {
		return "of a kind that isn't known"
	}
	return precision
}

func (b *build) patience(stage string) *remote.Patience {
	return &remote.Patience{
		Budget: outageBudget,
		Say:    func(message string) { b.report.Message(stage, message) },
	}
}

// explain says what to do about an error that doesn't say so itself.
func (b *build) explain(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return b.folder.Full(b.left)
	case errors.Is(err, remote.ErrDenied):
		return &progress.Failure{What: err.Error(), Next: "see the role or the key of the weights job"}
	case errors.Is(err, remote.ErrAway):
		return &progress.Failure{
			What: err.Error(),
			Next: "see that it runs and that the job's network lets it through; what is uploaded is kept",
		}
	default:
		return err
	}
}
