package store

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

const (
	one = "1111111111111111111111111111111111111111111111111111111111111111"
	two = "2222222222222222222222222222222222222222222222222222222222222222"
)

func good() Index {
	return Index{
		Version: 1, Manifest: Manifest{Path: ManifestPath, Digest: "sha256:" + two},
		Files: []File{
			{Path: "blobs/sha256-" + one, Size: 10, SHA256: one},
			{Path: ManifestPath, Size: 5, SHA256: two},
		},
	}
}

func encode(t *testing.T, index Index) []byte {
	t.Helper()
	data, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAnIndexIsRead(t *testing.T) {
	index, err := Parse(encode(t, good()))
	if err != nil {
		t.Fatal(err)
	}
	if index.Bytes() != 15 || index.ManifestHex() != two {
		t.Errorf("%+v", index)
	}
}

func TestWhatIsNoIndexOfAStoreIsRefused(t *testing.T) {
	blob := func(path, sum string, size int64) func(*Index) {
		return func(i *Index) { i.Files[0] = File{Path: path, Size: size, SHA256: sum} }
	}
	for name, test := range map[string]struct {
		spoil func(*Index)
		want  string
	}{
		"another version": {func(i *Index) { i.Version = 2 }, "version 2; this program reads version 1"},
		"no files":        {func(i *Index) { i.Files = nil }, "the manifest isn't among the files"},
		"no manifest":     {func(i *Index) { i.Files = i.Files[:1] }, "the manifest isn't among the files"},
		"a manifest elsewhere": {func(i *Index) { i.Manifest.Path = "manifests/other" },
			`"manifests/other", not`},
		"a manifest with another digest": {func(i *Index) { i.Manifest.Digest = "sha256:" + one },
			"the manifest's digest is"},
		"a file twice":         {func(i *Index) { i.Files = append(i.Files, i.Files[0]) }, "listed twice"},
		"a file above":         {blob("../blobs/sha256-"+one, one, 1), "neither a blob nor the manifest"},
		"a file from the root": {blob("/blobs/sha256-"+one, one, 1), "neither a blob nor the manifest"},
		"a file above in the middle": {blob("blobs/../../sha256-"+one, one, 1),
			"neither a blob nor the manifest"},
		"a line end after the name": {blob("blobs/sha256-"+one+"\n", one, 1),
			"neither a blob nor the manifest"},
		"a file of another kind": {blob("store.json", one, 1), "neither a blob nor the manifest"},
		"a name of another sum":  {blob("blobs/sha256-"+two, one, 1), "its sha256 is said to be"},
		"no sum":                 {blob("blobs/sha256-"+one, "", 1), "is no sha256"},
		"a sum in capitals": {blob("blobs/sha256-"+one, strings.Repeat("A", 64), 1),
			"is no sha256"},
		"a negative size": {blob("blobs/sha256-"+one, one, -1), "negative size"},
		"sizes beyond all": {blob("blobs/sha256-"+one, one, math.MaxInt64),
			"more than there can be"},
	} {
		t.Run(name, func(t *testing.T) {
			index := good()
			test.spoil(&index)
			_, err := Parse(encode(t, index))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestWhatIsNoJSONIsRefused(t *testing.T) {
	for _, data := range []string{"", "[]", `{"version":1`, "<Error/>"} {
		if _, err := Parse([]byte(data)); err == nil || !strings.Contains(err.Error(), IndexName) {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestAnIndexHasEveryBlobOfTheManifest(t *testing.T) {
	for name, test := range map[string]struct{ manifest, want string }{
		"all there": {`{"config":{"digest":"sha256:` + one + `","size":10},"layers":[]}`, ""},
		"one more": {`{"config":{"digest":"sha256:` + one + `","size":10},
			"layers":[{"digest":"sha256:` + two + `","size":3}]}`, "sha256-" + two + " of 3 bytes"},
		"another size": {`{"config":{"digest":"sha256:` + one + `","size":11}}`, "of 11 bytes"},
		"another hash": {`{"config":{"digest":"md5:1","size":1}}`, `"md5:1", which is no sha256`},
		"no manifest":  {`x`, "can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			err := good().CheckComplete([]byte(test.manifest))
			if test.want == "" && err != nil || test.want != "" && (err == nil ||
				!strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
