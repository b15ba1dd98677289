package keycmd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys/internal/cli"
	"userkeys/internal/cli/clitest"
	"userkeys/internal/testkit/nettest"
)

func TestCallSendsWhatWasSaid(t *testing.T) {
	site := newAppSite(t)
	clitest.StoreKeys(t, site.URL)
	file := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(file, []byte(` [1]`), 0o600); err != nil {
		t.Fatal(err)
	}
	const form, jsonType = "application/x-www-form-urlencoded", "application/json"
	tests := []struct {
		name, in string
		args     []string
		want     map[string]string
	}{
		{"get", "", []string{"get", "/echo?a=b%20c"}, map[string]string{"method": "GET", "target": "/echo?a=b%20c"}},
		{"full address", "", []string{"GET", site.URL + "/echo?x=1"}, map[string]string{"method": "GET", "target": "/echo?x=1"}},
		{"site without scheme", "", []string{"GET", "/echo", "--site", strings.TrimPrefix(site.URL, "http://")}, map[string]string{"method": "GET", "target": "/echo"}},
		{"form", "", []string{"POST", "/echo", "-d", "raw=hi"}, map[string]string{"method": "POST", "target": "/echo", "body": "raw=hi", "type": form}},
		{"JSON", "", []string{"POST", "/echo", "-d", `{"a":1}`}, map[string]string{"method": "POST", "target": "/echo", "body": `{"a":1}`, "type": jsonType}},
		{"file", "", []string{"PUT", "/echo", "-d", "@" + file}, map[string]string{"method": "PUT", "target": "/echo", "body": " [1]", "type": jsonType}},
		{"standard input", "a=1", []string{"PATCH", "/echo", "-d", "@-"}, map[string]string{"method": "PATCH", "target": "/echo", "body": "a=1", "type": form}},
		{"no body", "", []string{"DELETE", "/echo"}, map[string]string{"method": "DELETE", "target": "/echo"}},
		{"headers", "", []string{"POST", "/echo", "-d", "x", "-H", "X-Mine: yes", "-H", "content-type: text/plain"}, map[string]string{"method": "POST", "target": "/echo", "body": "x", "type": "text/plain", "x": "yes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := clitest.Execute(t, newCallCommand(), tt.in, tt.args...)
			if o.Code != 0 || o.Err != "" {
				t.Fatalf("call: %+v", o)
			}
			got := map[string]string{}
			if err := json.Unmarshal([]byte(o.Out), &got); err != nil {
				t.Fatal(err)
			}
			tt.want["key"] = "right"
			for _, name := range []string{"body", "type", "x"} {
				tt.want[name] += ""
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("the site saw (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCallExitCodes(t *testing.T) {
	site := newAppSite(t)
	tests := []struct {
		path string
		code int
		says string
	}{
		{"/revoked", 4, "403: invalid key; the key was revoked or has expired; get a new one: userkeys login " + site.URL},
		{"/write", 4, "403: missing scope: write; ask for it: userkeys login " + site.URL + " --scopes read,write (an administrator of the site may have to allow it first)"},
		{"/password", 6, "401: unauthorized; a web server before the site, or the website itself, asks for a password of its own;"},
		{"/other-403", 4, "it has read"},
		{"/limited", 5, "429: limit: 20 per 60 s; try again in 13s"},
		{"/invalid", 6, "400: raw is missing\ufffd[2J;"},
		{"/nowhere", 6, "404: not found; is the path right?"},
		{"/broken", 7, "502: bad gateway;"},
		{"/starting", 7, "try again in 13s"},
		{"/moved", 1, "302: the site points to"},
	}
	for _, tt := range tests {
		t.Run(strings.TrimPrefix(tt.path, "/"), func(t *testing.T) {
			clitest.StoreKeys(t, site.URL)
			o := clitest.Execute(t, newCallCommand(), "", "GET", tt.path)
			if o.Code != tt.code || !strings.Contains(o.Err, tt.says) || strings.ContainsAny(o.Err, "\n\x1b") {
				t.Errorf("code %d, said %q; want %d and one line with %q", o.Code, o.Err, tt.code, tt.says)
			}
			if tt.path == "/revoked" && !strings.Contains(o.Out, `"error_type":"invalid_access"`) {
				t.Errorf("the body is not on standard output: %q", o.Out)
			}
		})
	}
}

func TestCallUnreachable(t *testing.T) {
	gone := "http://" + nettest.ReserveAddress(t)
	clitest.StoreKeys(t, gone)
	o := clitest.Execute(t, newCallCommand(), "", "GET", "/x")
	if o.Code != cli.ExitUnreachable || !strings.Contains(o.Err, "cannot reach "+gone) || !strings.Contains(o.Err, "refused") {
		t.Errorf("call of a site that is gone: %+v", o)
	}
}

func TestCallIncludesHeaders(t *testing.T) {
	site := newAppSite(t)
	clitest.StoreKeys(t, site.URL)
	o := clitest.Execute(t, newCallCommand(), "", "GET", "/limited", "-i")
	head, body, ok := strings.Cut(o.Out, "\r\n\r\n")
	if !ok || !strings.HasPrefix(head, "HTTP/1.1 429 Too Many Requests\r\n") || !strings.Contains(head, "Retry-After: 13") || !strings.HasPrefix(body, "{") {
		t.Errorf("printed %q", o.Out)
	}
}

func TestCallRefuses(t *testing.T) {
	tests := []struct {
		name  string
		sites []string
		args  []string
		code  int
		says  string
	}{
		{"no keys", nil, []string{"GET", "/x"}, cli.ExitFailure, "userkeys login SITE"},
		{"several sites", []string{"https://a.example", "https://b.example"}, []string{"GET", "/x"}, cli.ExitUsage, "https://a.example, https://b.example"},
		{"site without a key", []string{"https://a.example"}, []string{"GET", "/x", "--site", "b.example"}, cli.ExitFailure, "no key for https://b.example"},
		{"address without a key", []string{"https://a.example"}, []string{"GET", "https://evil.example/x"}, cli.ExitFailure, "no key for https://evil.example"},
		{"https asked, key for http", []string{"http://a.example"}, []string{"GET", "/x", "--site", "https://a.example"}, cli.ExitFailure, "no key for"},
		{"folder of a neighbour", []string{"https://a.example/forum"}, []string{"GET", "https://a.example/other"}, cli.ExitFailure, "no key for"},
		{"out of the folder", []string{"https://a.example/forum"}, []string{"GET", "/../other"}, cli.ExitUsage, "no path on"},
		{"site and address", []string{"https://a.example"}, []string{"GET", "https://a.example/", "--site", "a.example"}, cli.ExitUsage, "not both"},
		{"no slash", []string{"https://a.example"}, []string{"GET", "x"}, cli.ExitUsage, "begins with a slash"},
		{"the key's header", []string{"https://a.example"}, []string{"GET", "/x", "-H", "user-api-key: x"}, cli.ExitUsage, "stored key"},
		{"no header", []string{"https://a.example"}, []string{"GET", "/x", "-H", "x"}, cli.ExitUsage, "Name: value"},
		{"Host", []string{"https://a.example"}, []string{"GET", "/x", "-H", "Host: b.example"}, cli.ExitUsage, "cannot be set"},
		{"no path", nil, []string{"GET"}, cli.ExitUsage, "usage: call METHOD PATH"},
		{"no method", []string{"https://a.example"}, []string{"G T", "/x"}, cli.ExitUsage, "no method"},
		{"no file", []string{"https://a.example"}, []string{"POST", "/x", "-d", "@/nowhere/at/all"}, cli.ExitUsage, "cannot read the body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clitest.StoreKeys(t, tt.sites...)
			o := clitest.Execute(t, newCallCommand(), "", tt.args...)
			if o.Code != tt.code || !strings.Contains(o.Err, tt.says) {
				t.Errorf("code %d, said %q; want %d and %q", o.Code, o.Err, tt.code, tt.says)
			}
		})
	}
}
