package discourse

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	jsonType = "application/json; charset=utf-8"
	htmlType = "text/html; charset=utf-8"
	textType = "text/plain; charset=utf-8"
)

// A call is a request on its way through the site.
type call struct {
	s      *Site
	r      *http.Request
	now    time.Time
	entry  int    // in the list of requests
	path   string // without .json
	json   bool   // the answer is wanted as JSON
	params map[string]any
	badly  bool // the body could not be read
	route  route

	user    *User
	key     *Key     // what signed user in, if not a cookie
	session *session // the browser's
	limited bool
	header  http.Header // of the answer, beside its own
}

// newCall reads the request to its end, so that the context tells when the app leaves.
func (s *Site) newCall(r *http.Request) *call {
	c := &call{s: s, r: r, now: s.Clock.Now(), params: make(map[string]any), header: make(http.Header)}
	var suffix bool
	c.path, suffix = strings.CutSuffix(r.URL.Path, ".json")
	c.json = suffix || wantsJSON(r)
	body, err := io.ReadAll(io.LimitReader(r.Body, 10<<20))
	c.badly = err != nil
	c.addForm(r.URL.RawQuery)
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/x-www-form-urlencoded":
		c.addForm(string(body))
	case "application/json":
		c.addJSON(body)
	}
	return c
}

// addForm reads parameters; of several with a name the last counts.
func (c *call) addForm(query string) {
	values, err := url.ParseQuery(query)
	if err != nil {
		c.badly = true
	}
	for name, v := range values {
		c.params[name] = v[len(v)-1]
	}
}

func (c *call) addJSON(body []byte) {
	if len(bytes.TrimSpace(body)) == 0 {
		return
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		c.badly = true
	}
	for name, v := range object {
		c.params[name] = v
	}
}

// wantsJSON reads Accept as Rails does: a list of types, as browsers send it,
// means a page, unless the request says that a script sent it.
func wantsJSON(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	if strings.Contains(accept, ",") && !isScript(r) {
		return false
	}
	first, _, _ := strings.Cut(accept, ",")
	kind, _, _ := mime.ParseMediaType(first)
	return kind == "application/json"
}

func isScript(r *http.Request) bool { return r.Header.Get("X-Requested-With") == "XMLHttpRequest" }

// param is a parameter as text; numbers of a JSON body too.
func (c *call) param(name string) string {
	switch v := c.params[name].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func (c *call) has(name string) bool { _, ok := c.params[name]; return ok }

// require refuses a request that lacks one of names, the first first.
func (c *call) require(names ...string) error {
	for _, name := range names {
		if blank(c.param(name)) {
			text := "param is missing or the value is empty: " + name
			return &failure{status: http.StatusBadRequest, alwaysJSON: true, text: text}
		}
	}
	return nil
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

func (c *call) address() string {
	host, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		return c.r.RemoteAddr
	}
	return host
}

// An answer is what goes back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func newAnswer(status int, contentType string, body []byte) answer {
	return answer{status, http.Header{"Content-Type": {contentType}}, body}
}

func text(status int, body string) answer { return newAnswer(status, textType, []byte(body)) }

func page(status int, body string) answer { return newAnswer(status, htmlType, []byte(body)) }

// data is JSON; status 200.
func data(v any) answer { return jsonAnswer(http.StatusOK, v) }

func jsonAnswer(status int, v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types only
	}
	return newAnswer(status, jsonType, body)
}

var success = data(map[string]string{"success": "OK"})

func redirect(to string) answer {
	a := page(http.StatusFound, "")
	a.header.Set("Location", to)
	return a
}

// A failure is an answer that refuses. Handlers return it as an error.
type failure struct {
	status     int
	kind       string // error_type
	text       string
	extras     map[string]any
	wait       int64  // Retry-After
	code       string // Discourse-Rate-Limit-Error-Code
	alwaysJSON bool
	plain      bool // text where others are a page
}

func (f *failure) Error() string { return f.text }

// The refusals that have one text only, so that nobody learns more from it.
var (
	errInvalidAccess = refusal(403, "invalid_access", "You are not permitted to view the requested resource.")
	errInvalidKey    = &failure{status: 403, kind: "invalid_access", text: errInvalidAccess.text, plain: true}
	errNotLoggedIn   = refusal(403, "not_logged_in", "You need to be logged in to do that.")
	errNotFound      = refusal(404, "not_found", "The requested URL or resource could not be found.")
	errCrash         = refusal(500, "", "Something went wrong.")
)

func refusal(status int, kind, text string) *failure {
	return &failure{status: status, kind: kind, text: text}
}

func invalidParameter(why string) *failure {
	return refusal(http.StatusBadRequest, "invalid_parameters", "You supplied invalid parameters to the request: "+why)
}

// render makes the answer of an error, in the form that the call asked for.
func (c *call) render(err error) answer {
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{status: errCrash.status, text: err.Error()}
	}
	c.limited = c.limited || f.status == http.StatusTooManyRequests
	var a answer
	switch {
	case c.json || isScript(c.r) || f.alwaysJSON:
		a = jsonAnswer(f.status, struct {
			Errors []string       `json:"errors"`
			Type   string         `json:"error_type,omitempty"`
			Extras map[string]any `json:"extras,omitempty"`
		}{[]string{f.text}, f.kind, f.extras})
	case f.plain:
		a = text(f.status, f.text)
	case f == errNotLoggedIn && c.r.Method == http.MethodGet:
		return c.render(errNotFound)
	default:
		a = page(f.status, problemPage(f.text))
	}
	if f.wait > 0 {
		a.header.Set("Retry-After", strconv.FormatInt(f.wait, 10))
	}
	if f.code != "" {
		a.header.Set("Discourse-Rate-Limit-Error-Code", f.code)
	}
	return a
}

// finish notes how the call ended, before the app can know. Callers hold mu.
func (c *call) finish(status int) {
	c.s.requests[c.entry].Status = status
	c.s.requests[c.entry].Limited = c.limited
}

// write sends the answer.
func (c *call) write(w http.ResponseWriter, a answer) {
	for _, h := range []http.Header{c.header, a.header} {
		for name, values := range h {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the app may have gone
}
