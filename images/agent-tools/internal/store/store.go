// Package store knows the layout of a model store: the files of OLLAMA_MODELS with one model in
// them, and store.json, which lists them and makes them a store. The same layout lies in S3 and
// on a pod's disk.
package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"regexp"
	"time"
)

const (
	// IndexName is the file that is written last.
	IndexName = "store.json"
	// Version of the layout that this program writes and reads.
	Version = 1
	// Model is the name of the model in every store, whatever it is.
	Model = "moltghost/agent:current"
	// ManifestPath is where Ollama keeps the manifest of that name.
	ManifestPath = "manifests/registry.ollama.ai/moltghost/agent/current"
	// MaxIndexBytes is far above any index: a store has about five files.
	MaxIndexBytes = 1 << 20

	digestPrefix = "sha256:"
)

var (
	hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)
	blobPath  = regexp.MustCompile(`^blobs/sha256-([0-9a-f]{64})$`)
)

// File is one file of a store.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Manifest names Ollama's manifest of the model.
type Manifest struct {
	Path   string `json:"path"`
	Digest string `json:"digest"`
}

// Index is the content of store.json.
type Index struct {
	Version       int       `json:"version"`
	Model         string    `json:"model"`
	Quantization  string    `json:"quantization"`
	OllamaVersion string    `json:"ollama_version"`
	Source        string    `json:"source"`
	Licence       string    `json:"licence"`
	Created       time.Time `json:"created"`
	Manifest      Manifest  `json:"manifest"`
	Files         []File    `json:"files"`
}

// BlobPath is the path of the blob with that content, below a store.
func BlobPath(sum string) string { return "blobs/sha256-" + sum }

// ManifestHex is the manifest's sha256 as /api/ps shows it.
func (i Index) ManifestHex() string { return i.Manifest.Digest[len(digestPrefix):] }

// Digest is how a manifest names content with that sha256.
func Digest(sum string) string { return digestPrefix + sum }

// Bytes is the size of all files.
func (i Index) Bytes() int64 {
	var total int64
	for _, file := range i.Files {
		total += file.Size
	}
	return total
}

// File is the file at a path.
func (i Index) File(path string) (File, bool) {
	for _, file := range i.Files {
		if file.Path == path {
			return file, true
		}
	}
	return File{}, false
}

// Parse reads and checks an index. It accepts no path but a blob's own and the manifest's, so
// nothing that it lists can lie outside a store.
func Parse(data []byte) (Index, error) {
	var index Index
	if err := json.Unmarshal(data, &index); err != nil {
		return Index{}, fmt.Errorf("%s is no index of a store: %w", IndexName, err)
	}
	if index.Version != Version {
		return Index{}, fmt.Errorf("%s has version %d; this program reads version %d",
			IndexName, index.Version, Version)
	}
	if err := index.check(); err != nil {
		return Index{}, fmt.Errorf("%s: %w", IndexName, err)
	}
	return index, nil
}

func (i Index) check() error {
	if i.Manifest.Path != ManifestPath {
		return fmt.Errorf("the manifest's path is %q, not %q", i.Manifest.Path, ManifestPath)
	}
	var total int64
	seen := map[string]bool{}
	for _, file := range i.Files {
		if err := file.check(); err != nil {
			return err
		}
		if seen[file.Path] {
			return fmt.Errorf("%s is listed twice", file.Path)
		}
		seen[file.Path] = true
		if total > math.MaxInt64-file.Size {
			return fmt.Errorf("the files' sizes add up to more than there can be")
		}
		total += file.Size
	}
	manifest, listed := i.File(ManifestPath)
	if !listed {
		return fmt.Errorf("the manifest isn't among the files")
	}
	if i.Manifest.Digest != Digest(manifest.SHA256) {
		return fmt.Errorf("the manifest's digest is %q, its file's %q",
			i.Manifest.Digest, Digest(manifest.SHA256))
	}
	return nil
}

func (f File) check() error {
	if !hexDigest.MatchString(f.SHA256) {
		return fmt.Errorf("%q: %q is no sha256", f.Path, f.SHA256)
	}
	if f.Size < 0 {
		return fmt.Errorf("%q has a negative size", f.Path)
	}
	if blob := blobPath.FindStringSubmatch(f.Path); blob != nil {
		if blob[1] != f.SHA256 {
			return fmt.Errorf("%s: its sha256 is said to be %s", f.Path, f.SHA256)
		}
		return nil
	}
	if f.Path != ManifestPath {
		return fmt.Errorf("%q is neither a blob nor the manifest", f.Path)
	}
	return nil
}

// layer is the part of Ollama's manifest that names a blob.
type layer struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// Blobs are the blobs that Ollama's manifest names.
func Blobs(manifest []byte) ([]File, error) {
	var parsed struct {
		Config layer   `json:"config"`
		Layers []layer `json:"layers"`
	}
	if err := json.Unmarshal(manifest, &parsed); err != nil {
		return nil, fmt.Errorf("the manifest can't be read: %w", err)
	}
	var files []File
	for _, each := range append([]layer{parsed.Config}, parsed.Layers...) {
		sum, found := cutDigest(each.Digest)
		if !found {
			return nil, fmt.Errorf("the manifest names %q, which is no sha256", each.Digest)
		}
		files = append(files, File{Path: BlobPath(sum), Size: each.Size, SHA256: sum})
	}
	return files, nil
}

// CheckComplete says which blob of the manifest the index lacks.
func (i Index) CheckComplete(manifest []byte) error {
	blobs, err := Blobs(manifest)
	if err != nil {
		return err
	}
	for _, blob := range blobs {
		if listed, ok := i.File(blob.Path); !ok || listed != blob {
			return fmt.Errorf("the manifest names %s of %d bytes, %s doesn't",
				path.Base(blob.Path), blob.Size, IndexName)
		}
	}
	return nil
}

func cutDigest(digest string) (string, bool) {
	if len(digest) <= len(digestPrefix) || digest[:len(digestPrefix)] != digestPrefix {
		return "", false
	}
	sum := digest[len(digestPrefix):]
	return sum, hexDigest.MatchString(sum)
}

// Load reads the index of the store on disk.
func Load(folder string) (Index, error) {
	data, err := os.ReadFile(path.Join(folder, IndexName))
	if err != nil {
		return Index{}, err
	}
	return Parse(data)
}

// Sum is the sha256 of what r has, in hex; each piece read is counted.
func Sum(r io.Reader, count func(int64)) (string, error) {
	hash := sha256.New()
	buffer := make([]byte, 1<<20)
	for {
		n, err := r.Read(buffer)
		hash.Write(buffer[:n])
		count(int64(n))
		if err == io.EOF {
			return hex.EncodeToString(hash.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}
