// The weights store of the embedded cluster: S3 on a directory.
//
// versitygw's own command takes the secret key from its arguments or its environment. Here it is
// read from a file, and what the store has no use for (administration, web pages, users) is off.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

const (
	// Parts of an upload are read and written at a time by a handful of clients.
	connections = 1024
	requests    = 256
	maxParts    = 10000
	concurrency = 256
	bufferBytes = 1 << 20
	// CopyObject is not used; this is S3's own limit.
	copyThreshold = 5 << 30
)

type key struct {
	Access string `json:"access_key"`
	Secret string `json:"secret_key"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "weights-store:", err)
		os.Exit(1)
	}
}

func run() error {
	directory := flag.String("directory", "", "where objects and, if need be, their metadata lie")
	keyFile := flag.String("key-file", "", "JSON with access_key and secret_key")
	listen := flag.String("listen", "", "addresses to listen on, HOST:PORT, separated by commas")
	flag.Parse()
	if *directory == "" || *keyFile == "" || *listen == "" {
		return errors.New("--directory, --key-file and --listen are required")
	}
	credentials, err := readKey(*keyFile)
	if err != nil {
		return err
	}
	store, err := openStore(*directory)
	if err != nil {
		return err
	}
	stopped, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return embedgw.RunVersityGW(stopped, store, &embedgw.Config{
		RootUserAccess:    credentials.Access,
		RootUserSecret:    credentials.Secret,
		Ports:             strings.Split(*listen, ","),
		MaxConnections:    connections,
		MaxRequests:       requests,
		MultipartMaxParts: maxParts,
		HealthPath:        "/healthz",
		KeepAlive:         true,
		DisableACLs:       true,
		Quiet:             true,
	})
}

func readKey(path string) (key, error) {
	var found key
	text, err := os.ReadFile(path)
	if err != nil {
		return found, err
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return found, fmt.Errorf("%s: %w", path, err)
	}
	if found.Access == "" || found.Secret == "" {
		return found, fmt.Errorf("%s has no access_key and secret_key", path)
	}
	return found, nil
}

// openStore keeps metadata in extended attributes, which appear together with their file; where
// the file system has none, in files of their own.
func openStore(directory string) (*posix.Posix, error) {
	objects, sidecar := filepath.Join(directory, "objects"), filepath.Join(directory, "metadata")
	if err := os.MkdirAll(objects, 0o700); err != nil {
		return nil, err
	}
	options := posix.PosixOpts{
		Concurrency:         concurrency,
		IOBufferSize:        bufferBytes,
		CopyObjectThreshold: copyThreshold,
	}
	options.SetNewDirPerm(fs.FileMode(0o700))
	options.SetNewFilePerm(fs.FileMode(0o600))
	if attributes := (meta.XattrMeta{}); attributes.Test(objects) == nil {
		return posix.New(objects, attributes, options)
	}
	if err := os.MkdirAll(sidecar, 0o700); err != nil {
		return nil, err
	}
	beside, err := meta.NewSideCar(sidecar)
	if err != nil {
		return nil, err
	}
	options.SideCarDir = sidecar
	return posix.New(objects, beside, options)
}
