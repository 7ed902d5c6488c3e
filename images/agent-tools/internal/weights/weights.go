// Package weights copies a model store from S3 to a pod's disk and verifies every byte of it.
package weights

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/remote"
	"moltghost.dev/agent-tools/internal/store"
	"moltghost.dev/agent-tools/internal/transfer"
)

const (
	stageVerify = "verify"
	stageCopy   = "copy"

	// How long the store may be away. The pod's start-up budget ends a longer wait.
	outageBudget = 5 * time.Minute
	// Hashing keeps a core busy; more files than this at a time only compete.
	filesAtATime = 4
)

// Main is `agent-tools weights`.
func Main(ctx context.Context, args []string, report *progress.Reporter) error {
	flags := flag.NewFlagSet("weights", flag.ContinueOnError)
	from := flags.String("from", "", "URL of the store: s3://BUCKET/PREFIX")
	to := flags.String("to", "", "folder that becomes OLLAMA_MODELS")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *from == "" || *to == "" {
		return errors.New("--from and --to are required")
	}
	prefix, err := remote.OpenPrefix(ctx, *from)
	if err != nil {
		return err
	}
	return Fetch(ctx, prefix, *to, report)
}

// Fetch makes folder a verified copy of the store at prefix. What is there already and verifies
// is kept; store.json is written last.
func Fetch(
	ctx context.Context, prefix *remote.Prefix, folder string, report *progress.Reporter,
) error {
	target, err := transfer.OpenFolder(folder)
	if err != nil {
		return err
	}
	defer target.Close()
	patience := &remote.Patience{
		Budget: outageBudget,
		Say:    func(message string) { report.Message(stageCopy, message) },
	}
	f := &fetch{
		prefix: prefix, folder: target, report: report, copier: transfer.NewCopier(patience),
	}
	return f.explain(f.run(ctx))
}

type fetch struct {
	prefix *remote.Prefix
	folder *transfer.Folder
	report *progress.Reporter
	copier *transfer.Copier
	meter  *progress.Meter
	// Bytes that are not on the disk yet.
	left atomic.Int64
}

func (f *fetch) run(ctx context.Context) error {
	data, index, err := f.index(ctx)
	if err != nil {
		return err
	}
	// As long as the index isn't there, the folder is no store.
	if err := f.folder.Remove(store.IndexName); err != nil {
		return err
	}
	missing, err := f.missing(ctx, index)
	if err != nil {
		return err
	}
	if err := f.copy(ctx, missing, index.Bytes()); err != nil {
		return err
	}
	manifest, err := f.folder.ReadFile(store.ManifestPath)
	if err != nil {
		return err
	}
	if err := index.CheckComplete(manifest); err != nil {
		return f.refused(err)
	}
	return f.folder.WriteFile(store.IndexName, data)
}

// index reads and checks store.json; its bytes are kept as they are.
func (f *fetch) index(ctx context.Context) ([]byte, store.Index, error) {
	url := f.prefix.URL(store.IndexName)
	var data []byte
	err := f.copier.Patience.Do(ctx, url, func(ctx context.Context) (err error) {
		data, err = f.prefix.Get(ctx, store.IndexName, store.MaxIndexBytes)
		return err
	})
	switch {
	case errors.Is(err, remote.ErrNotFound):
		return nil, store.Index{}, &progress.Failure{
			What: fmt.Sprintf("%s isn't there, so there is no store", url),
			Next: "build it with `moltghost weights add`; a store without it is half done",
		}
	case err != nil:
		return nil, store.Index{}, err
	}
	index, err := store.Parse(data)
	if err != nil {
		return nil, store.Index{}, f.refused(err)
	}
	return data, index, nil
}

// missing verifies what is on the disk already and returns the rest.
func (f *fetch) missing(ctx context.Context, index store.Index) ([]store.File, error) {
	var present int64
	for _, file := range index.Files {
		if err := f.folder.Remove(file.Path + transfer.Partial); err != nil {
			return nil, err
		}
		if f.folder.Size(file.Path) == file.Size {
			present += file.Size
		}
	}
	meter := f.report.NewMeter(stageVerify, present)
	if present > 0 {
		defer meter.Run(ctx)()
	}
	wanted := make([]bool, len(index.Files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(filesAtATime)
	for i, file := range index.Files {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			sum, err := f.folder.Sum(file, meter.Add)
			if err != nil {
				return err
			}
			wanted[i] = sum != file.SHA256
			if sum != "" && wanted[i] {
				f.report.Message(stageVerify, fmt.Sprintf(
					"%s on disk is damaged: its sha256 is %s; copying it again", file.Path, sum))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var missing []store.File
	for i, file := range index.Files {
		if wanted[i] {
			missing = append(missing, file)
		}
	}
	return missing, nil
}

func (f *fetch) copy(ctx context.Context, files []store.File, total int64) error {
	for _, file := range files {
		f.left.Add(file.Size)
	}
	if err := f.folder.CheckSpace(f.left.Load()); err != nil {
		return err
	}
	f.meter = f.report.NewMeter(stageCopy, total)
	f.meter.Add(total - f.left.Load())
	defer f.meter.Run(ctx)()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(filesAtATime)
	for _, file := range files {
		group.Go(func() error { return f.copyFile(ctx, file) })
	}
	return group.Wait()
}

func (f *fetch) copyFile(ctx context.Context, file store.File) error {
	return transfer.File{
		Copier: f.copier,
		Object: f.prefix.Object(file.Path, file.Size),
		Folder: f.folder,
		File:   file,
		Count: func(bytes int64) {
			f.meter.Add(bytes)
			f.left.Add(-bytes)
		},
		Say: func(message string) { f.report.Message(stageCopy, message) },
	}.Copy(ctx)
}

func (f *fetch) refused(err error) error {
	return &progress.Failure{
		What: fmt.Sprintf("the store %s is refused: %v", f.prefix.URL(""), err),
		Next: "build it with this version: `moltghost weights remove`, then `moltghost weights add`",
	}
}

// explain says what to do about an error that doesn't say so itself.
func (f *fetch) explain(err error) error {
	var corrupt *transfer.CorruptError
	switch {
	case errors.As(err, &corrupt), errors.Is(err, remote.ErrNotFound):
		return transfer.Damaged(err)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return f.folder.Full(f.left.Load())
	case errors.Is(err, remote.ErrDenied):
		return &progress.Failure{
			What: err.Error(),
			Next: "S3 says so of what isn't there, too: see `moltghost weights list`, then the pod's role",
		}
	case errors.Is(err, remote.ErrAway):
		return &progress.Failure{
			What: fmt.Sprintf("the weights store can't be reached: %v", err),
			Next: "see that it runs and that the pod's network lets it through; what is copied is kept",
		}
	default:
		return err
	}
}
