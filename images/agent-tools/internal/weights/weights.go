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
)

const (
	stageVerify = "verify"
	stageCopy   = "copy"

	// How long the store may be away. The pod's start-up budget ends a longer wait.
	outageBudget = 5 * time.Minute
	// How often an object with wrong content is read again: a bad cache or a flipped bit on the
	// way may pass, a damaged object doesn't.
	copyTries = 3
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
	target, err := openDisk(folder)
	if err != nil {
		return err
	}
	defer target.close()
	patience := &remote.Patience{
		Budget: outageBudget,
		Say:    func(message string) { report.Message(stageCopy, message) },
	}
	f := &fetch{prefix: prefix, disk: target, report: report, copier: NewCopier(patience)}
	return f.explain(f.run(ctx))
}

type fetch struct {
	prefix *remote.Prefix
	disk   *disk
	report *progress.Reporter
	copier *Copier
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
	if err := f.disk.remove(store.IndexName); err != nil {
		return err
	}
	missing, err := f.missing(ctx, index)
	if err != nil {
		return err
	}
	if err := f.copy(ctx, missing, index.Bytes()); err != nil {
		return err
	}
	manifest, err := f.disk.root.ReadFile(store.ManifestPath)
	if err != nil {
		return err
	}
	if err := index.CheckComplete(manifest); err != nil {
		return f.refused(err)
	}
	return f.writeIndex(data)
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
		if err := f.disk.remove(file.Path + partial); err != nil {
			return nil, err
		}
		if f.disk.size(file.Path) == file.Size {
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
			sum, err := f.disk.sum(file, meter.Add)
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
	if err := f.disk.checkSpace(f.left.Load()); err != nil {
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

// copyFile copies until the content is the one that was asked for.
func (f *fetch) copyFile(ctx context.Context, file store.File) error {
	for try := 1; ; try++ {
		err := f.copyOnce(ctx, file)
		var corrupt *corruptError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &corrupt) || errors.Is(err, remote.ErrSize):
			if try == copyTries {
				return &progress.Failure{
					What: fmt.Sprintf("%v; read %d times", err, copyTries),
					Next: "the store is damaged: `moltghost weights verify`, then remove and add it again",
				}
			}
			f.report.Message(stageCopy, fmt.Sprintf("refused: %v; fetching it again (try %d of %d)",
				err, try+1, copyTries))
		case errors.Is(err, remote.ErrNotFound):
			return &progress.Failure{
				What: fmt.Sprintf("%v, though %s lists it", err, store.IndexName),
				Next: "the store is damaged: `moltghost weights verify`, then remove and add it again",
			}
		default:
			return err
		}
	}
}

type corruptError struct {
	name, sum, expected string
}

func (e *corruptError) Error() string {
	return fmt.Sprintf("%s is corrupt: its sha256 is %s, not %s", e.name, e.sum, e.expected)
}

func (f *fetch) copyOnce(ctx context.Context, file store.File) (err error) {
	object := f.prefix.Object(file.Path, file.Size)
	out, err := f.disk.create(file.Path, file.Size)
	if err != nil {
		return err
	}
	defer out.Close()
	var copied atomic.Int64
	count := func(bytes int64) {
		copied.Add(bytes)
		f.meter.Add(bytes)
		f.left.Add(-bytes)
	}
	sum, err := f.copier.Copy(ctx, object, file.Size, out, count)
	if err == nil && sum != file.SHA256 {
		err = &corruptError{name: object.Name(), sum: sum, expected: file.SHA256}
	}
	if err != nil {
		count(-copied.Load())
		return errors.Join(err, f.disk.remove(file.Path+partial))
	}
	return f.disk.commit(out, file.Path)
}

func (f *fetch) writeIndex(data []byte) error {
	out, err := f.disk.create(store.IndexName, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := out.Write(data); err != nil {
		return err
	}
	return f.disk.commit(out, store.IndexName)
}

func (f *fetch) refused(err error) error {
	return &progress.Failure{
		What: fmt.Sprintf("the store %s is refused: %v", f.prefix.URL(""), err),
		Next: "build it with this version: `moltghost weights remove`, then `moltghost weights add`",
	}
}

// explain says what to do about an error that doesn't say so itself.
func (f *fetch) explain(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return f.disk.full(f.left.Load())
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
