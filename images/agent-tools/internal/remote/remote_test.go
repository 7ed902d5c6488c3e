package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"moltghost.dev/agent-tools/internal/fakes3"
)

func TestURLsOfStores(t *testing.T) {
	for url, want := range map[string]string{
		"s3://b/stores/x":   "s3://b/stores/x/f",
		"s3://b/stores/x//": "s3://b/stores/x/f",
		"s3://b":            "s3://b/f",
		"s3:///x":           "", "https://b/x": "", "": "",
	} {
		fakes3.New(t)
		prefix, err := OpenPrefix(t.Context(), url)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "no URL like s3://bucket/prefix") {
				t.Errorf("%q: %v", url, err)
			}
		} else if err != nil || prefix.URL("f") != want {
			t.Errorf("%q: %v %v", url, prefix, err)
		}
	}
}

func TestWithoutCredentialsRequestsAreAnonymous(t *testing.T) {
	server := fakes3.New(t)
	server.Put("x/f", []byte("data"))
	for _, signed := range []bool{true, false} {
		if !signed {
			t.Setenv("AWS_ACCESS_KEY_ID", "")
		}
		var authorization string
		server.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
			authorization = r.Header.Get("Authorization")
			return false
		})
		prefix, err := OpenPrefix(t.Context(), "s3://bucket/x")
		if err != nil {
			t.Fatal(err)
		}
		if data, err := prefix.Get(t.Context(), "f", 100); err != nil || string(data) != "data" {
			t.Fatal(data, err)
		}
		if (authorization != "") != signed {
			t.Errorf("signed %v: %q", signed, authorization)
		}
	}
}

func TestCredentialsThatFailAreAnError(t *testing.T) {
	server := fakes3.New(t)
	server.Put("x/f", []byte("data"))
	agent := httptest.NewServer(http.NotFoundHandler())
	defer agent.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.URL)
	prefix, err := OpenPrefix(t.Context(), "s3://bucket/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prefix.Get(t.Context(), "f", 100); err == nil || server.Count("GET") > 0 {
		t.Errorf("it went on without: %v", err)
	}
}

func TestABucketOfAWSNeedsItsRegion(t *testing.T) {
	fakes3.New(t)
	t.Setenv("AWS_ENDPOINT_URL_S3", "")
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	_, err := OpenPrefix(t.Context(), "s3://bucket/x")
	if err == nil || !strings.Contains(err.Error(), "AWS_REGION isn't set") {
		t.Errorf("got %v", err)
	}
}

func TestASmallObjectThatIsTooLongIsRefused(t *testing.T) {
	server := fakes3.New(t)
	server.Put("x/f", []byte("123456"))
	prefix, err := OpenPrefix(t.Context(), "s3://bucket/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prefix.Get(t.Context(), "f", 5); !errors.Is(err, ErrSize) {
		t.Errorf("got %v", err)
	}
}

func TestWhatTryingAgainMends(t *testing.T) {
	for status, lasting := range map[int]bool{
		400: true, 401: true, 403: true, 404: true, 412: true, 416: true, 501: false,
		408: false, 409: false, 429: false, 500: false, 503: false,
	} {
		if got := Lasting(fromStatus(status, errors.New("x"))); got != lasting {
			t.Errorf("%d: %v", status, got)
		}
	}
}

func TestPatienceEnds(t *testing.T) {
	var said []string
	p := &Patience{Budget: 1500 * time.Millisecond, Say: func(m string) { said = append(said, m) }}
	tries := 0
	err := p.Do(t.Context(), "the store", func(context.Context) error {
		tries++
		return errors.New("connection refused")
	})
	if !errors.Is(err, ErrAway) || !strings.Contains(err.Error(), "the store: can't be reached for") ||
		!strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v", err)
	}
	if tries < 3 || tries > 10 || len(said) != 1 {
		t.Errorf("%d tries, said %q", tries, said)
	}
}

func TestPatienceIsOverAtOnceWhereItMendsNothing(t *testing.T) {
	p := &Patience{Budget: time.Hour, Say: func(string) {}}
	err := p.Do(t.Context(), "x", func(context.Context) error { return ErrNotFound })
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = p.Do(ctx, "x", func(context.Context) error {
		cancel()
		return errors.New("cut")
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestASourceBehindHTTPSIsReadInRanges(t *testing.T) {
	content := []byte("0123456789")
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/file", http.StatusFound)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	defer server.Close()
	object, size, err := openHTTPS(t.Context(), server.Client(), server.URL+"/moved")
	if err != nil || size != 10 {
		t.Fatal(size, err)
	}
	body, err := object.Read(t.Context(), 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if data, _ := io.ReadAll(body); string(data) != "3456" {
		t.Errorf("%q", data)
	}
	content = []byte("changed")
	if _, err := object.Read(t.Context(), 0, 1); !errors.Is(err, ErrSize) {
		t.Errorf("a source that changed on the way: %v", err)
	}
}

func TestAServerWithoutRangesIsRefused(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("all of it"))
	}))
	defer server.Close()
	_, _, err := openHTTPS(t.Context(), server.Client(), server.URL)
	if err == nil || !strings.Contains(err.Error(), "doesn't answer ranges") || !Lasting(err) {
		t.Errorf("got %v", err)
	}
}

func TestARedirectAwayFromHTTPSIsRefused(t *testing.T) {
	request := httptest.NewRequest(http.MethodGet, "http://example.org/x", nil)
	if err := onlyHTTPS(request, nil); err == nil || !strings.Contains(err.Error(), "isn't https") {
		t.Errorf("got %v", err)
	}
}
