package scopes

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"userkeys/internal/sitecmd/sitedata"
	"userkeys/server"
)

// read reads a document of the text.
func read(t *testing.T, text, prefix string) (*document, error) {
	t.Helper()
	return readDocument("-", prefix, strings.NewReader(text))
}

// printed returns what import prints for a document.
func printed(t *testing.T, text, prefix string, by source) string {
	t.Helper()
	d, err := read(t, text, prefix)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := d.printScopes(&out, by); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestExamplesNameDocuments: whoever copies an example sees that the argument is a file.
func TestExamplesNameDocuments(t *testing.T) {
	t.Parallel()
	for _, cmd := range Commands()[0].Commands() {
		for line := range strings.Lines(cmd.Example) {
			if strings.Contains(line, "import") && !strings.Contains(line, "import openapi.") || strings.HasSuffix(line, " json\n") {
				t.Errorf("%s: %s", cmd.Name(), line)
			}
		}
	}
}

// TestImport holds what is printed for the documents of testdata to the files beside them.
func TestImport(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file, prefix string
		by                 source
	}{
		{"notes", "notes.yaml", "", byBoth},
		{"notes-tag", "notes.yaml", "", byTag},
		{"notes-security", "notes.yaml", "/v9/", bySecurity},
		{"swagger", "swagger.json", "", byBoth},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("testdata", c.file))
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", c.name+".toml")
			got := printed(t, string(text), c.prefix, c.by)
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-%s +printed:\n%s", golden, diff)
			}
		})
	}
}

// TestImportedScopesOpenTheDocument: what import makes of a document is loaded once its sentences are written, opens
// every operation that a route can say, and nothing is idle.
func TestImportedScopesOpenTheDocument(t *testing.T) {
	t.Parallel()
	ours := tagged(t, server.OpenAPI())
	scopes := printed(t, ours, "", byTag)
	if _, err := sitedata.ReadScopes("x.toml", []byte(scopes)); err == nil || !strings.Contains(err.Error(), "TODO") {
		t.Errorf("with TODO: %v", err)
	}
	own, err := sitedata.ReadScopes("x.toml", []byte(strings.ReplaceAll(scopes, "TODO", "to do")))
	if err != nil {
		t.Fatal(err)
	}
	d, err := read(t, ours, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range d.operations {
		if o.Refused != "" {
			t.Errorf("%s: %s", o, o.Refused)
		}
	}
	if lines := d.differences(own); len(d.operations) < 50 || len(lines) != 0 {
		t.Errorf("%d operations, %q", len(d.operations), lines)
	}
}

// tagged returns a document whose operations have the first part of their path as a tag.
func tagged(t *testing.T, text []byte) string {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range object(doc["paths"]) {
		for _, op := range object(item) {
			if op := object(op); op != nil {
				op["tags"] = []any{strings.Split(path, "/")[1]}
			}
		}
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	d, err := read(t, `{"openapi":"3.1.0","paths":{
		"/t/{id}.json":{"get":{},"delete":{}},
		"/t/latest.json":{"get":{}},
		"/x/{a}/{b}":{"get":{}, "options":{}},
		"/x/{a}...{b}":{"get":{}},
		"/head":{"head":{}}}}`, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, routes, want string }{
		{"all", `"GET /{rest...}", "DELETE /t/{n}"`, ""},
		{"nothing", ``, "GET /head, GET /t/latest.json, DELETE /t/{id}.json, GET /t/{id}.json, GET /x/{a}...{b}, GET /x/{a}/{b}"},
		{"literals do not open templates", `"GET /t/latest.json", "DELETE /t/1.json", "GET /x/{rest...}", "GET /head"`, "DELETE /t/{id}.json, GET /t/{id}.json"},
		{"another ending", `"GET /{rest...}", "DELETE /t/{id}.xml"`, "DELETE /t/{id}.json, scope own: DELETE /t/{id}.xml"},
		{"crossing", `"GET /{rest...}", "DELETE /{a...}", "GET /{any}/{a}/1", "GET /x/{any...}.rss", "GET /x/{a}.k/{b}.k"`, ""},
		{
			"longer and shorter", `"GET /{rest...}", "DELETE /{a...}", "GET /x/1/2/3", "GET /x/1/2/{r...}.js", "GET /t"`,
			"scope own: GET /x/1/2/3, scope own: GET /x/1/2/{r...}.js, scope own: GET /t",
		},
		{"idle", `"PUT /{rest...}"`, "*, scope own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := "[[scope]]\nname = 'own'\nsentence = 'x'\nroutes = [" + c.routes + "]\n"
			own, err := sitedata.ReadScopes("x.toml", []byte(config))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range d.differences(own) {
				line, _ = strings.CutSuffix(line, ": no scope opens it")
				line, _ = strings.CutSuffix(line, " opens no operation of the document")
				got = append(got, line)
			}
			want := strings.ReplaceAll(c.want, "*", "HEAD /head, GET /t/latest.json, DELETE /t/{id}.json, GET /t/{id}.json, GET /x/{a}...{b}, GET /x/{a}/{b}")
			want = strings.ReplaceAll(want, "GET /head", "HEAD /head")
			if strings.Join(got, ", ") != want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
			}
		})
	}
}

func TestDocumentsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, prefix, words string }{
		{"empty", "", "", "this is no OpenAPI document"},
		{"no JSON", `{"openapi":`, "", "unexpected end of JSON"},
		{"no YAML", "a: [", "", "-: ["},
		{"a list", "- a", "", "this is no OpenAPI document"},
		{"no version", `{"paths":{"/x":{"get":{}}}}`, "", "neither openapi nor swagger"},
		{"no operations", `{"openapi":"3.0.0","paths":{"/x":{"options":{}}}}`, "", "no operations"},
		{"another file", `{"openapi":"3.0.0","paths":{"/x":{"$ref":"x.yaml#/x"}}}`, "", `paths: /x: $ref "x.yaml#/x" is in another file`},
		{"a parameter in another file", `{"openapi":"3.0.0","paths":{"/{x}":{"get":{"parameters":[{"$ref":"https://h/x"}]}}}}`, "", "GET /{x}: $ref"},
		{"a dead reference", `{"openapi":"3.0.0","paths":{"/x":{"$ref":"#/components/none"}}}`, "", "no such thing"},
		{"a circle", `{"openapi":"3.0.0","paths":{"/x":{"$ref":"#/paths/~1x"}}}`, "", "refers to itself"},
		{"two prefixes", `{"openapi":"3.0.0","servers":[{"url":"/a"},{"url":"https://h/b/"}],"paths":{"/x":{"get":{}}}}`, "", "different paths (/a, /b); choose one with --prefix"},
		{"an unknown prefix", `{"openapi":"3.0.0","servers":[{"url":"https://h/{v}"}],"paths":{"/x":{"get":{}}}}`, "", "name it with --prefix"},
		{"a relative prefix", `{"openapi":"3.0.0","servers":[{"url":"v1"}],"paths":{"/x":{"get":{}}}}`, "", "name it with --prefix"},
		{"a wrong prefix", `{"openapi":"3.0.0","paths":{"/x":{"get":{}}}}`, "api", "does not begin with a slash"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if d, err := read(t, c.text, c.prefix); err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%+v, %v; want %s", d, err, c.words)
			}
		})
	}
}

func TestServersPrefixes(t *testing.T) {
	t.Parallel()
	for servers, want := range map[string]string{
		`[]`:                                  "GET /x",
		`[{"url":"https://h.example"}]`:       "GET /x",
		`[{"url":"https://h.example/api/"}]`:  "GET /api/x",
		`[{"url":"/"},{"url":"https://{h}"}]`: "GET /x",
		`[{"url":"/a/{v}","variables":{"v":{"default":"v2"}}}]`: "GET /a/v2/x",
	} {
		d, err := read(t, `{"openapi":"3.0.0","servers":`+servers+`,"paths":{"/x":{"get":{}}}}`, "")
		if err != nil || d.operations[0].String() != want {
			t.Errorf("%s: %v, %v", servers, d, err)
		}
		if d, err = read(t, `{"openapi":"3.0.0","servers":`+servers+`,"paths":{"/x":{"get":{}}}}`, "/p"); err != nil || d.operations[0].Path != "/p/x" {
			t.Errorf("%s with a prefix: %v, %v", servers, d, err)
		}
	}
}

// FuzzImport: whatever a document says, what is printed is TOML that the configuration takes or refuses for its TODO,
// with no route that the document does not have and no line outside comments and tables.
func FuzzImport(f *testing.F) {
	for _, file := range []string{"notes.yaml", "swagger.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		if text, err = yaml.YAMLToJSON(text); err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), "/x")
	}
	f.Fuzz(func(t *testing.T, text, prefix string) {
		if !strings.HasPrefix(text, "{") {
			return // YAML, which the fuzzing would be of
		}
		d, err := read(t, text, prefix)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := d.printScopes(&out, byBoth); err != nil {
			t.Fatal(err)
		}
		own, err := sitedata.ReadScopes("x.toml", out.Bytes())
		if err != nil {
			if !strings.Contains(err.Error(), "in place of TODO") {
				t.Fatalf("%v:\n%s", err, out.String())
			}
			return
		}
		for _, s := range own {
			for _, r := range s.Routes {
				found := false
				for _, o := range d.operations {
					found = found || o.Route.String() == r.String()
				}
				if !found {
					t.Fatalf("%s: no operation has the route %s", s.Name, r)
				}
			}
		}
	})
}
