// Package fakes3 is an S3 server for tests: as much of the protocol as agent-tools speaks, with
// faults on demand.
package fakes3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Fault answers a request in the server's place; it returns false to let it pass.
type Fault func(w http.ResponseWriter, r *http.Request) bool

// Server holds one bucket, "bucket".
type Server struct {
	URL string

	mu       sync.Mutex
	objects  map[string][]byte
	uploads  map[string]map[int][]byte
	keys     map[string]string
	fault    Fault
	requests []string
}

// Bucket is the only one.
const Bucket = "bucket"

// New starts a server and points the AWS SDK at it, with credentials.
func New(t *testing.T) *Server {
	t.Helper()
	s := &Server{
		objects: map[string][]byte{}, uploads: map[string]map[int][]byte{}, keys: map[string]string{},
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	t.Setenv("AWS_ENDPOINT_URL_S3", s.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	return s
}

// Put sets an object; nil removes it.
func (s *Server) Put(key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if data == nil {
		delete(s.objects, key)
		return
	}
	s.objects[key] = data
}

// Get returns an object, or nil.
func (s *Server) Get(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[key]
}

// SetFault sets what may answer instead; nil sets none.
func (s *Server) SetFault(fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Requests are those so far, like "GET stores/x/store.json".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count is the number of requests that begin with a prefix.
func (s *Server) Count(prefix string) int {
	count := 0
	for _, request := range s.Requests() {
		if strings.HasPrefix(request, prefix) {
			count++
		}
	}
	return count
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/"+Bucket), "/")
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+key)
	fault := s.fault
	s.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	query := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && query.Has("uploads"):
		s.createUpload(w, key)
	case r.Method == http.MethodPost && query.Has("uploadId"):
		s.completeUpload(w, r, key, query.Get("uploadId"))
	case r.Method == http.MethodGet && query.Has("uploads"):
		s.listUploads(w, query.Get("prefix"))
	case r.Method == http.MethodGet && query.Has("uploadId"):
		s.listParts(w, query.Get("uploadId"))
	case r.Method == http.MethodDelete && query.Has("uploadId"):
		s.abort(w, query.Get("uploadId"))
	case r.Method == http.MethodPut && query.Has("uploadId"):
		s.putPart(w, r, query.Get("uploadId"), query.Get("partNumber"))
	case r.Method == http.MethodPut:
		s.put(w, r, key)
	default:
		s.get(w, r, key)
	}
}

// Error writes an error as S3 does.
func Error(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, key string) {
	data := s.Get(key)
	if data == nil {
		Error(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	http.ServeContent(w, r, "", zero, bytes.NewReader(data))
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, key string) {
	data, err := body(r)
	if err != nil {
		Error(w, http.StatusBadRequest, "IncompleteBody")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.objects[key]; exists && r.Header.Get("If-None-Match") == "*" {
		Error(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	s.objects[key] = data
	w.Header().Set("ETag", etag(data))
}

// Parts is how many parts of unfinished uploads it has.
func (s *Server) Parts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	for _, parts := range s.uploads {
		count += len(parts)
	}
	return count
}

func (s *Server) createUpload(w http.ResponseWriter, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := strconv.Itoa(len(s.keys) + 1)
	s.uploads[id], s.keys[id] = map[int][]byte{}, key
	fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId>"+
		"</InitiateMultipartUploadResult>", id)
}

func (s *Server) putPart(w http.ResponseWriter, r *http.Request, id, number string) {
	data, err := body(r)
	part, numberErr := strconv.Atoi(number)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || numberErr != nil || s.uploads[id] == nil {
		Error(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	if r.Header.Get("X-Amz-Checksum-Sha256") != checksum(data) {
		Error(w, http.StatusBadRequest, "BadDigest")
		return
	}
	s.uploads[id][part] = data
	w.Header().Set("ETag", etag(data))
}

func (s *Server) listUploads(w http.ResponseWriter, prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprint(w, "<ListMultipartUploadsResult>")
	for id := range s.uploads {
		if strings.HasPrefix(s.keys[id], prefix) {
			fmt.Fprintf(w, "<Upload><Key>%s</Key><UploadId>%s</UploadId></Upload>", s.keys[id], id)
		}
	}
	fmt.Fprint(w, "</ListMultipartUploadsResult>")
}

func (s *Server) listParts(w http.ResponseWriter, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprint(w, "<ListPartsResult>")
	for number, data := range s.uploads[id] {
		fmt.Fprintf(w, "<Part><PartNumber>%d</PartNumber><Size>%d</Size><ETag>%s</ETag>"+
			"<ChecksumSHA256>%s</ChecksumSHA256></Part>", number, len(data), etag(data), checksum(data))
	}
	fmt.Fprint(w, "</ListPartsResult>")
}

func (s *Server) abort(w http.ResponseWriter, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uploads, id)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) completeUpload(w http.ResponseWriter, r *http.Request, key, id string) {
	var wanted struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	data, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := xml.Unmarshal(data, &wanted); err != nil || s.uploads[id] == nil {
		Error(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	var whole []byte
	for _, part := range wanted.Part {
		stored, ok := s.uploads[id][part.PartNumber]
		if !ok || etag(stored) != part.ETag {
			Error(w, http.StatusBadRequest, "InvalidPart")
			return
		}
		whole = append(whole, stored...)
	}
	s.objects[key] = whole
	delete(s.uploads, id)
	fmt.Fprintf(w, "<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>",
		etag(whole))
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func etag(data []byte) string {
	sum := md5.Sum(data)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}
