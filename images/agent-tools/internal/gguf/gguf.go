// Package gguf reads from the head of a GGUF file what decides how a model store is built.
//
// The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3.
package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Head is what the metadata say.
type Head struct {
	// Architecture such as "gemma3".
	Architecture string
	// FileType is the precision of most tensors as ggml numbers it, or -1 if it isn't there.
	FileType int
	// HasTemplate: the file brings a chat template.
	HasTemplate bool
}

// ErrFormat is the error of what is no GGUF file, or is cut short.
var ErrFormat = errors.New("no GGUF file")

const (
	// Far above what any model has: 256k tokens in a dozen arrays, templates of some kB.
	maxPairs       = 1 << 16
	maxStringBytes = 16 << 20
)

// Types of values.
const (
	typeUint32 = 4
	typeString = 8
	typeArray  = 9
)

var scalarBytes = map[uint32]int{
	0: 1, 1: 1, 2: 2, 3: 2, typeUint32: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8,
}

// precisions are the names of the file types that stores are made of, as catalogues write them.
var precisions = map[int]string{
	0: "F32", 1: "F16", 2: "Q4_0", 7: "Q8_0", 8: "Q5_0", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
	13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 32: "BF16",
	38: "MXFP4",
}

// Precision is the name of the file type, or "" for one that has none here.
func (h Head) Precision() string { return precisions[h.FileType] }

// Full says whether the precision is one that can be quantized.
func (h Head) Full() bool {
	switch h.Precision() {
	case "F32", "F16", "BF16":
		return true
	}
	return false
}

// Read reads the metadata of a file.
func Read(r io.Reader) (Head, error) {
	in := &reader{bufio.NewReaderSize(r, 1<<20)}
	head, err := in.head()
	if err != nil {
		return Head{}, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	return head, nil
}

type reader struct{ *bufio.Reader }

func (r *reader) head() (Head, error) {
	var start struct {
		Magic   [4]byte
		Version uint32
		Tensors uint64
		Pairs   uint64
	}
	if err := binary.Read(r, binary.LittleEndian, &start); err != nil {
		return Head{}, err
	}
	if string(start.Magic[:]) != "GGUF" {
		return Head{}, fmt.Errorf("it begins with %q", start.Magic[:])
	}
	if start.Version < 2 || start.Version > 3 {
		return Head{}, fmt.Errorf("version %d", start.Version)
	}
	if start.Pairs > maxPairs {
		return Head{}, fmt.Errorf("%d metadata", start.Pairs)
	}
	head := Head{FileType: -1}
	for range start.Pairs {
		if err := r.pair(&head); err != nil {
			return Head{}, err
		}
	}
	return head, nil
}

func (r *reader) pair(head *Head) error {
	key, err := r.text()
	if err != nil {
		return err
	}
	kind, err := number[uint32](r)
	if err != nil {
		return err
	}
	switch {
	case key == "general.architecture" && kind == typeString:
		head.Architecture, err = r.text()
	case key == "general.file_type" && kind == typeUint32:
		var value uint32
		value, err = number[uint32](r)
		head.FileType = int(value)
	case key == "tokenizer.chat_template" && kind == typeString:
		var template string
		template, err = r.text()
		head.HasTemplate = template != ""
	default:
		err = r.skip(kind)
	}
	return err
}

func (r *reader) skip(kind uint32) error {
	if size, scalar := scalarBytes[kind]; scalar {
		return r.discard(uint64(size))
	}
	switch kind {
	case typeString:
		_, err := r.text()
		return err
	case typeArray:
		return r.skipArray()
	}
	return fmt.Errorf("a value of type %d", kind)
}

func (r *reader) skipArray() error {
	kind, err := number[uint32](r)
	if err != nil {
		return err
	}
	count, err := number[uint64](r)
	if err != nil {
		return err
	}
	if kind == typeArray {
		return errors.New("an array of arrays")
	}
	if size, scalar := scalarBytes[kind]; scalar && count < 1<<40 {
		return r.discard(count * uint64(size))
	}
	for range count {
		if err := r.skip(kind); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) text() (string, error) {
	size, err := number[uint64](r)
	if err != nil {
		return "", err
	}
	if size > maxStringBytes {
		return "", fmt.Errorf("a text of %d bytes", size)
	}
	data := make([]byte, size)
	_, err = io.ReadFull(r, data)
	return string(data), err
}

func (r *reader) discard(bytes uint64) error {
	_, err := io.CopyN(io.Discard, r, int64(bytes))
	return err
}

func number[T uint32 | uint64](r io.Reader) (T, error) {
	var value T
	err := binary.Read(r, binary.LittleEndian, &value)
	return value, err
}
