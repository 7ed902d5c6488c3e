package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/remote"
	"moltghost.dev/agent-tools/internal/store"
)

// How often an object with wrong content is read again: a bad cache or a flipped bit on the way
// may pass, a damaged object doesn't.
const copyTries = 3

// File copies one object into a folder and verifies it.
type File struct {
	Copier *Copier
	Object remote.Object
	Folder *Folder
	// File is where it goes and what it must be.
	File store.File
	// Count is told of bytes as they are written; negative ones have to be read again.
	Count func(int64)
	// Say is told of an object that is refused.
	Say func(message string)
}

// CorruptError is content that isn't what was asked for.
type CorruptError struct {
	Name string
	Err  error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("%s is corrupt: %v", e.Name, e.Err) }

// Unwrap returns what is wrong with it.
func (e *CorruptError) Unwrap() error { return e.Err }

// Copy copies until the content is right. What stays wrong is a *CorruptError; nothing of it is
// left in the folder.
func (f File) Copy(ctx context.Context) error {
	for try := 1; ; try++ {
		err := f.once(ctx)
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || try == copyTries {
			return err
		}
		f.Say(fmt.Sprintf("refused: %v; fetching it again (try %d of %d)", err, try+1, copyTries))
	}
}

func (f File) once(ctx context.Context) error {
	out, err := f.Folder.create(f.File.Path, f.File.Size)
	if err != nil {
		return err
	}
	defer out.Close()
	var copied atomic.Int64
	sum, err := f.Copier.Copy(ctx, f.Object, f.File.Size, out, func(bytes int64) {
		copied.Add(bytes)
		f.Count(bytes)
	})
	switch {
	case errors.Is(err, remote.ErrSize):
		err = &CorruptError{Name: f.Object.Name(), Err: err}
	case err == nil && sum != f.File.SHA256:
		err = &CorruptError{
			Name: f.Object.Name(), Err: fmt.Errorf("its sha256 is %s, not %s", sum, f.File.SHA256),
		}
	case err == nil:
		err = f.Folder.commit(out, f.File.Path)
	}
	if err != nil {
		f.Count(-copied.Load())
		return errors.Join(err, f.Folder.Remove(f.File.Path+Partial))
	}
	return nil
}

// Damaged says what to do about an object that stays corrupt, or that its list has in vain.
func Damaged(err error) error {
	return &progress.Failure{
		What: err.Error(),
		Next: "the store is damaged: `moltghost weights verify`, then remove and add it again",
	}
}
