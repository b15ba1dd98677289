package server

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"userkeys"
	"userkeys/site"
)

const (
	maxBody   = 64 << 10
	maxFields = 100
	maxReturn = 32 << 10 // as much as the headers of a request may have
	// tokenField and tokenHeader carry a session's token, by the wire's names.
	tokenField  = "authenticity_token"
	tokenHeader = "X-CSRF-Token"
)

// readBody reads the body of a session's request: a form, or JSON where d has
// it. No body at all is a form without fields.
func readBody(w http.ResponseWriter, r *http.Request, d door) (url.Values, error) {
	if d.only && mediaType(r) != "application/json" {
		return nil, userkeys.Errorf(userkeys.InvalidAccess, "send JSON with Content-Type: application/json")
	}
	body, err := readAll(w, r)
	if err == nil && d.only && len(body) > maxDeviceRequest {
		err = userkeys.Errorf(userkeys.InvalidParameters, "the request is larger than %d bytes", maxDeviceRequest)
	}
	if err != nil {
		return nil, err
	}
	switch kind := mediaType(r); {
	case kind == "application/x-www-form-urlencoded" || len(body) == 0 && (kind == "" || d.json && kind == "application/json"):
		return parseForm(string(body))
	case d.json && kind == "application/json":
		texts, numbers, err := parseJSON(body, d.lists)
		for name, values := range numbers {
			texts[name] = values
		}
		return texts, err
	}
	return nil, userkeys.Errorf(userkeys.UnsupportedMedia, "the body must be application/x-www-form-urlencoded")
}

// readKeyBody reads the body of a request with a key. Apps send none, an empty
// object, a form, or one thing under the other's name; what cannot be
// read has no fields. A number is no text, so an id given as one is nobody's (W9.2).
func readKeyBody(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	body, err := readAll(w, r)
	if err != nil {
		return nil, err
	}
	if texts, numbers, err := parseJSON(body, false); err == nil {
		for name := range numbers {
			texts.Set(name, "")
		}
		return texts, nil
	}
	if fields, err := parseForm(string(body)); err == nil && mediaType(r) == "application/x-www-form-urlencoded" {
		return fields, nil
	}
	return url.Values{}, nil
}

// readAll reads a body as it came: a compressed one may be far larger than it
// looks, and no app of the wire sends one (HT13).
func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) { return readUpTo(w, r, maxBody) }

// readUpTo is readAll with another bound.
func readUpTo(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, userkeys.Errorf(userkeys.UnsupportedMedia, "the body must not be compressed")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, userkeys.Errorf(userkeys.BodyTooLarge, "the body is larger than %d bytes", limit)
	case err != nil:
		return nil, &userkeys.Error{Code: userkeys.InvalidParameters, Public: "the body ended early", Err: err}
	}
	return body, nil
}

// mediaType is the body's type without its parameters; empty if there is none.
func mediaType(r *http.Request) string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return "invalid"
	}
	return kind
}

// parseForm reads a form with one meaning only: each field once, well-formed, text.
func parseForm(body string) (url.Values, error) { return parseFields("form", body) }

func parseFields(what, body string) (url.Values, error) {
	bad := func(why string) (url.Values, error) {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "the %s %s", what, why)
	}
	if strings.Count(body, "&") >= maxFields {
		return bad("has too many fields")
	}
	fields, err := url.ParseQuery(body)
	if err != nil {
		return bad("is not well-formed")
	}
	for _, values := range fields {
		if len(values) > 1 {
			return bad("has a field twice")
		}
		if !userkeys.IsStorable(values[0]) {
			return bad("has a field that is not text")
		}
	}
	return fields, nil
}

// parseJSON reads one flat object of texts and numbers, each name once; with
// lists also true and false and lists of texts, which count among the numbers.
// It goes by token: decoding into a struct would ignore case and take the last of two.
func parseJSON(body []byte, lists bool) (texts, numbers url.Values, err error) {
	bad := userkeys.Errorf(userkeys.InvalidParameters, "the body is no flat JSON object with each name once")
	texts, numbers = url.Values{}, url.Values{}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, bad
	}
	seen := map[string]bool{} // also names without a value, which are in neither
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, nil, bad
		}
		value, err := d.Token()
		if err != nil || seen[name.(string)] || len(seen) >= maxFields || !userkeys.IsText(name.(string)) {
			return nil, nil, bad
		}
		seen[name.(string)] = true
		switch value := value.(type) {
		case string:
			// The decoder puts U+FFFD for what is no text: broken UTF-8, half of a surrogate pair.
			if !userkeys.IsStorable(value) || strings.ContainsRune(value, utf8.RuneError) {
				return nil, nil, bad
			}
			texts.Set(name.(string), value)
		case json.Number:
			numbers.Set(name.(string), value.String())
		case nil:
		case bool:
			if !lists {
				return nil, nil, bad
			}
			numbers.Set(name.(string), strconv.FormatBool(value))
		default:
			list, ok := jsonList(d, value)
			if !ok || !lists {
				return nil, nil, bad
			}
			numbers.Set(name.(string), list)
		}
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, nil, bad
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, bad
	}
	return texts, numbers, nil
}

// jsonList reads a list of texts, after its first token, as a|b.
func jsonList(d *json.Decoder, first json.Token) (string, bool) {
	if first != json.Delim('[') {
		return "", false
	}
	var list []string
	for d.More() {
		t, err := d.Token()
		text, ok := t.(string)
		if err != nil || !ok || text == "" || len(list) >= maxFields || !userkeys.IsStorable(text) || strings.ContainsAny(text, "|\uFFFD") {
			return "", false
		}
		list = append(list, text)
	}
	_, err := d.Token() // the closing bracket
	return strings.Join(list, "|"), err == nil
}

// tokenHolds tells whether r may act for v's session. Nobody's session needs
// no token; a session without one rests on the checks of Origin and
// Sec-Fetch-Site, of which every browser that keeps cookies sends one.
func tokenHolds(r *http.Request, v site.Visitor) bool {
	if !v.SignedIn() {
		return true
	}
	if v.Session.CSRF == "" {
		return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
	}
	given := r.PostForm.Get(tokenField)
	if h := r.Header.Get(tokenHeader); given == "" && h != "" {
		given = h
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(v.Session.CSRF)) == 1 ||
		v.Session.EarlyCSRF != "" && subtle.ConstantTimeCompare([]byte(given), []byte(v.Session.EarlyCSRF)) == 1
}

// localPath tells whether s is an address on this site that a browser may be
// sent to: an absolute path with a query, in one reading only (RD48).
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

// addressOf is the path and query of r, to come back to with every parameter
// intact. Bytes that a stricter reader would stumble over are percent-encoded
// and plain ones are not, which changes no value: an app may encode every byte,
// and the address must still fit into the one of the login page, encoded again.
func addressOf(r *http.Request) string {
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

// plainEscape reads an escape (%41) at the begin of q that no query needs: of
// a letter, a digit or one of -._~ (RFC 3986 2.3).
func plainEscape(q string) (byte, bool) {
	if len(q) < 3 || q[0] != '%' {
		return 0, false
	}
	n, err := strconv.ParseUint(q[1:3], 16, 8)
	c := byte(n)
	letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	return c, err == nil && (letter || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0)
}

// returnAddress is where a form leads back to; the root of the site if s is no local path.
func returnAddress(s string) string {
	if localPath(s) {
		return s
	}
	return "/"
}
