package loader

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"moltghost.dev/agent-tools/internal/fakeollama"
	"moltghost.dev/agent-tools/internal/progress"
	"moltghost.dev/agent-tools/internal/store"
)

const model = "moltghost/agent:current"

var planned = fakeollama.Model{
	Digest: digest, Trained: 131072, Size: 9823158272, SizeVRAM: 9823158272,
}

// running is a loader at work.
type running struct {
	*Loader
	address string
	out     *safeBuffer
	ended   chan error
	stop    context.CancelFunc
}

func start(t *testing.T, server *fakeollama.Server) *running {
	t.Helper()
	folder := t.TempDir()
	index := store.Index{
		Version:  1,
		Manifest: store.Manifest{Path: store.ManifestPath, Digest: store.Digest(digest)},
		Files: []store.File{
			{Path: store.ManifestPath, Size: 412, SHA256: digest},
			{Path: store.BlobPath(digest), Size: fileBytes, SHA256: digest},
		},
	}
	data, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, store.IndexName), data, 0o644); err != nil {
		t.Fatal(err)
	}
	out := &safeBuffer{}
	config := Config{
		Ollama: server.URL, Store: folder, Model: model, Context: 32768, GPUs: 1, PredictedBytes: 1e10,
	}
	loader, err := New(config, progress.NewReporter(out))
	if err != nil {
		t.Fatal(err)
	}
	loader.period, loader.longestAnswer = 10*time.Millisecond, 500*time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stop := loader.serve(listener)
	r := &running{
		Loader: loader, address: listener.Addr().String(), out: out, ended: make(chan error, 1),
		stop: cancel,
	}
	go func() { r.ended <- loader.Run(ctx) }()
	t.Cleanup(func() { cancel(); stop() })
	return r
}

// eventually waits until a check says yes (or no).
func (r *running) eventually(t *testing.T, question string, yes bool) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if err = check(t.Context(), r.address, question); (err == nil) == yes {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s never became %v: %v\n%s", question, yes, err, r.out)
}

func (r *running) failure(t *testing.T) *progress.Failure {
	t.Helper()
	select {
	case err := <-r.ended:
		failure, ok := err.(*progress.Failure)
		if !ok {
			t.Fatalf("it ended with %v", err)
		}
		return failure
	case <-time.After(10 * time.Second):
		t.Fatalf("it didn't end\n%s", r.out)
		return nil
	}
}

func TestTheWarmUpIsWhatOpenClawsChatsNeed(t *testing.T) {
	server := fakeollama.New(t, planned)
	start(t, server).eventually(t, "proven", true)
	// What OpenClaw 2026.9.6 sends with a chat (runtime reference, measured).
	chat := `{"model":"moltghost/agent:current","messages":[{"role":"user","content":"hi"}],"stream":true,
		"options":{"num_ctx":32768},"shift":false,"truncate":false,"think":false,"keep_alive":-1}`
	response, err := http.Post(server.URL+"/api/chat", "application/json", strings.NewReader(chat))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	if server.Loads() != 1 {
		t.Errorf("the model was loaded %d times", server.Loads())
	}
}

// Every field that 0.33 compares is either OpenClaw's or left to Ollama.
func TestNothingElseThatDecidesAboutAReloadIsSent(t *testing.T) {
	var decides struct{ Options, Request []string }
	fixture(t, "reload.json", &decides)
	server := fakeollama.New(t, planned)
	start(t, server).eventually(t, "proven", true)
	bodies := server.Bodies()
	if len(bodies) < 2 {
		t.Fatalf("%d requests", len(bodies))
	}
	for _, body := range bodies {
		if body["shift"] != false || body["keep_alive"] != -1.0 {
			t.Errorf("%v", body)
		}
		for name, value := range body["options"].(map[string]any) {
			if slices.Contains(decides.Options, name) && (name != "num_ctx" || value != 32768.0) {
				t.Errorf("option %s is %v", name, value)
			}
		}
	}
}

func TestTheAnswerToAWarmUpIsRead(t *testing.T) {
	var answer struct {
		Done       bool
		DoneReason string `json:"done_reason"`
	}
	fixture(t, "load.json", &answer)
	if !answer.Done || answer.DoneReason != "load" {
		t.Errorf("%+v", answer)
	}
}

func TestAProvenModelIsReportedWithPredictedAndActualMemory(t *testing.T) {
	r := start(t, fakeollama.New(t, planned))
	r.eventually(t, "healthy", true)
	r.eventually(t, "proven", true)
	for _, part := range []string{
		`"stage":"ready"`, `"size":9823158272`, `"predicted":10000000000`, `"context":32768`,
	} {
		if !strings.Contains(r.out.String(), part) {
			t.Errorf("%s isn't in %s", part, r.out)
		}
	}
	metrics := r.metrics()
	for _, line := range []string{
		"moltghost_loader_proven 1", "moltghost_loader_healthy 1",
		"moltghost_loader_predicted_bytes 1e+10", "moltghost_loader_gpu_memory_bytes 9.823158272e+09",
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("%s isn't in\n%s", line, metrics)
		}
	}
}

func TestWhatIsNotAsPlannedEndsTheLoaderBeforeAnythingIsProven(t *testing.T) {
	const next = "log of"
	for _, test := range []struct {
		name  string
		spoil func(*fakeollama.Server)
		what  string
		next  string
	}{
		{"another model", func(s *fakeollama.Server) {
			s.SetModel(fakeollama.Model{Digest: "other", Trained: 131072, Size: 9, SizeVRAM: 9})
		}, "another model is loaded", "delete the pod"},
		{"a part of it on the CPU", func(s *fakeollama.Server) {
			s.SetModel(fakeollama.Model{Digest: digest, Trained: 131072, Size: 9, SizeVRAM: 5})
		}, "5 of its 9 bytes", "more memory than its plan"},
		{"no known memory", func(s *fakeollama.Server) {
			s.SetModel(fakeollama.Model{Digest: digest, Size: fileBytes, SizeVRAM: fileBytes})
		}, "size of the model's file", "more memory than its plan"},
		{"a shorter trained context", func(s *fakeollama.Server) {
			s.SetModel(fakeollama.Model{Digest: digest, Trained: 8192, Size: 9, SizeVRAM: 9})
		}, "8192 tokens, not", "a shorter context"},
		{"a load that fails", func(s *fakeollama.Server) {
			s.Break("cudaMalloc failed: out of memory")
		}, "cudaMalloc failed: out of memory", next},
		{"a model that never writes", func(s *fakeollama.Server) { s.Hang() }, "deadline exceeded", next},
		{"a model that writes nothing", func(s *fakeollama.Server) { s.Mute() }, "writes nothing", next},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := fakeollama.New(t, planned)
			test.spoil(server)
			r := start(t, server)
			failure := r.failure(t)
			if !strings.Contains(failure.What, test.what) || !strings.Contains(failure.Next, test.next) {
				t.Errorf("%+v", failure)
			}
			if err := check(t.Context(), r.address, "proven"); err == nil {
				t.Error("it says that the model is proven")
			}
		})
	}
}

func TestOllamaThatStartsLateIsWaitedFor(t *testing.T) {
	server := fakeollama.New(t, planned)
	server.Kill()
	r := start(t, server)
	time.Sleep(200 * time.Millisecond)
	if err := check(t.Context(), r.address, "proven"); err == nil {
		t.Error("it says that the model is proven")
	}
	r.stop()
	if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("it ended with %v", err)
	}
}

func TestALostLoadIsMadeGoodAndReported(t *testing.T) {
	server := fakeollama.New(t, planned)
	r := start(t, server)
	r.eventually(t, "proven", true)
	server.Unload()
	for deadline := time.Now().Add(10 * time.Second); server.Loads() < 2; {
		if time.Now().After(deadline) {
			t.Fatal("nobody loaded it again")
		}
		if err := check(t.Context(), r.address, "healthy"); err != nil {
			t.Errorf("a mere reload took the pod out: %v", err)
		}
	}
	r.eventually(t, "proven", true)
	if !strings.Contains(r.metrics(), "moltghost_loader_reloads_total 1\n") {
		t.Error(r.metrics())
	}
	if !strings.Contains(r.out.String(), "loading again: the model isn't loaded") {
		t.Error(r.out)
	}
}

func TestALoadWithOtherOptionsIsMadeGood(t *testing.T) {
	server := fakeollama.New(t, planned)
	r := start(t, server)
	r.eventually(t, "proven", true)
	body := strings.NewReader(`{"messages":[{}],"options":{"num_ctx":2048},"shift":false}`)
	if _, err := http.Post(server.URL+"/api/chat", "application/json", body); err != nil {
		t.Fatal(err)
	}
	for server.Loads() < 3 {
		time.Sleep(time.Millisecond)
	}
	r.eventually(t, "proven", true)
	r.eventually(t, "healthy", true)
}

func TestAnotherModelTakesThePodOutAtOnceAndItComesBack(t *testing.T) {
	server := fakeollama.New(t, planned)
	r := start(t, server)
	r.eventually(t, "proven", true)
	server.SetModel(fakeollama.Model{Digest: "other", Trained: 131072, Size: 9, SizeVRAM: 9})
	r.eventually(t, "healthy", false)
	if err := check(t.Context(), r.address, "proven"); err == nil {
		t.Error("another model is said to be proven")
	}
	server.SetModel(planned)
	r.eventually(t, "healthy", true)
	r.eventually(t, "proven", true)
}

func TestAModelThatMovesToTheCPUTakesThePodOutUntilItIsBack(t *testing.T) {
	server := fakeollama.New(t, planned)
	r := start(t, server)
	r.eventually(t, "proven", true)
	onCPU := planned
	onCPU.SizeVRAM = 1
	server.SetModel(onCPU)
	r.eventually(t, "healthy", false)
	server.SetModel(planned)
	r.eventually(t, "healthy", true)
}

func TestOllamaThatIsKilledForGoodTakesThePodOut(t *testing.T) {
	server := fakeollama.New(t, planned)
	r := start(t, server)
	r.eventually(t, "proven", true)
	server.Kill()
	r.eventually(t, "proven", false)
	r.eventually(t, "healthy", false)
	select {
	case err := <-r.ended:
		t.Errorf("the loader ended with %v", err)
	default:
	}
}

func TestProvenIsAskedOfOllamaEachTime(t *testing.T) {
	server := fakeollama.New(t, planned)
	r := start(t, server)
	r.eventually(t, "proven", true)
	r.stop()
	<-r.ended // the watch no longer looks
	server.Unload()
	err := check(t.Context(), r.address, "proven")
	if err == nil || !strings.Contains(err.Error(), "isn't loaded") {
		t.Errorf("got %v", err)
	}
}

func TestNoLoaderIsNoProof(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	err = check(t.Context(), listener.Addr().String(), "proven")
	if err == nil || !strings.Contains(err.Error(), "the loader doesn't answer") {
		t.Errorf("got %v", err)
	}
}

func TestWithoutAStoreThereIsNothingToExpect(t *testing.T) {
	_, err := New(Config{Store: t.TempDir()}, progress.NewReporter(&bytes.Buffer{}))
	if err == nil || !strings.Contains(err.Error(), "there is no store") {
		t.Errorf("got %v", err)
	}
}

// safeBuffer is a buffer that a loader and a test use at a time.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
