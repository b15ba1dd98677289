package headers

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"userkeys"
)

// Lines that are always the same. Nobody changes them in place.
var (
	cachePrivate = []string{"private"}
	cacheNoStore = []string{"no-store"}
	varyKey      = []string{userkeys.KeyHeader}
)

// VaryByKey says in an answer's headers that it depends on the key, so that no cache gives it to a request with
// another key or without one. A key may also stand in the header keyHeader, unless that is empty.
func VaryByKey(h http.Header, keyHeader string) {
	switch vary := h["Vary"]; {
	case vary == nil && keyHeader != "":
		h["Vary"] = []string{userkeys.KeyHeader, keyHeader}
		return
	case vary == nil:
		h["Vary"] = varyKey
	case !HasToken(vary, userkeys.KeyHeader):
		h["Vary"] = append(vary, userkeys.KeyHeader)
	}
	if keyHeader != "" && !HasToken(h["Vary"], keyHeader) {
		h["Vary"] = append(slices.Clip(h["Vary"]), keyHeader)
	}
}

// KeepPrivate marks the answer to a request with a key: it was chosen by a header that caches do not
// look at, so no shared cache may store it and give it to somebody else. What
// is stricter than private already stays as it is; what would allow shared caches more is removed.
func KeepPrivate(h http.Header, keyHeader string) {
	VaryByKey(h, keyHeader)
	for name := range h {
		if forSharedCaches(name) {
			delete(h, name)
		}
	}
	h["Cache-Control"] = privately(h["Cache-Control"])
}

// sharedCaches are the headers that outrank Cache-Control for shared caches of some kind: Varnish and Fastly, Akamai,
// all that know RFC 9213, and Cloudflare.
var sharedCaches = []string{"Surrogate-Control", "Edge-Control", "CDN-Cache-Control", "Cloudflare-CDN-Cache-Control"}

// SharedCaches returns the headers that outrank Cache-Control for some shared cache, but for X-Accel-Expires, which
// nginx takes out of every answer by itself.
func SharedCaches() []string { return slices.Clone(sharedCaches) }

// forSharedCaches reports whether a header outranks Cache-Control for some shared cache, also one that no list names.
func forSharedCaches(name string) bool {
	return strings.HasSuffix(name, "-Cache-Control") || name == "X-Accel-Expires" || slices.Contains(sharedCaches, name)
}

// privately is Cache-Control for an answer that no shared cache may store.
func privately(lines []string) []string {
	if len(lines) == 0 {
		return cachePrivate
	}
	if len(lines) == 1 && (lines[0] == "private" || lines[0] == "no-store") {
		return lines
	}
	directives, sound := cacheDirectives(strings.Join(lines, ","))
	if !sound {
		return cacheNoStore // who knows what a cache reads in it
	}
	kept := make([]string, 1, len(directives)+1)
	kept[0] = "private"
	var noStore, mustUnderstand bool
	for _, d := range directives {
		name, _, _ := strings.Cut(d, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "", "public", "s-maxage", "private": // private for some fields only lets the rest be shared
			continue
		case "no-store":
			noStore = true
		case "must-understand":
			mustUnderstand = true // with it, a cache may disregard no-store
		}
		kept = append(kept, d)
	}
	if noStore && !mustUnderstand {
		kept = kept[1:]
	}
	return []string{strings.Join(kept, ", ")}
}

// cacheDirectives splits s at the commas that stand in no quoted string; sound is false if a quoted string has no end.
func cacheDirectives(s string) (directives []string, sound bool) {
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case s[i] == ',' && !quoted:
			directives = append(directives, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	return append(directives, strings.TrimSpace(s[from:])), !quoted
}

// ServePrivate has next answer a request whose key was found good, and keeps the answer private; see [KeepPrivate].
func ServePrivate(next http.Handler, w http.ResponseWriter, r *http.Request, keyHeader string) {
	p := &privateWriter{ResponseWriter: w, keyHeader: keyHeader}
	next.ServeHTTP(p, r)
	p.begin() // an answer without a body begins when its handler returns
}

// privateWriter keeps private what a handler answers to a request with a key; see [KeepPrivate]. It
// can do what writers of net/http can.
type privateWriter struct {
	http.ResponseWriter
	keyHeader string
	began     bool
}

func (w *privateWriter) begin() {
	if !w.began {
		w.began = true
		KeepPrivate(w.Header(), w.keyHeader)
	}
}

// Unwrap lets http.ResponseController find the writer within.
func (w *privateWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader marks the answer, and the informational ones before it.
func (w *privateWriter) WriteHeader(status int) {
	w.begin()
	w.ResponseWriter.WriteHeader(status)
	if status < http.StatusOK && status != http.StatusSwitchingProtocols {
		w.began = false
	}
}

// Write writes p.
func (w *privateWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}

// WriteString writes s.
func (w *privateWriter) WriteString(s string) (int, error) {
	w.begin()
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom writes what r has; a file, without copying it if w can do that.
func (w *privateWriter) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	return io.Copy(w.ResponseWriter, r)
}

// Flush sends what was written.
func (w *privateWriter) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *privateWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack gives the connection to the handler.
func (w *privateWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
