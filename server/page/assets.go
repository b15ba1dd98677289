package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"

	"userkeys"
)

//go:embed assets/*
var assetFiles embed.FS

// AssetsPath is where pages load their files from.
const AssetsPath = "/user-api-key/assets/"

// asset is a file that pages load.
type asset struct {
	name, kind string
	content    []byte
}

// assets finds files by the name that pages call them by, style.0123456789ab.css;
// and by their plain names which it is.
type assets struct {
	byPlain  map[string]asset
	byHashed map[string]asset
}

var assetKinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	".png": "image/png",
}

// loadAssets reads the files. That they can be read is known before anything runs: they are part of the program.
func loadAssets() assets {
	a := assets{map[string]asset{}, map[string]asset{}}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		content, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		extension := path.Ext(e.Name())
		f := asset{
			name: strings.TrimSuffix(e.Name(), extension) + "." + hex.EncodeToString(sum[:6]) + extension,
			kind: assetKinds[extension], content: content,
		}
		a.byPlain[e.Name()], a.byHashed[f.name] = f, f
	}
	return a
}

// Asset is the address of a file that pages load, by its plain name.
func (f *Frame) Asset(plain string) string { return AssetsPath + f.assets.byPlain[plain].name }

// find finds a file by the name in its address. The name of another version
// gets this one, but not for long: while nodes are replaced one after the other, a
// page of the one may load its files from the other.
func (a assets) find(name string) (f asset, lasting, ok bool) {
	if f, ok = a.byHashed[name]; ok {
		return f, true, true
	}
	extension := path.Ext(name)
	plain := strings.TrimSuffix(name, extension)
	f, ok = a.byPlain[strings.TrimSuffix(plain, path.Ext(plain))+extension]
	return f, false, ok
}

// ServeAsset answers with the file called name. Errors: userkeys.NotFound if there is none.
func (f *Frame) ServeAsset(w http.ResponseWriter, name string) error {
	file, lasting, ok := f.assets.find(name)
	if !ok {
		return userkeys.Errorf(userkeys.NotFound, "there is nothing at this address")
	}
	h := w.Header()
	h.Del("Pragma")
	h.Del("Expires")
	h.Set("Cache-Control", "no-cache")
	if lasting {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Content-Type", file.kind)
	_, err := w.Write(file.content)
	return err
}
