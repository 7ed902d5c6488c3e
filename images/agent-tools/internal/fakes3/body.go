package fakes3

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Objects of the fake have no time.
var zero time.Time

// body reads a request's content, which the SDK may send in aws-chunked encoding: each chunk with
// its size in hex before it, and checksums after the last one of size 0.
func body(r *http.Request) ([]byte, error) {
	if !strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
		return io.ReadAll(r.Body)
	}
	reader := bufio.NewReader(r.Body)
	var whole []byte
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return nil, err
		}
		var size int64
		if _, err := fmt.Sscanf(line, "%x", &size); err != nil {
			return nil, err
		}
		if size == 0 {
			return whole, nil
		}
		chunk := make([]byte, size+2) // and the line's end
		if _, err := io.ReadFull(reader, chunk); err != nil {
			return nil, err
		}
		whole = append(whole, chunk[:size]...)
	}
}
