package weights

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"moltghost.dev/agent-tools/internal/fakes3"
	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/remote"
	"moltghost.dev/agent-tools/internal/store"
	"moltghost.dev/agent-tools/internal/transfer"
)

const prefix = "stores/ollama-0.33.3/tiny/Q4_K_M/"

// Three chunks and a bit, so that ranges have an order to get wrong.
const (
	weightsBytes = 3*chunkBytes + 12345
	chunkBytes   = 8 << 20
)

type example struct {
	s3    *fakes3.Server
	index store.Index
	files map[string][]byte
	// blob is the path of the model's weights.
	blob string
	out  bytes.Buffer
}

func newExample(t *testing.T) *example {
	t.Helper()
	e := &example{s3: fakes3.New(t), files: map[string][]byte{}}
	weights := make([]byte, weightsBytes)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(weights)
	config, params := []byte(`{"model_format":"gguf"}`), []byte(`{"stop":["x"]}`)
	e.blob = store.BlobPath(sum(weights))
	layer := func(data []byte) string {
		e.files[store.BlobPath(sum(data))] = data
		return fmt.Sprintf(`{"digest":"sha256:%s","size":%d}`, sum(data), len(data))
	}
	e.files[store.ManifestPath] = fmt.Appendf(nil, `{"config":%s,"layers":[%s,%s]}`,
		layer(config), layer(weights), layer(params))
	e.index = store.Index{
		Version: 1, Model: "tiny", Quantization: "Q4_K_M",
		Manifest: store.Manifest{
			Path: store.ManifestPath, Digest: store.Digest(sum(e.files[store.ManifestPath])),
		},
	}
	for path, data := range e.files {
		e.index.Files = append(e.index.Files, store.File{
			Path: path, Size: int64(len(data)), SHA256: sum(data),
		})
		e.s3.Put(prefix+path, data)
	}
	e.publish(t)
	return e
}

func (e *example) publish(t *testing.T) {
	t.Helper()
	data, err := json.Marshal(e.index)
	if err != nil {
		t.Fatal(err)
	}
	e.s3.Put(prefix+store.IndexName, data)
}

func (e *example) fetch(t *testing.T, folder string) error {
	t.Helper()
	from, err := remote.OpenPrefix(t.Context(), "s3://"+fakes3.Bucket+"/"+prefix)
	if err != nil {
		t.Fatal(err)
	}
	return Fetch(t.Context(), from, folder, progress.NewReporter(&e.out))
}

func (e *example) check(t *testing.T, folder string) {
	t.Helper()
	for path, data := range e.files {
		read, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil || !bytes.Equal(read, data) {
			t.Errorf("%s differs: %v", path, err)
		}
	}
	if _, err := store.Load(folder); err != nil {
		t.Error(err)
	}
	_ = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, _ error) error {
		if strings.HasSuffix(path, transfer.Partial) {
			t.Errorf("%s is left behind", path)
		}
		return nil
	})
}

func sum(data []byte) string {
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

func isBlob(r *http.Request, e *example) bool {
	return strings.HasSuffix(r.URL.Path, e.blob)
}

func TestAStoreIsCopiedAndVerified(t *testing.T) {
	e, folder := newExample(t), t.TempDir()
	if err := e.fetch(t, folder); err != nil {
		t.Fatal(err)
	}
	e.check(t, folder)
	if n := e.s3.Count("GET " + prefix + e.blob); n != 4 {
		t.Errorf("the weights were read in %d ranges, not 4", n)
	}
	last := lastLine(t, &e.out)
	if last["stage"] != "copy" || last["done"] != last["total"] {
		t.Errorf("the last line is %v", last)
	}
}

func TestWhatIsThereAndVerifiesIsKept(t *testing.T) {
	e, folder := newExample(t), t.TempDir()
	for range 2 {
		if err := e.fetch(t, folder); err != nil {
			t.Fatal(err)
		}
	}
	e.check(t, folder)
	if n := e.s3.Count("GET " + prefix + e.blob); n != 4 {
		t.Errorf("the weights were read again: %d ranges", n)
	}
}

func TestADamagedBlobOnDiskIsNamedAndCopiedAgain(t *testing.T) {
	e, folder := newExample(t), t.TempDir()
	if err := e.fetch(t, folder); err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(e.files[e.blob])
	damaged[chunkBytes+7] ^= 1
	if err := os.WriteFile(filepath.Join(folder, e.blob), damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := e.fetch(t, folder); err != nil {
		t.Fatal(err)
	}
	e.check(t, folder)
	if !strings.Contains(e.out.String(), e.blob+" on disk is damaged") {
		t.Error("the damage isn't named")
	}
}

func TestAnObjectThatIsCorruptOnceIsFetchedAgain(t *testing.T) {
	e, folder := newExample(t), t.TempDir()
	var spoiled atomic.Bool
	e.s3.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		if !isBlob(r, e) || spoiled.Swap(true) {
			return false
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", chunkBytes-1, weightsBytes))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(make([]byte, chunkBytes))
		return true
	})
	if err := e.fetch(t, folder); err != nil {
		t.Fatal(err)
	}
	e.check(t, folder)
	if !strings.Contains(e.out.String(), "refused: s3://bucket/"+prefix+e.blob+" is corrupt") {
		t.Errorf("the object isn't named:\n%s", e.out.String())
	}
}

func TestAnObjectThatStaysCorruptIsRefusedByName(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"a flipped bit": func(data []byte) []byte { data[len(data)-1] ^= 1; return data },
		"cut short":     func(data []byte) []byte { return data[:len(data)-1] },
		"too long":      func(data []byte) []byte { return append(data, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			e, folder := newExample(t), t.TempDir()
			e.s3.Put(prefix+e.blob, spoil(bytes.Clone(e.files[e.blob])))
			err := e.fetch(t, folder)
			wantFailure(t, err, prefix+e.blob, "weights verify")
			if n := e.s3.Count("GET " + prefix + e.blob); n > 3*4 {
				t.Errorf("%d ranges were read", n)
			}
			for _, path := range []string{store.IndexName, e.blob, e.blob + transfer.Partial} {
				if _, err := os.Stat(filepath.Join(folder, path)); err == nil {
					t.Errorf("%s is there", path)
				}
			}
		})
	}
}

func TestAStoreThatIsAwayIsWaitedFor(t *testing.T) {
	e, folder := newExample(t), t.TempDir()
	start := time.Now()
	e.s3.SetFault(func(w http.ResponseWriter, _ *http.Request) bool {
		if time.Since(start) > 3*time.Second {
			return false
		}
		panic(http.ErrAbortHandler) // cuts the connection
	})
	if err := e.fetch(t, folder); err != nil {
		t.Fatal(err)
	}
	e.check(t, folder)
	for _, message := range []string{"can't be read for", "is back after"} {
		if !strings.Contains(e.out.String(), message) {
			t.Errorf("nothing says %q:\n%s", message, e.out.String())
		}
	}
}

func TestAStreamThatIsCutIsReadAgain(t *testing.T) {
	e, folder := newExample(t), t.TempDir()
	var cuts atomic.Int32
	e.s3.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		if !isBlob(r, e) || cuts.Add(1) > 3 {
			return false
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", chunkBytes-1, weightsBytes))
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(make([]byte, 10))
		panic(http.ErrAbortHandler)
	})
	if err := e.fetch(t, folder); err != nil {
		t.Fatal(err)
	}
	e.check(t, folder)
}

func TestAStoreWithoutIndexIsRefused(t *testing.T) {
	e := newExample(t)
	e.s3.Put(prefix+store.IndexName, nil)
	wantFailure(t, e.fetch(t, t.TempDir()), prefix+store.IndexName+" isn't there", "weights add")
}

func TestAStoreThatMayNotBeReadSaysSo(t *testing.T) {
	e := newExample(t)
	e.s3.SetFault(func(w http.ResponseWriter, _ *http.Request) bool {
		fakes3.Error(w, http.StatusForbidden, "AccessDenied")
		return true
	})
	wantFailure(t, e.fetch(t, t.TempDir()), "access denied", "the pod's role")
}

func TestABlobThatIsGoneIsNamed(t *testing.T) {
	e := newExample(t)
	e.s3.Put(prefix+e.blob, nil)
	wantFailure(t, e.fetch(t, t.TempDir()), e.blob, "weights verify")
}

func TestAnIncompleteStoreIsRefused(t *testing.T) {
	e := newExample(t)
	var files []store.File
	for _, file := range e.index.Files {
		if file.Path != e.blob {
			files = append(files, file)
		}
	}
	e.index.Files = files
	e.publish(t)
	folder := t.TempDir()
	wantFailure(t, e.fetch(t, folder), "the manifest names", "weights add")
	if _, err := store.Load(folder); err == nil {
		t.Error("what is incomplete became a store")
	}
}

func TestADiskThatIsTooSmallIsRefusedWithSizes(t *testing.T) {
	e := newExample(t)
	for i, file := range e.index.Files {
		if file.Path == e.blob {
			e.index.Files[i].Size = 1 << 60
		}
	}
	e.publish(t)
	wantFailure(t, e.fetch(t, t.TempDir()), "1152921504606847", "more space")
	if n := e.s3.Count("GET " + prefix + e.blob); n != 0 {
		t.Error("it began to copy")
	}
}

func TestADiskThatFillsUpOnTheWaySaysSo(t *testing.T) {
	target, err := transfer.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &fetch{folder: target}
	f.left.Store(4096)
	device, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	_, err = device.Write([]byte("x"))
	wantFailure(t, f.explain(err), "4096 bytes are still to be copied", "more space")
}

func TestNothingOutsideTheFolderIsWritten(t *testing.T) {
	e, folder := newExample(t), t.TempDir()
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(folder, "blobs")); err != nil {
		t.Fatal(err)
	}
	if err := e.fetch(t, folder); err == nil {
		t.Error("a link led out of the folder")
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("%v were written", entries)
	}
}

func TestAnInterruptedCopyIsNoStore(t *testing.T) {
	e, folder := newExample(t), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	e.s3.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if isBlob(r, e) {
			cancel()
		}
		return false
	})
	from, err := remote.OpenPrefix(ctx, "s3://"+fakes3.Bucket+"/"+prefix)
	if err != nil {
		t.Fatal(err)
	}
	if err := Fetch(ctx, from, folder, progress.NewReporter(&e.out)); err == nil {
		t.Error("it says nothing")
	}
	if _, err := store.Load(folder); err == nil {
		t.Error("half a copy became a store")
	}
	e.s3.SetFault(nil)
	if err := e.fetch(t, folder); err != nil {
		t.Fatal(err)
	}
	e.check(t, folder)
}

func wantFailure(t *testing.T, err error, what, next string) {
	t.Helper()
	failure, ok := err.(*progress.Failure)
	if !ok || !strings.Contains(failure.What, what) || !strings.Contains(failure.Next, next) {
		t.Errorf("got %#v, want a failure with %q and %q", err, what, next)
	}
}

func lastLine(t *testing.T, out *bytes.Buffer) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		t.Fatal(err)
	}
	return line
}
