package transport

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// maxBody is how long the body of a request may be that is sent here. Longer ones are few, and gain nothing.
const maxBody = 32 << 10

// isUsual reports whether r, but for what is in its head, is a request that is sent here.
func (t *synchronous) isUsual(r *http.Request) bool {
	_, named := r.Header["User-Agent"] // else net/http names itself
	switch {
	case r.URL == nil || r.URL.Scheme != "http" || r.URL.Host != t.host || !named:
	case r.Close || r.Method == http.MethodConnect || len(r.TransferEncoding) > 0 || len(r.Trailer) > 0:
	case r.Body == nil || r.Body == http.NoBody:
		return r.ContentLength == 0
	default:
		return r.ContentLength > 0 && r.ContentLength <= maxBody
	}
	return false
}

// appendHead appends the head of r to b. It reports false if something in it is for net/http to judge.
func appendHead(b []byte, r *http.Request) ([]byte, bool) {
	host, target := r.Host, r.URL.RequestURI()
	if host == "" {
		host = r.URL.Host
	}
	if !httpguts.ValidHeaderFieldName(r.Method) || strings.ContainsFunc(target, isUnsayableInTarget) ||
		!httpguts.ValidHostHeader(host) || strings.IndexByte(host, '%') >= 0 {
		return b, false
	}
	b = append(append(append(b, r.Method...), ' '), target...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), host...)
	b = append(b, "\r\n"...)
	if n := r.ContentLength; n > 0 || r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH" {
		b = strconv.AppendInt(append(b, "Content-Length: "...), n, 10)
		b = append(b, "\r\n"...)
	}
	for name, lines := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) || slices.ContainsFunc(lines, isUnsayable) {
			return b, false
		}
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer": // say what r says elsewhere
			continue
		case "Connection", "Upgrade", "Expect":
			return b, false
		case "User-Agent":
			if lines = lines[:min(len(lines), 1)]; len(lines) == 0 || lines[0] == "" {
				continue
			}
		}
		for _, v := range lines {
			b = append(append(append(b, name...), ": "...), textproto.TrimString(v)...)
			b = append(b, "\r\n"...)
		}
	}
	return append(b, "\r\n"...), true
}

func isUnsayable(value string) bool { return !httpguts.ValidHeaderFieldValue(value) }

func isUnsayableInTarget(r rune) bool { return r <= ' ' || r == 0x7f }
