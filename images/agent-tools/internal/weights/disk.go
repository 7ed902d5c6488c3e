package weights

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/store"
)

const partial = ".partial"

// disk is the folder of a store. An os.Root, so that no path and no link leads out of it.
type disk struct {
	root *os.Root
}

func openDisk(folder string) (*disk, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	return &disk{root: root}, nil
}

func (d *disk) close() { _ = d.root.Close() }

// sum is the sha256 of a file, if it is there in full size.
func (d *disk) sum(file store.File, count func(int64)) (sum string, err error) {
	opened, err := d.root.Open(file.Path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil || info.Size() != file.Size {
		return "", err
	}
	return store.Sum(opened, count)
}

// size of a file that is there, or -1.
func (d *disk) size(name string) int64 {
	info, err := d.root.Stat(name)
	if err != nil {
		return -1
	}
	return info.Size()
}

// create opens the temporary file of a path, with its space reserved.
func (d *disk) create(name string, size int64) (*os.File, error) {
	if err := d.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return nil, err
	}
	file, err := d.root.OpenFile(name+partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return file, nil
	}
	err = unix.Fallocate(int(file.Fd()), 0, 0, size)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		file.Close()
		return nil, err
	}
	return file, nil
}

// commit makes a temporary file the real one; after it, not even a power cut takes it back.
func (d *disk) commit(file *os.File, name string) error {
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := d.root.Rename(name+partial, name); err != nil {
		return err
	}
	folder, err := d.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// remove takes a file away if it is there.
func (d *disk) remove(name string) error {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// checkSpace refuses to begin what can't fit.
func (d *disk) checkSpace(needed int64) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(d.root.Name(), &stat); err != nil {
		return err
	}
	if free := int64(stat.Bavail) * stat.Bsize; free < needed {
		return full(d.root.Name(), needed, free)
	}
	return nil
}

// full is the error of a disk on which so many bytes don't fit.
func (d *disk) full(needed int64) error {
	var stat unix.Statfs_t
	_ = unix.Statfs(d.root.Name(), &stat)
	return full(d.root.Name(), needed, int64(stat.Bavail)*stat.Bsize)
}

func full(folder string, needed, free int64) error {
	return &progress.Failure{
		What: fmt.Sprintf("%s is full: %d bytes are still to be copied, %d are free",
			folder, needed, free),
		Next: "give the volume more space (an instance type with a larger disk), or free some on the node",
	}
}
