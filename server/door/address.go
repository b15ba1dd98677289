package door

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"userkeys"
)

const maxReturn = 32 << 10 // as much as the headers of a request may have

// localPath tells whether s is an address on this site that a browser may be
// sent to: an absolute path with a query, in one reading only.
func localPath(s string) bool {
	if len(s) > maxReturn || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return false
		}
	}
	path, _, _ := strings.Cut(s, "?")
	_, err := userkeys.CanonicalPath(path)
	return err == nil
}

// AddressOf is the path and query of r, to come back to with every parameter
// intact. Bytes that a stricter reader would stumble over are percent-encoded
// and plain ones are not, which changes no value: an app may encode every byte,
// and the address must still fit into the one of the login page, encoded again.
func AddressOf(r *http.Request) string {
	path := r.URL.EscapedPath()
	if r.URL.RawQuery == "" {
		return path
	}
	var b strings.Builder
	for q := r.URL.RawQuery; q != ""; {
		c, size := q[0], 1
		if plain, ok := plainEscape(q); ok {
			c, size = plain, 3
		}
		q = q[size:]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`\#"<>`, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return path + "?" + b.String()
}

// plainEscape reads an escape (%41) at the beginning of q that no query needs: of
// a letter, a digit or one of -._~ (RFC 3986, 2.3).
func plainEscape(q string) (byte, bool) {
	if len(q) < 3 || q[0] != '%' {
		return 0, false
	}
	n, err := strconv.ParseUint(q[1:3], 16, 8)
	c := byte(n)
	letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	return c, err == nil && (letter || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0)
}

// ReturnAddress is where a form leads back to; the root of the site if s is no local path.
func ReturnAddress(s string) string {
	if localPath(s) {
		return s
	}
	return "/"
}
