package remote

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"moltghost.dev/agent-tools/internal/fakes3"
)

const impatience = 100 * time.Millisecond

// inParts uploads "abcdefghij" in three parts with a client that waits a moment for headers.
func inParts(t *testing.T) error {
	t.Helper()
	prefix, err := OpenPrefix(t.Context(), "s3://bucket/x")
	if err != nil {
		t.Fatal(err)
	}
	prefix.Client = s3.New(prefix.Client.Options(), func(o *s3.Options) {
		o.HTTPClient = o.HTTPClient.(*awshttp.BuildableClient).WithTransportOptions(
			func(t *http.Transport) { t.ResponseHeaderTimeout = impatience })
	})
	m := &multipart{
		Uploader: &Uploader{
			Prefix: prefix, Patience: &Patience{Budget: 10 * time.Second, Say: func(string) {}},
			Count: func(int64) {}, Say: func(string) {},
		},
		path: "whole", size: 10, part: 4, data: strings.NewReader("abcdefghij"),
	}
	return m.run(t.Context())
}

func isCompletion(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

func TestTheAnswerToAnAssemblyIsWaitedFor(t *testing.T) {
	server := fakes3.New(t)
	var completions atomic.Int32
	server.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if isCompletion(r) {
			completions.Add(1)
			time.Sleep(5 * impatience)
		}
		return false
	})
	if err := inParts(t); err != nil {
		t.Fatal(err)
	}
	if completions.Load() != 1 {
		t.Errorf("it was asked for %d times", completions.Load())
	}
}

func TestWhatIsStillBeingAssembledIsNotDone(t *testing.T) {
	server := fakes3.New(t)
	server.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		if isCompletion(r) {
			time.AfterFunc(5*impatience, func() { server.Put("x/whole", []byte("abcdefghij")) })
			fmt.Fprint(w, "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
			return true
		}
		return false
	})
	if err := inParts(t); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(server.Get("x/whole"), []byte("abcdefghij")) {
		t.Error("it went on without the object")
	}
}
