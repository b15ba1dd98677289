package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"userkeys"
)

// maxDepth is how deep objects may lie in each other.
const maxDepth = 16

// object is a JSON object with each name once, its values as they were written.
type object map[string]json.RawMessage

// parseObject reads one JSON object in one meaning only: each name once in
// every object within it, and texts that are text. It goes by token, because
// decoding into a struct would ignore case and take the last of two.
func parseObject(body []byte) (object, error) {
	bad := userkeys.Errorf(userkeys.InvalidParameters, "the body is no JSON object with each name once")
	if !utf8.Valid(body) {
		return nil, bad
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, bad
	}
	o := object{}
	for d.More() {
		name, ok := nameOf(d)
		if _, twice := o[name]; !ok || twice || len(o) >= maxFields {
			return nil, bad
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil || !plainJSON(value) {
			return nil, bad
		}
		o[name] = value
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, bad
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, bad
	}
	return o, nil
}

// nameOf reads the name of the next member.
func nameOf(d *json.Decoder) (string, bool) {
	t, err := d.Token()
	name, ok := t.(string)
	return name, err == nil && ok && plainText(name)
}

// plainText tells whether s was text: the decoder puts U+FFFD for half of a surrogate pair.
func plainText(s string) bool {
	return userkeys.IsStorable(s) && !strings.ContainsRune(s, utf8.RuneError)
}

// plainJSON tells whether a value that is JSON is so in one meaning only.
func plainJSON(value json.RawMessage) bool {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	return plainValue(d, 0)
}

func plainValue(d *json.Decoder, depth int) bool {
	t, err := d.Token()
	if err != nil || depth > maxDepth {
		return false
	}
	switch t := t.(type) {
	case string:
		return plainText(t)
	case json.Delim:
		names := map[string]bool{}
		for d.More() {
			if t == '{' {
				name, ok := nameOf(d)
				if !ok || names[name] {
					return false
				}
				names[name] = true
			}
			if !plainValue(d, depth+1) {
				return false
			}
		}
		_, err = d.Token() // the closing one
		return err == nil
	}
	return true
}

// flat is o as fields of a form: a number as it is written, null as an empty one.
func (o object) flat() (url.Values, error) {
	fields := url.Values{}
	for name, raw := range o {
		switch c := raw[0]; {
		case c == '{' || c == '[':
			return nil, userkeys.Errorf(userkeys.InvalidParameters, "%s must be one text or number", userkeys.Printable(cutBytes(name, 64)))
		case c == 'n':
			fields.Set(name, "")
		case c == '"':
			var text string
			if err := json.Unmarshal(raw, &text); err != nil {
				return nil, err // parseObject has read it
			}
			fields.Set(name, text)
		default:
			fields.Set(name, string(raw))
		}
	}
	return fields, nil
}

// readFields reads the body of an app's or a script's request: JSON whatever it
// is called, a form, or nothing. What cannot be read is refused: no fields may mean "all".
func readFields(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	body, err := readAll(w, r)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return url.Values{}, err
	}
	o, err := parseObject(body)
	if err == nil {
		return o.flat()
	}
	if mediaType(r) == "application/x-www-form-urlencoded" {
		return parseForm(string(body))
	}
	return nil, err
}

// queryFields reads the query of r in one meaning only.
func queryFields(r *http.Request) (url.Values, error) { return parseFields("query", r.URL.RawQuery) }
