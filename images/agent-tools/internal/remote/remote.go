// Package remote reads objects that lie elsewhere: in S3, or behind HTTPS.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Object is something that can be read in ranges.
type Object interface {
	// Name says where it is, for messages.
	Name() string
	// Read opens length bytes from offset on. An object of another size than the one asked for is
	// refused with ErrSize.
	Read(ctx context.Context, offset, length int64) (io.ReadCloser, error)
}

// Errors that trying again doesn't mend.
var (
	ErrNotFound = errors.New("not found")
	ErrDenied   = errors.New("access denied")
	ErrSize     = errors.New("unexpected size")
)

// ErrAway is the error of what trying again should have mended, but didn't in time.
var ErrAway = errors.New("can't be reached")

// StatusError is another answer that trying again doesn't mend.
type StatusError struct {
	Status int
	Text   string
}

func (e *StatusError) Error() string { return fmt.Sprintf("HTTP %d: %s", e.Status, e.Text) }

// Lasting says whether trying again can't mend an error. Everything else, such as a refused
// connection, a cut stream or a 503, is expected to pass.
func Lasting(err error) bool {
	var status *StatusError
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrDenied) || errors.Is(err, ErrSize) ||
		errors.As(err, &status) || errors.Is(err, context.Canceled)
}

// fromStatus is the error of an HTTP status; cause is kept where trying again may mend it.
func fromStatus(status int, cause error) error {
	switch {
	case status == http.StatusNotFound:
		return fmt.Errorf("%w: %v", ErrNotFound, cause)
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %v", ErrDenied, cause)
	case status == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%w: it is shorter", ErrSize)
	case status == http.StatusRequestTimeout, status == http.StatusConflict,
		status == http.StatusTooManyRequests, status < 400, status >= 500:
		return cause
	default:
		return &StatusError{Status: status, Text: cause.Error()}
	}
}

var errNoRanges = &StatusError{Status: http.StatusOK, Text: "the server doesn't answer ranges"}

// totalSize is the size of the whole object in Content-Range ("bytes 0-99/1234").
func totalSize(header string) (int64, error) {
	var first, last, total int64
	if _, err := fmt.Sscanf(header, "bytes %d-%d/%d", &first, &last, &total); err != nil {
		return 0, errNoRanges
	}
	return total, nil
}

// checkRange compares the size in Content-Range with the one expected.
func checkRange(header string, size int64) error {
	total, err := totalSize(header)
	if err == nil && total != size {
		err = fmt.Errorf("%w: it has %d bytes, not %d", ErrSize, total, size)
	}
	return err
}
