package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	dialTimeout = 5 * time.Second
	// S3 answers within a second, a busy server within a few.
	headerTimeout = 10 * time.Second
	// versitygw copies all parts of an object before it answers that they are one.
	assemblyTimeout = time.Hour
)

// credentialVariables are set where there are credentials: by EKS Pod Identity, by a key in a
// Secret, or by a profile.
var credentialVariables = []string{
	"AWS_CONTAINER_CREDENTIALS_FULL_URI",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	"AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_ACCESS_KEY_ID",
	"AWS_PROFILE",
}

// Prefix is a folder in a bucket.
type Prefix struct {
	Client *s3.Client
	Bucket string
	// Path ends in a slash, or is empty.
	Path string
}

// OpenPrefix returns the folder at an s3:// URL.
//
// Credentials come from the SDK's default chain. Where nothing in the environment names any,
// requests are anonymous; the instance's metadata service is never asked, a pod has no business
// with its node's role.
func OpenPrefix(ctx context.Context, url string) (*Prefix, error) {
	bucket, path, err := splitURL(url)
	if err != nil {
		return nil, err
	}
	client, err := newClient(ctx)
	if err != nil {
		return nil, err
	}
	if path = strings.Trim(path, "/"); path != "" {
		path += "/"
	}
	return &Prefix{Client: client, Bucket: bucket, Path: path}, nil
}

func splitURL(url string) (bucket, path string, err error) {
	rest, isS3 := strings.CutPrefix(url, "s3://")
	bucket, path, _ = strings.Cut(rest, "/")
	if !isS3 || bucket == "" {
		return "", "", fmt.Errorf("%q is no URL like s3://bucket/prefix", url)
	}
	return bucket, path, nil
}

func newClient(ctx context.Context) (*s3.Client, error) {
	transport := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = headerTimeout
			t.MaxIdleConnsPerHost = t.MaxIdleConns
		})
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(transport),
		// Patience tries again; a second loop below it would multiply the tries.
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithEC2IMDSClientEnableState(imds.ClientDisabled),
	}
	if !hasCredentials() {
		options = append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("the AWS configuration can't be read: %w", err)
	}
	custom := os.Getenv("AWS_ENDPOINT_URL_S3") != "" || os.Getenv("AWS_ENDPOINT_URL") != ""
	if cfg.Region == "" {
		if !custom {
			return nil, errors.New("AWS_REGION isn't set: it is the region of the bucket")
		}
		// A server of one's own has no regions, but the signature needs one.
		cfg.Region = "us-east-1"
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = custom
		// Contents are verified by sha256, whole; S3's checksums are of parts.
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	}), nil
}

// unhurried is for a request that is answered when its work is done.
func unhurried(o *s3.Options) {
	if client, ok := o.HTTPClient.(*awshttp.BuildableClient); ok {
		o.HTTPClient = client.WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = assemblyTimeout
		})
	}
}

func hasCredentials() bool {
	for _, name := range credentialVariables {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return false
}

// URL of a path below the prefix.
func (p *Prefix) URL(path string) string {
	return fmt.Sprintf("s3://%s/%s%s", p.Bucket, p.Path, path)
}

// Key of a path below the prefix.
func (p *Prefix) Key(path string) *string { return aws.String(p.Path + path) }

// Get reads a small object whole; one longer than limit is refused.
func (p *Prefix) Get(ctx context.Context, path string, limit int64) ([]byte, error) {
	out, err := p.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &p.Bucket, Key: p.Key(path)})
	if err != nil {
		return nil, FromSDK(err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(io.LimitReader(out.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrSize, limit)
	}
	return data, nil
}

// Size of the object at a path.
func (p *Prefix) Size(ctx context.Context, path string) (int64, error) {
	out, err := p.Client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &p.Bucket, Key: p.Key(path)})
	if err != nil {
		return 0, FromSDK(err)
	}
	return aws.ToInt64(out.ContentLength), nil
}

// Object is the object at a path, which must have that size.
func (p *Prefix) Object(path string, size int64) Object {
	return &s3Object{prefix: p, path: path, size: size}
}

type s3Object struct {
	prefix *Prefix
	path   string
	size   int64
}

func (o *s3Object) Name() string { return o.prefix.URL(o.path) }

func (o *s3Object) Read(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	out, err := o.prefix.Client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &o.prefix.Bucket,
		Key:    o.prefix.Key(o.path),
		Range:  aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)),
	})
	if err != nil {
		return nil, FromSDK(err)
	}
	if err := checkRange(aws.ToString(out.ContentRange), o.size); err != nil {
		out.Body.Close()
		return nil, err
	}
	return out.Body, nil
}

// FromSDK sorts an error of the SDK, or nil, by its HTTP status, if it got as far as one.
func FromSDK(err error) error {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return fromStatus(response.HTTPStatusCode(), response.Unwrap())
	}
	return err
}
