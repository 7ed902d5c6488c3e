package transfer

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/store"
)

// Partial ends the name of a file that isn't whole.
const Partial = ".partial"

// Folder is a folder of files. An os.Root, so that no path and no link leads out of it.
type Folder struct {
	root *os.Root
}

// OpenFolder opens a folder that is there.
func OpenFolder(path string) (*Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Folder{root: root}, nil
}

// Close lets go of the folder.
func (d *Folder) Close() { _ = d.root.Close() }

// Open opens a file for reading.
func (d *Folder) Open(name string) (*os.File, error) { return d.root.Open(name) }

// ReadFile reads a small file.
func (d *Folder) ReadFile(name string) ([]byte, error) { return d.root.ReadFile(name) }

// WriteFile writes a small file, whole or not at all.
func (d *Folder) WriteFile(name string, data []byte) error {
	out, err := d.create(name, int64(len(data)))
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := out.Write(data); err != nil {
		return err
	}
	return d.commit(out, name)
}

// Sum is the sha256 of a file, or "" if it isn't there in full size.
func (d *Folder) Sum(file store.File, count func(int64)) (sum string, err error) {
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

// Size is the size of a file that is there, or -1.
func (d *Folder) Size(name string) int64 {
	info, err := d.root.Stat(name)
	if err != nil {
		return -1
	}
	return info.Size()
}

// create opens the temporary file of a path, with its space reserved.
func (d *Folder) create(name string, size int64) (*os.File, error) {
	if err := d.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return nil, err
	}
	file, err := d.root.OpenFile(name+Partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return file, nil
	}
	err = unix.Fallocate(int(file.Fd()), 0, 0, size)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		file.Close()
		return nil, errors.Join(err, d.Remove(name+Partial))
	}
	return file, nil
}

// commit makes a temporary file the real one; after it, not even a power cut takes it back.
func (d *Folder) commit(file *os.File, name string) error {
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := d.root.Rename(name+Partial, name); err != nil {
		return err
	}
	folder, err := d.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// Remove takes a file away if it is there.
func (d *Folder) Remove(name string) error {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// CheckSpace refuses to begin what can't fit.
func (d *Folder) CheckSpace(needed int64) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(d.root.Name(), &stat); err != nil {
		return err
	}
	if free := int64(stat.Bavail) * stat.Bsize; free < needed {
		return full(d.root.Name(), needed, free)
	}
	return nil
}

// Full is the error of a folder on which so many bytes don't fit.
func (d *Folder) Full(needed int64) error {
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
