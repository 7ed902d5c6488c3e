package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Open finds the object at an s3:// or https:// URL and its size.
func Open(ctx context.Context, url string) (Object, int64, error) {
	if strings.HasPrefix(url, "https://") {
		return openHTTPS(ctx, newHTTPClient(), url)
	}
	folder, name := url, ""
	if slash := strings.LastIndex(url, "/"); slash > len("s3://") {
		folder, name = url[:slash], url[slash+1:]
	}
	prefix, err := OpenPrefix(ctx, folder)
	if err != nil {
		return nil, 0, err
	}
	size, err := prefix.Size(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	return prefix.Object(name, size), size, nil
}

func newHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: dialTimeout}).DialContext
	transport.ResponseHeaderTimeout = headerTimeout
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns
	return &http.Client{Transport: transport, CheckRedirect: onlyHTTPS}
}

func onlyHTTPS(request *http.Request, via []*http.Request) error {
	if request.URL.Scheme != "https" {
		return fmt.Errorf("it redirects to %s, which isn't https", request.URL.Redacted())
	}
	if len(via) >= 10 {
		return errors.New("it redirects ten times")
	}
	return nil
}

type httpsObject struct {
	client *http.Client
	url    string
	size   int64
}

// openHTTPS asks for the first byte: the answer has the size, and shows that ranges work.
func openHTTPS(ctx context.Context, client *http.Client, url string) (Object, int64, error) {
	object := &httpsObject{client: client, url: url}
	response, err := object.get(ctx, 0, 1)
	if err != nil {
		return nil, 0, err
	}
	response.Body.Close()
	size, err := totalSize(response.Header.Get("Content-Range"))
	object.size = size
	return object, size, err
}

func (o *httpsObject) Name() string { return o.url }

func (o *httpsObject) Read(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	response, err := o.get(ctx, offset, length)
	if err != nil {
		return nil, err
	}
	if err := checkRange(response.Header.Get("Content-Range"), o.size); err != nil {
		response.Body.Close()
		return nil, err
	}
	return response.Body, nil
}

func (o *httpsObject) get(ctx context.Context, offset, length int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	response, err := o.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusPartialContent {
		return response, nil
	}
	response.Body.Close()
	if response.StatusCode < 300 {
		return nil, errNoRanges
	}
	return nil, fromStatus(response.StatusCode, errors.New(response.Status))
}
