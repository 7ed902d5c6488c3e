package remote

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

const (
	// Parts of a large object; S3 takes ten thousand at most.
	minPartBytes = 64 << 20
	maxParts     = 10_000
	partsAtATime = 4
)

// Uploader writes objects below a prefix.
type Uploader struct {
	Prefix   *Prefix
	Patience *Patience
	// Count is told of bytes that need not be uploaded any more.
	Count func(int64)
	// Say is told what was taken up.
	Say func(message string)
}

// ErrExists is the error of an object that is there already.
var ErrExists = errors.New("it is there already")

// PutNew writes a small object, if there is none.
func (u *Uploader) PutNew(ctx context.Context, path string, data io.ReadSeeker) error {
	err := u.put(ctx, path, data, aws.String("*"))
	var status *StatusError
	if errors.As(err, &status) && status.Status == 412 {
		return ErrExists
	}
	return err
}

// Put writes an object of that size. A large one goes in parts; what an earlier try left of it and
// is still right is kept.
func (u *Uploader) Put(ctx context.Context, path string, size int64, data io.ReaderAt) error {
	if size <= minPartBytes {
		if err := u.put(ctx, path, io.NewSectionReader(data, 0, size), nil); err != nil {
			return err
		}
		u.Count(size)
		return nil
	}
	m := &multipart{Uploader: u, path: path, size: size, data: data}
	m.part = max(minPartBytes, (size+maxParts-1)/maxParts)
	return m.run(ctx)
}

func (u *Uploader) put(
	ctx context.Context, path string, data io.ReadSeeker, ifNoneMatch *string,
) error {
	return u.Patience.Do(ctx, u.Prefix.URL(path), func(ctx context.Context) error {
		if _, err := data.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := u.Prefix.Client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &u.Prefix.Bucket, Key: u.Prefix.Key(path), Body: data, IfNoneMatch: ifNoneMatch,
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		})
		return FromSDK(err)
	})
}

// multipart is one upload in parts. Parts carry their sha256, by which an interrupted upload is
// taken up: an ETag says nothing of the content where the bucket is encrypted with KMS.
type multipart struct {
	*Uploader
	path string
	size int64
	part int64
	data io.ReaderAt
	id   *string

	mu   sync.Mutex
	done []types.CompletedPart
}

func (m *multipart) run(ctx context.Context) error {
	there, err := m.begin(ctx)
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(partsAtATime)
	for number := int32(1); m.offset(number) < m.size; number++ {
		group.Go(func() error { return m.upload(groupCtx, number, there[number]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	slices.SortFunc(m.done, func(a, b types.CompletedPart) int {
		return cmp.Compare(*a.PartNumber, *b.PartNumber)
	})
	err = m.Patience.Do(ctx, m.Prefix.URL(m.path), func(ctx context.Context) error {
		_, err := m.Prefix.Client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &m.Prefix.Bucket, Key: m.Prefix.Key(m.path), UploadId: m.id,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: m.done},
		}, unhurried)
		return FromSDK(err)
	})
	// Not found: a try whose answer was lost had completed it.
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return m.assembled(ctx)
}

var errNotWhole = errors.New("it isn't whole yet")

// assembled waits until the object is there in its size: versitygw says success to a second
// request while it still copies the parts for the first.
func (m *multipart) assembled(ctx context.Context) error {
	err := m.Patience.Do(ctx, m.Prefix.URL(m.path), func(ctx context.Context) error {
		size, err := m.Prefix.Size(ctx, m.path)
		if errors.Is(err, ErrNotFound) || err == nil && size != m.size {
			return errNotWhole
		}
		return err
	})
	if errors.Is(err, errNotWhole) {
		// Who uploads reads back, and uploads it again.
		return nil
	}
	return err
}

func (m *multipart) offset(number int32) int64 { return int64(number-1) * m.part }

// begin takes up an upload that an earlier try left, or begins one, and returns its parts.
func (m *multipart) begin(ctx context.Context) (map[int32]types.Part, error) {
	var parts map[int32]types.Part
	err := m.Patience.Do(ctx, m.Prefix.URL(m.path), func(ctx context.Context) (err error) {
		if m.id, err = m.find(ctx); err != nil || m.id == nil {
			return err
		}
		parts, err = m.parts(ctx)
		return err
	})
	if errors.Is(err, ErrDenied) {
		m.Say(fmt.Sprintf("uploads can't be listed, so none is taken up: %v", err))
		m.id, err = nil, nil
	}
	if err != nil || m.id != nil {
		return parts, err
	}
	return nil, m.Patience.Do(ctx, m.Prefix.URL(m.path), func(ctx context.Context) error {
		out, err := m.Prefix.Client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket: &m.Prefix.Bucket, Key: m.Prefix.Key(m.path),
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		})
		if err != nil {
			return FromSDK(err)
		}
		m.id = out.UploadId
		return nil
	})
}

// find returns the id of an upload of this object, or nil.
func (m *multipart) find(ctx context.Context) (*string, error) {
	pages := s3.NewListMultipartUploadsPaginator(m.Prefix.Client, &s3.ListMultipartUploadsInput{
		Bucket: &m.Prefix.Bucket, Prefix: m.Prefix.Key(m.path),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, FromSDK(err)
		}
		for _, upload := range page.Uploads {
			if aws.ToString(upload.Key) == *m.Prefix.Key(m.path) {
				return upload.UploadId, nil
			}
		}
	}
	return nil, nil
}

func (m *multipart) parts(ctx context.Context) (map[int32]types.Part, error) {
	pages := s3.NewListPartsPaginator(m.Prefix.Client, &s3.ListPartsInput{
		Bucket: &m.Prefix.Bucket, Key: m.Prefix.Key(m.path), UploadId: m.id,
	})
	parts := map[int32]types.Part{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, FromSDK(err)
		}
		for _, part := range page.Parts {
			parts[aws.ToInt32(part.PartNumber)] = part
		}
	}
	m.Say(fmt.Sprintf("taking up the upload of %s, %d parts are there", m.path, len(parts)))
	return parts, nil
}

func (m *multipart) upload(ctx context.Context, number int32, there types.Part) error {
	length := min(m.part, m.size-m.offset(number))
	section := io.NewSectionReader(m.data, m.offset(number), length)
	hash := sha256.New()
	if _, err := io.Copy(hash, section); err != nil {
		return err
	}
	sum := aws.String(base64.StdEncoding.EncodeToString(hash.Sum(nil)))
	etag := there.ETag
	if aws.ToInt64(there.Size) != length || aws.ToString(there.ChecksumSHA256) != *sum {
		var err error
		if etag, err = m.send(ctx, number, section, sum); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = append(m.done, types.CompletedPart{
		PartNumber: aws.Int32(number), ETag: etag, ChecksumSHA256: sum,
	})
	m.Count(length)
	return nil
}

func (m *multipart) send(
	ctx context.Context, number int32, section *io.SectionReader, sum *string,
) (etag *string, err error) {
	name := fmt.Sprintf("%s, part %d", m.Prefix.URL(m.path), number)
	err = m.Patience.Do(ctx, name, func(ctx context.Context) error {
		if _, err := section.Seek(0, io.SeekStart); err != nil {
			return err
		}
		out, err := m.Prefix.Client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &m.Prefix.Bucket, Key: m.Prefix.Key(m.path), UploadId: m.id,
			PartNumber: aws.Int32(number), Body: section, ChecksumSHA256: sum,
		})
		if err != nil {
			return FromSDK(err)
		}
		etag = out.ETag
		return nil
	})
	return etag, err
}
