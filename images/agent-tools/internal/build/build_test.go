package build

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"moltghost.dev/agent-tools/internal/fakegguf"
	"moltghost.dev/agent-tools/internal/fakeollama"
	"moltghost.dev/agent-tools/internal/fakes3"
	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/remote"
	"moltghost.dev/agent-tools/internal/store"
	"moltghost.dev/agent-tools/internal/weights"
)

const prefix = "stores/ollama-0.17.4/tiny/Q4_K_M/"

const (
	fullPrecision = 1 // F16
	quantized     = 15
)

type example struct {
	s3     *fakes3.Server
	ollama *fakeollama.Server
	how    fakeollama.Creating
	source []byte
	args   map[string]string
	out    bytes.Buffer
}

func newExample(t *testing.T, source []byte) *example {
	t.Helper()
	models := t.TempDir()
	e := &example{
		s3: fakes3.New(t), ollama: fakeollama.New(t, fakeollama.Model{}), source: source,
		how: fakeollama.Creating{Models: models, Version: "0.17.4"},
	}
	t.Setenv("BUILD_OLLAMA", e.ollama.URL)
	e.s3.Put("sources/"+sum(source)+".gguf", source)
	e.args = map[string]string{
		"source": "s3://bucket/sources/" + sum(source) + ".gguf", "sha256": sum(source),
		"source-name": "hf:tiny", "licence": "MIT", "to": "s3://bucket/" + prefix, "models": models,
		"model": "tiny", "quantization": "Q4_K_M", "quantize": "q4_K_M", "ollama-version": "0.17.4",
	}
	return e
}

func (e *example) build(t *testing.T) error {
	t.Helper()
	e.ollama.Create(e.how)
	return e.again(t)
}

// again builds without a new Ollama.
func (e *example) again(t *testing.T) error {
	t.Helper()
	var args []string
	for name, value := range e.args {
		args = append(args, "--"+name+"="+value)
	}
	return Main(t.Context(), args, progress.NewReporter(&e.out))
}

func (e *example) index(t *testing.T) store.Index {
	t.Helper()
	index, err := store.Parse(e.s3.Get(prefix + store.IndexName))
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// sourceOf is a GGUF file with so many bytes after its head.
func sourceOf(fileType int, template string, bytes int) []byte {
	tail := make([]byte, bytes)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(tail)
	return append(fakegguf.File(fileType, template), tail...)
}

func sum(data []byte) string {
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

func TestAStoreIsBuiltAndCanBeRead(t *testing.T) {
	e := newExample(t, sourceOf(fullPrecision, "{{ x }}", 5000))
	if err := e.build(t); err != nil {
		t.Fatal(err)
	}
	index := e.index(t)
	if index.Model != "tiny" || index.Quantization != "Q4_K_M" || index.OllamaVersion != "0.17.4" ||
		index.Source != "hf:tiny" || index.Licence != "MIT" || len(index.Files) != 3 {
		t.Errorf("%+v", index)
	}
	from, err := remote.OpenPrefix(t.Context(), "s3://bucket/"+prefix)
	if err != nil {
		t.Fatal(err)
	}
	if err := weights.Fetch(t.Context(), from, t.TempDir(), progress.NewReporter(&e.out)); err != nil {
		t.Errorf("agent-tools weights refuses it: %v", err)
	}
	for _, stage := range []string{"select", "download", "quantize", "publish"} {
		if !strings.Contains(e.out.String(), `{"stage":"`+stage+`"`) {
			t.Errorf("no line of stage %s", stage)
		}
	}
	request := e.ollama.Bodies()[0]
	if request["model"] != "moltghost/agent:current" || request["quantize"] != "q4_K_M" {
		t.Errorf("%v", request)
	}
}

func TestTheIndexIsWrittenLastAndOnlyIfAbsent(t *testing.T) {
	e := newExample(t, sourceOf(fullPrecision, "x", 5000))
	var condition atomic.Value
	e.s3.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, store.IndexName) {
			condition.Store(r.Header.Get("If-None-Match"))
		}
		return false
	})
	if err := e.build(t); err != nil {
		t.Fatal(err)
	}
	requests := e.s3.Requests()
	if last := requests[len(requests)-1]; last != "PUT "+prefix+store.IndexName {
		t.Errorf("the last request is %s", last)
	}
	if condition.Load() != "*" {
		t.Errorf("If-None-Match is %v", condition.Load())
	}
}

func TestABlobThatIsRemovedWhileItIsPublishedLeavesNoStore(t *testing.T) {
	e := newExample(t, sourceOf(quantized, "x", 5000))
	delete(e.args, "quantize")
	e.s3.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, store.ManifestPath) {
			e.s3.Put(prefix+store.BlobPath(sum(e.source)), nil)
		}
		return false
	})
	wantFailure(t, e.build(t), "somebody removed it", "what is there is kept")
	if e.s3.Get(prefix+store.IndexName) != nil {
		t.Error("it became a store")
	}
}

func TestAStoreThatIsThereIsLeftAlone(t *testing.T) {
	e := newExample(t, sourceOf(fullPrecision, "x", 5000))
	if err := e.build(t); err != nil {
		t.Fatal(err)
	}
	puts := e.s3.Count("PUT ")
	if err := e.again(t); err != nil {
		t.Fatal(err)
	}
	if e.s3.Count("PUT ") != puts || len(e.ollama.Bodies()) != 1 {
		t.Error("it was built again")
	}
	if !strings.Contains(e.out.String(), "is there already") {
		t.Error(e.out.String())
	}
}

func TestTwoJobsAtATimeMakeOneStore(t *testing.T) {
	e := newExample(t, sourceOf(fullPrecision, "x", 5000))
	var other []byte
	e.s3.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		// Just before this job's index, another's is written.
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, store.ManifestPath) {
			index := store.Index{Version: 1, Source: "the other", Files: []store.File{
				{Path: store.ManifestPath, Size: 1, SHA256: sum(nil)},
			}}
			index.Manifest = store.Manifest{Path: store.ManifestPath, Digest: store.Digest(sum(nil))}
			other, _ = json.Marshal(index)
			e.s3.Put(prefix+store.IndexName, other)
		}
		return false
	})
	if err := e.build(t); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(e.s3.Get(prefix+store.IndexName), other) {
		t.Error("the other's store was overwritten")
	}
}

func TestOnlyFullPrecisionIsQuantized(t *testing.T) {
	e := newExample(t, sourceOf(quantized, "x", 100))
	wantFailure(t, e.build(t), "is Q4_K_M already", "leave --quantize out")
	if len(e.ollama.Bodies()) != 0 {
		t.Error("Ollama was asked all the same")
	}
}

func TestAFinishedFileIsTakenAsItIs(t *testing.T) {
	e := newExample(t, sourceOf(quantized, "x", 100))
	delete(e.args, "quantize")
	if err := e.build(t); err != nil {
		t.Fatal(err)
	}
	if _, asked := e.ollama.Bodies()[0]["quantize"]; asked {
		t.Error("it was quantized")
	}
}

func TestAFinishedFileOfAnotherQuantizationIsRefused(t *testing.T) {
	e := newExample(t, sourceOf(7, "x", 100))
	delete(e.args, "quantize")
	wantFailure(t, e.build(t), "is Q8_0, the store is to be Q4_K_M", "--quantize")
}

func TestWhatOllamaCannotMakeIsRefusedAtOnce(t *testing.T) {
	e := newExample(t, sourceOf(fullPrecision, "x", 100))
	e.args["quantize"] = "q5_K_M"
	if err := e.build(t); err == nil || !strings.Contains(err.Error(), `q4_K_M, q4_K_S, q8_0, not "q5_K_M"`) {
		t.Errorf("got %v", err)
	}
}

func TestTheTemplateOfTheOptionsIsForSourcesWithoutOne(t *testing.T) {
	for template, want := range map[string]any{"": "{{ .Prompt }}", "{{ its own }}": nil} {
		e := newExample(t, sourceOf(fullPrecision, template, 100))
		t.Setenv("BUILD_OPTIONS",
			`{"template":"{{ .Prompt }}","system":"Be kind.","parameters":{"stop":["<end>"]}}`)
		if err := e.build(t); err != nil {
			t.Fatal(err)
		}
		request := e.ollama.Bodies()[0]
		if request["template"] != want || request["system"] != "Be kind." ||
			(request["parameters"] != nil) != (want != nil) {
			t.Errorf("%q: %v", template, request)
		}
	}
}

func TestOptionsThatNobodyKnowsAreRefused(t *testing.T) {
	e := newExample(t, sourceOf(fullPrecision, "", 100))
	t.Setenv("BUILD_OPTIONS", `{"temprate":"x"}`)
	if err := e.build(t); err == nil || !strings.Contains(err.Error(), "temprate") {
		t.Errorf("got %v", err)
	}
}

func TestAnErrorInsideOllamasStreamIsOne(t *testing.T) {
	e := newExample(t, sourceOf(fullPrecision, "x", 100))
	e.how.Fails = "write /models/blobs: no space left on device"
	wantFailure(t, e.build(t), "no space left", "twice the result")
	if e.s3.Count("PUT ") != 0 {
		t.Error("something was published")
	}
}

func TestAStreamThatEndsWithoutSuccessIsAnError(t *testing.T) {
	e := newExample(t, sourceOf(fullPrecision, "x", 100))
	e.how.Breaks = true
	if err := e.build(t); err == nil || !strings.Contains(err.Error(), "not with success") {
		t.Errorf("got %v", err)
	}
}

func TestAnotherOllamaThanPlannedIsRefused(t *testing.T) {
	e := newExample(t, sourceOf(fullPrecision, "x", 100))
	e.how.Version = "0.33.3"
	wantFailure(t, e.build(t), "is 0.33.3, the store is for 0.17.4", "images.json")
}

func TestASourceWithAnotherSumIsRefused(t *testing.T) {
	e := newExample(t, sourceOf(fullPrecision, "x", 100))
	e.s3.Put("sources/"+sum(e.source)+".gguf", bytes.Repeat([]byte("x"), len(e.source)))
	wantFailure(t, e.build(t), "is corrupt", "isn't the one that was meant")
	if _, err := os.Stat(filepath.Join(e.how.Models, store.BlobPath(sum(e.source)))); err == nil {
		t.Error("it is kept")
	}
}

func TestASourceThatIsNoModelIsRefused(t *testing.T) {
	e := newExample(t, []byte("this is not a model, whatever its name says"))
	wantFailure(t, e.build(t), "no GGUF file", "convert")
}

func TestASourceThatIsNotThereIsRefused(t *testing.T) {
	e := newExample(t, sourceOf(fullPrecision, "x", 100))
	e.s3.Put("sources/"+sum(e.source)+".gguf", nil)
	wantFailure(t, e.build(t), "not found", "weights add --from")
}

func TestAnUploadThatDoesNotReadBackIsMadeAgain(t *testing.T) {
	for name, spoiled := range map[string]int32{"once": 1, "always": 99} {
		t.Run(name, func(t *testing.T) {
			e := newExample(t, sourceOf(fullPrecision, "x", 5000))
			var uploads atomic.Int32
			e.s3.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") ||
					uploads.Add(1) > spoiled {
					return false
				}
				key := strings.TrimPrefix(r.URL.Path, "/bucket/")
				e.s3.Put(key, bytes.Repeat([]byte("x"), int(r.ContentLength)))
				return true
			})
			err := e.build(t)
			if spoiled == 1 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFailure(t, err, "doesn't read back", "damaged")
			if e.s3.Get(prefix+store.IndexName) != nil {
				t.Error("it became a store")
			}
		})
	}
}

// Two parts and a bit: the second fails, and the next job takes up the first.
func TestAnInterruptedUploadIsTakenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("it uploads 150 MB")
	}
	e := newExample(t, sourceOf(quantized, "x", 150<<20))
	delete(e.args, "quantize")
	e.s3.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("partNumber") != "2" {
			return false
		}
		// The others are uploaded at the same time; at least one of them arrives before this fails.
		for e.s3.Parts() == 0 && r.Context().Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		fakes3.Error(w, http.StatusBadRequest, "InvalidRequest")
		return true
	})
	if err := e.build(t); err == nil {
		t.Fatal("it says nothing")
	}
	if e.s3.Get(prefix+store.IndexName) != nil {
		t.Fatal("half of it became a store")
	}
	var parts atomic.Int32
	e.s3.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("partNumber") {
			parts.Add(1)
		}
		return false
	})
	if err := e.again(t); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(e.out.String(), "taking up the upload") || parts.Load() > 2 {
		t.Errorf("%d parts were uploaded again", parts.Load())
	}
	if !bytes.Equal(e.s3.Get(prefix+store.BlobPath(sum(e.source))), e.source) {
		t.Error("the parts don't make up the whole")
	}
}

func wantFailure(t *testing.T, err error, what, next string) {
	t.Helper()
	failure, ok := err.(*progress.Failure)
	if !ok || !strings.Contains(failure.What, what) || !strings.Contains(failure.Next, next) {
		t.Errorf("got %#v, want a failure with %q and %q", err, what, next)
	}
}
