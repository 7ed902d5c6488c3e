package build

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/remote"
	"moltghost.dev/agent-tools/internal/store"
	"moltghost.dev/agent-tools/internal/transfer"
)

// An upload that doesn't read back as it was is made again, but not for ever.
const uploadTries = 3

// publish uploads blobs, then the manifest, then store.json, each read back before the next.
func (b *build) publish(ctx context.Context) error {
	index, err := b.index()
	if err != nil {
		return err
	}
	meter := b.report.NewMeter(stagePublish, index.Bytes())
	defer meter.Run(ctx)()
	patience := b.patience(stagePublish)
	p := &publication{
		build: b, copier: transfer.NewCopier(patience), meter: meter,
		uploader: &remote.Uploader{
			Prefix: b.prefix, Patience: patience, Count: meter.Add,
			Say: func(message string) { b.report.Message(stagePublish, message) },
		},
	}
	for _, file := range index.Files {
		if err := p.file(ctx, file); err != nil {
			return err
		}
	}
	return p.finish(ctx, index)
}

// index lists what Ollama made, by its own manifest; the manifest comes last.
func (b *build) index() (store.Index, error) {
	manifest, err := b.folder.ReadFile(store.ManifestPath)
	if err != nil {
		return store.Index{}, fmt.Errorf("Ollama says success, but left no manifest: %w", err)
	}
	files, err := store.Blobs(manifest)
	if err != nil {
		return store.Index{}, err
	}
	// A manifest may name a blob twice.
	slices.SortFunc(files, func(x, y store.File) int { return cmp.Compare(x.Path, y.Path) })
	files = slices.Compact(files)
	sum := sha256.Sum256(manifest)
	digest := hex.EncodeToString(sum[:])
	files = append(files, store.File{
		Path: store.ManifestPath, Size: int64(len(manifest)), SHA256: digest,
	})
	return store.Index{
		Version: store.Version, Model: b.Model, Quantization: b.Quantization,
		OllamaVersion: b.OllamaVersion, Source: b.source(), Licence: b.Licence,
		Created:  time.Now().UTC().Truncate(time.Second),
		Manifest: store.Manifest{Path: store.ManifestPath, Digest: store.Digest(digest)},
		Files:    files,
	}, nil
}

type publication struct {
	*build
	copier   *transfer.Copier
	meter    *progress.Meter
	uploader *remote.Uploader
}

// file makes sure that one file lies in the store, right to the last bit.
func (p *publication) file(ctx context.Context, file store.File) error {
	there, err := p.isRight(ctx, file)
	if err != nil {
		return err
	}
	if there {
		p.report.Message(stagePublish, file.Path+" is there already")
		p.meter.Add(file.Size)
		return nil
	}
	for try := 1; ; try++ {
		if err := p.upload(ctx, file); err != nil {
			return err
		}
		if there, err = p.isRight(ctx, file); err != nil || there {
			return err
		}
		message := fmt.Sprintf("%s doesn't read back as it is named", p.prefix.URL(file.Path))
		if try == uploadTries {
			return &progress.Failure{
				What: fmt.Sprintf("%s, after %d uploads", message, uploadTries),
				Next: "the disk of the job or the store is damaged: run it again on another node",
			}
		}
		p.report.Message(stagePublish, message+"; uploading it again")
		p.meter.Add(-file.Size)
	}
}

func (p *publication) upload(ctx context.Context, file store.File) error {
	data, err := p.folder.Open(file.Path)
	if err != nil {
		return err
	}
	defer data.Close()
	return p.uploader.Put(ctx, file.Path, file.Size, data)
}

// isRight reads an object and compares its sha256; one that isn't there is not right.
func (p *publication) isRight(ctx context.Context, file store.File) (bool, error) {
	if there, err := p.hasSize(ctx, file); err != nil || !there {
		return false, err
	}
	object := p.prefix.Object(file.Path, file.Size)
	sum, err := p.copier.Copy(ctx, object, file.Size, nowhere{}, func(int64) {})
	return sum == file.SHA256, err
}

// hasSize looks whether an object is there, in its size.
func (p *publication) hasSize(ctx context.Context, file store.File) (bool, error) {
	var size int64
	err := p.copier.Patience.Do(ctx, p.prefix.URL(file.Path), func(ctx context.Context) (err error) {
		size, err = p.prefix.Size(ctx, file.Path)
		return err
	})
	if errors.Is(err, remote.ErrNotFound) {
		return false, nil
	}
	return size == file.Size, err
}

// nowhere is where bytes go that are only hashed.
type nowhere struct{}

func (nowhere) WriteAt(data []byte, _ int64) (int, error) { return len(data), nil }

// finish writes the index, which makes it a store.
func (p *publication) finish(ctx context.Context, index store.Index) error {
	data, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	if _, err := store.Parse(data); err != nil {
		return fmt.Errorf("what was built is no store: %w", err)
	}
	// The first was read back hours ago where the model is large.
	for _, file := range index.Files {
		if there, err := p.hasSize(ctx, file); err != nil {
			return err
		} else if !there {
			return &progress.Failure{
				What: p.prefix.URL(file.Path) + " was there, and somebody removed it meanwhile",
				Next: "run the same command again: what is there is kept",
			}
		}
	}
	err = p.uploader.PutNew(ctx, store.IndexName, bytes.NewReader(data))
	if errors.Is(err, remote.ErrExists) {
		// Our own try before an answer that got lost, or another job: either way it is complete.
		_, err = p.isThere(ctx)
		return err
	}
	if err == nil {
		p.report.Message(stagePublish, "published "+p.prefix.URL(""))
	}
	return err
}
