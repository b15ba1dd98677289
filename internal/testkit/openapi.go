package testkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"userkeys/server"
)

// document is the OpenAPI document, compiled: every JSON answer of a test site is held to it.
type document struct {
	compiler *jsonschema.Compiler
	paths    map[string]map[string]operation
}

type operation struct {
	Responses map[string]struct {
		Ref     string `json:"$ref"`
		Content map[string]json.RawMessage
	}
}

var openAPI = sync.OnceValue(func() *document {
	var doc struct {
		Paths map[string]map[string]operation
	}
	if err := json.Unmarshal(server.OpenAPI(), &doc); err != nil {
		panic(err)
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(server.OpenAPI()))
	if err != nil {
		panic(err)
	}
	d := &document{compiler: jsonschema.NewCompiler(), paths: doc.Paths}
	if err := d.compiler.AddResource("openapi.json", whole); err != nil {
		panic(err)
	}
	return d
})

var compiling sync.Mutex // the compiler is not for several goroutines

// checkOpenAPI fails the test if a JSON answer of the site's own is not as the document says.
func checkOpenAPI(t testing.TB, a Answer) {
	t.Helper()
	// Our own answers have an id; what the website behind answers is its affair.
	ours := a.Header.Get("X-Request-Id") != "" && a.StatusCode != http.StatusMethodNotAllowed
	isJSON := strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") && a.Request.Method != http.MethodHead
	if !ours || !isJSON {
		return
	}
	d := openAPI()
	path, op, ok := d.find(a.Request.Method, a.Request.URL.Path)
	if !ok {
		return // not one of ours; the server's own test knows them all
	}
	pointer := "#/paths/" + escapePointer(path) + "/" + strings.ToLower(a.Request.Method) + "/responses/"
	switch r, described := op.Responses[strconv.Itoa(a.StatusCode)]; {
	case described && r.Content != nil:
		pointer += strconv.Itoa(a.StatusCode)
	case described:
		t.Errorf("%s %s: a body where the document has none", a.Request.Method, path)
		return
	default:
		pointer = "#/components/responses/Refused"
	}
	if err := d.validate(pointer+"/content/application~1json/schema", a.Body); err != nil {
		t.Errorf("%s %s: status %d is not as openapi.json says: %v\n%.1000s",
			a.Request.Method, path, a.StatusCode, err, a.Body)
	}
}

func (d *document) validate(pointer, body string) error {
	compiling.Lock()
	schema, err := d.compiler.Compile("openapi.json" + pointer)
	compiling.Unlock()
	if err != nil {
		return fmt.Errorf("the document: %w", err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// find is the described path of a request; its .json may be left out.
func (d *document) find(method, path string) (string, operation, bool) {
	for described, methods := range d.paths {
		op, ok := methods[strings.ToLower(method)]
		if ok && (matches(described, path) || matches(described, path+".json")) {
			return described, op, true
		}
	}
	return "", operation{}, false
}

// matches compares segment by segment; {name} is any one, before a .json too.
func matches(described, path string) bool {
	want, got := strings.Split(described, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i, w := range want {
		before, after, wild := strings.Cut(w, "{")
		if !wild {
			if w != got[i] {
				return false
			}
			continue
		}
		_, end, _ := strings.Cut(after, "}")
		if before != "" || !strings.HasSuffix(got[i], end) || len(got[i]) <= len(end) {
			return false
		}
	}
	return true
}

func escapePointer(path string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path)
}
