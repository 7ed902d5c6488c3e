// Package fakegguf writes GGUF files for tests.
package fakegguf

import (
	"bytes"
	"encoding/binary"
)

// Types of values.
const (
	typeUint32  = 4
	typeFloat32 = 6
	typeString  = 8
	typeArray   = 9
)

// File has a head with an array of texts and one of numbers, and no tensors.
// A fileType of -1 and a template of "" are left out.
func File(fileType int, template string) []byte {
	var pairs bytes.Buffer
	count := uint64(3)
	put := func(values ...any) {
		for _, value := range values {
			if text, ok := value.(string); ok {
				_ = binary.Write(&pairs, binary.LittleEndian, uint64(len(text)))
				value = []byte(text)
			}
			_ = binary.Write(&pairs, binary.LittleEndian, value)
		}
	}
	put("general.architecture", uint32(typeString), "llama")
	put("tokenizer.ggml.tokens", uint32(typeArray), uint32(typeString), uint64(2), "a", "bc")
	put("tokenizer.ggml.scores", uint32(typeArray), uint32(typeFloat32), uint64(2), float32(1), float32(2))
	if fileType >= 0 {
		put("general.file_type", uint32(typeUint32), uint32(fileType))
		count++
	}
	if template != "" {
		put("tokenizer.chat_template", uint32(typeString), template)
		count++
	}
	var file bytes.Buffer
	file.WriteString("GGUF")
	for _, value := range []any{uint32(3), uint64(0), count} {
		_ = binary.Write(&file, binary.LittleEndian, value)
	}
	file.Write(pairs.Bytes())
	return file.Bytes()
}
