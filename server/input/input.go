// Package input reads what a request says: bodies by their kind, queries by
// the names that they may have, ids by one rule. Each has one meaning only, or
// is refused.
package input

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"userkeys"
)

// TokenField is the field that carries a session's token, by the wire's name.
const TokenField = "authenticity_token"

const (
	// MaxBody is how large a body may be, in bytes, on routes that say nothing else.
	MaxBody        = 64 << 10
	maxFields      = 100
	maxKeylessBody = 10_000 // of a program without a key
	maxDepth       = 16     // of values in a JSON object
)

// Body is what a route takes as the body of a request.
type Body int

const (
	// NoBody leaves the body unread.
	NoBody Body = iota
	// Form is a form of at most 64 KiB.
	Form
	// FormOrJSON is a form, or a flat JSON object of texts and numbers.
	FormOrJSON
	// Record is FormOrJSON with booleans and with lists of texts, which are read as a|b.
	Record
	// JSON is a flat JSON object and nothing else, of a program without a key.
	JSON
	// Raw leaves the body to the handler (see [ReadFields] and [ReadObject]).
	Raw
)

// Parsed reports whether [Read] reads such a body.
func (b Body) Parsed() bool { return b != NoBody && b != Raw }

// Read reads the body of r into r.PostForm, if kind has one that is parsed.
func Read(w http.ResponseWriter, r *http.Request, kind Body) error {
	if !kind.Parsed() {
		return nil
	}
	fields, err := readBody(w, r, kind)
	r.PostForm, r.Form = fields, fields // the query never counts where a body does
	return err
}

// readBody reads a form, or JSON where kind has it. No body at all is a form without fields.
func readBody(w http.ResponseWriter, r *http.Request, kind Body) (url.Values, error) {
	media := mediaType(r)
	if kind == JSON && media != "application/json" {
		return nil, userkeys.Errorf(userkeys.InvalidAccess, "send JSON with Content-Type: application/json")
	}
	body, err := ReadAll(w, r, MaxBody)
	if err == nil && kind == JSON && len(body) > maxKeylessBody {
		err = userkeys.Errorf(userkeys.InvalidParameters, "the request is larger than %d bytes", maxKeylessBody)
	}
	if err != nil {
		return nil, err
	}
	mayBeJSON := kind != Form && media == "application/json"
	switch {
	case media == "application/x-www-form-urlencoded", len(body) == 0 && (media == "" || mayBeJSON):
		return parseFields("form", string(body))
	case mayBeJSON:
		o, err := parseObject(body)
		if err != nil {
			return nil, errNotFlat
		}
		return o.fields(kind)
	}
	return nil, userkeys.Errorf(userkeys.UnsupportedMedia, "the body must be application/x-www-form-urlencoded")
}

// ReadLenient reads the body of a request with a key into r.PostForm. Apps send none, an empty
// object, a form, or one thing under the other's name; what cannot be read has
// no fields. A number is no text, so an id given as one is nobody's.
func ReadLenient(w http.ResponseWriter, r *http.Request) error {
	body, err := ReadAll(w, r, MaxBody)
	fields := url.Values{}
	if err == nil {
		fields = parseLenient(r, body)
	}
	r.PostForm, r.Form = fields, fields
	return err
}

func parseLenient(r *http.Request, body []byte) url.Values {
	if o, err := parseObject(body); err == nil {
		for name, value := range o {
			if value.Kind() == '0' {
				o[name] = jsontext.Value(`""`)
			}
		}
		if fields, err := o.fields(FormOrJSON); err == nil {
			return fields
		}
	}
	if mediaType(r) == "application/x-www-form-urlencoded" {
		if fields, err := parseFields("form", string(body)); err == nil {
			return fields
		}
	}
	return url.Values{}
}

// ReadFields reads the body of a request of an app or a script: JSON, also under another content type, or a form,
// or nothing. It refuses what it cannot read, because a request without fields can mean "all".
func ReadFields(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	body, err := ReadAll(w, r, MaxBody)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return url.Values{}, err
	}
	o, err := parseObject(body)
	if err == nil {
		return o.flat()
	}
	if mediaType(r) == "application/x-www-form-urlencoded" {
		return parseFields("form", string(body))
	}
	return nil, err
}

// ReadObject reads a body of at most limit bytes that is one JSON object.
func ReadObject(w http.ResponseWriter, r *http.Request, limit int64) (Object, error) {
	body, err := ReadAll(w, r, limit)
	if err != nil {
		return nil, err
	}
	return parseObject(body)
}

// ReadAll reads a body as it came: a compressed one may be far larger than it
// looks, and no app of the wire sends one.
func ReadAll(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
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

// IsJSON tells whether the body of r is called JSON.
func IsJSON(r *http.Request) bool { return mediaType(r) == "application/json" }

// parseFields reads a form or a query with one meaning only: each field once, well-formed, text.
func parseFields(what, text string) (url.Values, error) {
	bad := func(why string) (url.Values, error) {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "the %s %s", what, why)
	}
	if strings.Count(text, "&") >= maxFields {
		return bad("has too many fields")
	}
	fields, err := url.ParseQuery(text)
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

// Object is a JSON object with each name once, its values as they were written.
type Object map[string]jsontext.Value

// parseObject reads one JSON object in one meaning only: each name once in
// every object within it, and texts that are text.
func parseObject(body []byte) (Object, error) {
	var o Object
	err := json.Unmarshal(body, &o)
	if err != nil || o == nil || len(o) > maxFields || !plain(body) {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "the body is no JSON object with each name once")
	}
	return o, nil
}

// plain tells whether JSON is not deeper than maxDepth, and no text in it has a NUL.
func plain(body []byte) bool {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		t, err := d.ReadToken()
		switch {
		case err == io.EOF:
			return true
		case err != nil, t.Kind() == '"' && strings.Contains(t.String(), "\x00"), d.StackDepth() > maxDepth+1:
			return false
		}
	}
}

// flat is o as fields of a form: a number as it is written, null as an empty one.
func (o Object) flat() (url.Values, error) {
	fields := url.Values{}
	for name, value := range o {
		switch value.Kind() {
		case '{', '[':
			return nil, userkeys.Errorf(userkeys.InvalidParameters,
				"%s must be one text or number", userkeys.Printable(userkeys.Shorten(name, 64)))
		case 'n':
			fields.Set(name, "")
		case '"':
			var text string
			if err := json.Unmarshal(value, &text); err != nil {
				return nil, err // parseObject has read it
			}
			fields.Set(name, text)
		default:
			fields.Set(name, string(value))
		}
	}
	return fields, nil
}

var errNotFlat = userkeys.Errorf(userkeys.InvalidParameters, "the body is no flat JSON object with each name once")

// fields is an object of texts and numbers as fields of a form; null is no field. With kind [Record] it may
// have true and false, and lists of texts, which are read as a|b.
func (o Object) fields(kind Body) (url.Values, error) {
	for name, value := range o {
		switch value.Kind() {
		case 'n':
			delete(o, name)
		case 't', 'f':
			if kind != Record {
				return nil, errNotFlat
			}
		case '[':
			list, ok := textList(value)
			if !ok || kind != Record {
				return nil, errNotFlat
			}
			o[name] = list
		}
		if !userkeys.IsText(name) {
			return nil, errNotFlat
		}
	}
	fields, err := o.flat()
	if err != nil {
		return nil, errNotFlat
	}
	return fields, nil
}

// textList is a JSON list of texts as the JSON text a|b.
func textList(value jsontext.Value) (jsontext.Value, bool) {
	var list []*string
	if err := json.Unmarshal(value, &list); err != nil || len(list) > maxFields {
		return nil, false
	}
	texts := make([]string, len(list))
	for i, text := range list {
		if text == nil || *text == "" || strings.Contains(*text, "|") {
			return nil, false
		}
		texts[i] = *text
	}
	joined, err := jsontext.AppendQuote(nil, strings.Join(texts, "|"))
	return joined, err == nil
}

// ParseQuery reads the query of r in one meaning only.
func ParseQuery(r *http.Request) (url.Values, error) { return parseFields("query", r.URL.RawQuery) }

const (
	defaultPage = 100
	mostPage    = 1000
)

// Query is what a list is asked for: each name once, and none that the list
// does not know, for a filter that is not understood would show what it should not.
type Query struct {
	url.Values
	Limit  int
	Before int64 // the cursor of a list that is newest first; 0: its start
}

// ParseListQuery reads the query of r for a list that has the parameters known, besides limit.
func ParseListQuery(r *http.Request, known ...string) (Query, error) {
	bad := func(format string, args ...any) (Query, error) {
		return Query{}, userkeys.Errorf(userkeys.InvalidParameters, format, args...)
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad("the query is not well-formed")
	}
	q := Query{Values: values, Limit: defaultPage}
	known = append(known, "limit")
	for name, v := range values {
		switch {
		case !slices.Contains(known, name):
			return bad("this list has no parameter %q; it has %s", userkeys.Shorten(name, 100), strings.Join(known, ", "))
		case len(v) > 1:
			return bad("the parameter %s is there twice", name)
		case len(v[0]) > 1024 || !userkeys.IsStorable(v[0]):
			return bad("the parameter %s is no text, or longer than 1024 bytes", name)
		}
	}
	n, err := q.Number("limit")
	if err != nil || n > mostPage {
		return bad("limit must be a whole number from 1 to %d", mostPage)
	}
	if n > 0 {
		q.Limit = int(n)
	}
	q.Before, err = q.Number("before")
	return q, err
}

// Number is a parameter that is an id or a count; 0 if it is absent. A cursor
// is only an id, so there is nothing else in it to change.
func (q Query) Number(name string) (int64, error) {
	if !q.Has(name) {
		return 0, nil
	}
	n, ok := ParseID(q.Get(name))
	if !ok {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "%s must be a whole number above 0", name)
	}
	return n, nil
}

// ParseID reads plain digits of a number that an id can be. Databases and languages read the rest in ways of their own.
func ParseID(text string) (int64, bool) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 || strconv.FormatInt(id, 10) != text {
		return 0, false
	}
	return id, true
}

// ID reads the id that r names: the {id} of its address, or else the id of its form. What is no id is nobody's:
// the refusal says that there is no such thing as what.
func ID(r *http.Request, what string) (int64, error) {
	text := r.PathValue("id")
	if text == "" {
		text = r.PostForm.Get("id")
	}
	id, ok := ParseID(text)
	if !ok {
		return 0, userkeys.Errorf(userkeys.NotFound, "there is no such %s", what)
	}
	return id, nil
}

// NameDotJSON reads a name in an address that ends with .json, as all of the
// admin API do: names may have dots, so there must be one reading.
func NameDotJSON(r *http.Request, wildcard string) (string, error) {
	name, ok := strings.CutSuffix(r.PathValue(wildcard), ".json")
	if !ok || name == "" || !userkeys.IsStorable(name) {
		return "", userkeys.Errorf(userkeys.NotFound, "there is nothing at this address; it ends with .json")
	}
	return name, nil
}

// OnlyFields refuses a field that would be ignored: a misspelled one would look like done.
func OnlyFields(fields url.Values, known ...string) error {
	for name := range fields {
		if name != TokenField && !slices.Contains(known, name) {
			return userkeys.Errorf(userkeys.InvalidParameters,
				"there is no field %q here; there is %s", userkeys.Shorten(name, 100), strings.Join(known, ", "))
		}
	}
	return nil
}

// Required is a field that must be given; it may be empty.
func Required(fields url.Values, name string) (string, error) {
	if !fields.Has(name) {
		return "", userkeys.Errorf(userkeys.MissingParameter, "param is missing or the value is empty: %s", name)
	}
	return fields.Get(name), nil
}

// Truth reads a yes or no, the value of name.
func Truth(name, text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, userkeys.Errorf(userkeys.InvalidParameters, "%s must be true or false", name)
}
