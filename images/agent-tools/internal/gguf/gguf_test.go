package gguf

import (
	"bytes"
	"errors"
	"testing"

	"moltghost.dev/agent-tools/internal/fakegguf"
)

func TestTheHeadOfAFile(t *testing.T) {
	file := fakegguf.File(15, "{{ messages }}")
	head, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	want := Head{Architecture: "llama", FileType: 15, HasTemplate: true}
	if head != want || head.Precision() != "Q4_K_M" || head.Full() {
		t.Errorf("%+v", head)
	}
}

func TestAFileWithoutTemplateOrType(t *testing.T) {
	head, err := Read(bytes.NewReader(fakegguf.File(-1, "")))
	if err != nil || head.HasTemplate || head.FileType != -1 || head.Precision() != "" || head.Full() {
		t.Errorf("%+v %v", head, err)
	}
}

func TestWhatCanBeQuantized(t *testing.T) {
	// The numbers are llama_ftype's, include/llama.h.
	for fileType, full := range map[int]bool{0: true, 1: true, 32: true, 7: false, 15: false, 99: false} {
		if got := (Head{FileType: fileType}).Full(); got != full {
			t.Errorf("%d: %v", fileType, got)
		}
	}
}

func TestWhatIsNoGGUF(t *testing.T) {
	file := fakegguf.File(1, "x")
	huge := bytes.Clone(file)
	copy(huge[16:], bytes.Repeat([]byte{0xff}, 8))
	old := bytes.Clone(file)
	old[4] = 1
	for name, data := range map[string][]byte{
		"nothing": nil, "something else": []byte("PK\x03\x04 and so on, and so on, and on"),
		"a head cut short": file[:len(file)-3], "a number of pairs out of bounds": huge,
		"version 1": old,
	} {
		if _, err := Read(bytes.NewReader(data)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(fakegguf.File(15, "x"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = Read(bytes.NewReader(data)) // must come back
	})
}
