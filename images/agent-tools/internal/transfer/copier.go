// Package transfer reads objects in parallel and writes them to a folder, verified.
package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"moltghost.dev/agent-tools/internal/remote"
)

const (
	chunkBytes = 8 << 20
	// Chunks in memory at a time, over all files: 192 MiB. One connection to S3 gives about
	// 90 MB/s, so this many saturate what one core can hash.
	chunksInMemory = 24
	// A range that takes longer has stalled: 140 kB/s.
	rangeTimeout = time.Minute
)

// Copier reads objects in parallel ranges and hashes them in order on the way.
type Copier struct {
	Patience *remote.Patience
	// One entry a chunk that may be in memory: a buffer, or nil where there never was one yet.
	memory chan []byte
}

// NewCopier returns a copier; its memory is shared by all its copies.
func NewCopier(patience *remote.Patience) *Copier {
	memory := make(chan []byte, chunksInMemory)
	for range chunksInMemory {
		memory <- nil
	}
	return &Copier{Patience: patience, memory: memory}
}

// Copy writes an object of that size to w and returns its sha256 in hex. Each chunk written is
// counted.
//
// Chunks arrive in any order and are written at once, but hashed in order, so each stays in
// memory until the hash has passed it. The first chunk without memory always waits for chunks
// before it, of which the first is being read or hashed: that is why it can't deadlock.
func (c *Copier) Copy(
	ctx context.Context, object remote.Object, size int64, w io.WriterAt, count func(int64),
) (string, error) {
	group, ctx := errgroup.WithContext(ctx)
	chunks := make(chan chan []byte, chunksInMemory)
	hash := sha256.New()
	group.Go(func() error {
		defer close(chunks)
		for offset := int64(0); offset < size; offset += chunkBytes {
			buffer, err := c.buffer(ctx)
			if err != nil {
				return err
			}
			data := buffer[:min(chunkBytes, size-offset)]
			chunk := make(chan []byte, 1)
			chunks <- chunk
			group.Go(func() error {
				// What failed is sent as well: the buffer goes back, and nobody uses the hash.
				defer func() { chunk <- data }()
				if err := c.fetch(ctx, object, offset, data); err != nil {
					return err
				}
				if _, err := w.WriteAt(data, offset); err != nil {
					return err
				}
				count(int64(len(data)))
				return nil
			})
		}
		return nil
	})
	for chunk := range chunks {
		data := <-chunk
		hash.Write(data)
		c.memory <- data[:cap(data)]
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func (c *Copier) buffer(ctx context.Context) ([]byte, error) {
	select {
	case buffer := <-c.memory:
		if buffer == nil {
			buffer = make([]byte, chunkBytes)
		}
		return buffer, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *Copier) fetch(
	ctx context.Context, object remote.Object, offset int64, data []byte,
) error {
	return c.Patience.Do(ctx, object.Name(), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, rangeTimeout)
		defer cancel()
		body, err := object.Read(ctx, offset, int64(len(data)))
		if err != nil {
			return err
		}
		defer body.Close()
		_, err = io.ReadFull(body, data)
		return err
	})
}
