//go:build unix

package main

import (
	"strings"
	"testing"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// What web servers that are not run here send as their question, byte for byte: Traefik 3.7.13 as it was recorded, Envoy
// as its documentation says. {method}, {target} and {key}, which are lines, are the client's.
var recordedQuestions = map[string]string{
	"Traefik": "GET /forwarded HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n{key}" +
		"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: site.test\r\nX-Forwarded-Method: {method}\r\n" +
		"X-Forwarded-Port: 443\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Server: box\r\nX-Forwarded-Uri: {target}\r\n" +
		"X-Original-Uri: /public\r\nX-Original-Method: GET\r\nAccept-Encoding: gzip\r\n\r\n",
	"Traefik, a websocket": "GET /forwarded HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nSec-Websocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-Websocket-Version: 13\r\n{key}X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: site.test\r\n" +
		"X-Forwarded-Method: {method}\r\nX-Forwarded-Uri: {target}\r\n\r\n",
	"Traefik, a body that waits": "GET /forwarded HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nContent-Type: application/json\r\n" +
		"Expect: 100-continue\r\n{key}X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Method: {method}\r\nX-Forwarded-Uri: {target}\r\n\r\n",
	"Envoy": "{method} /envoy{target} HTTP/1.1\r\nhost: site.test\r\ncontent-length: 0\r\n{key}accept: */*\r\n" +
		"x-forwarded-for: 127.0.0.1\r\nx-envoy-internal: true\r\nx-envoy-expected-rq-timeout-ms: 3000\r\n\r\n",
}

// TestRecordedQuestions has the program answer the questions of web servers that are not run here.
func TestRecordedQuestions(t *testing.T) {
	t.Parallel()
	a := startAsking(t, nettest.ReserveAddress(t))
	site := testkit.At(t, a.serve.URL)
	app := site.App("reader", "read").Connect(site.Person("alice"))
	door := testkit.At(t, "http://"+a.ask)
	key := "User-Api-Key: " + app.Key.Reveal() + "\r\n"
	for name, question := range recordedQuestions {
		envoy := strings.HasPrefix(name, "Envoy")
		for _, tt := range []struct {
			name, method, target, key string
			status                    int
		}{
			{"stranger", "GET", "/a/b?x=1&y=%20z", "", 200},
			{"key", "GET", "/a/b?x=1&y=%20z", key, 200},
			{"a scope that is missing", "POST", "/a/b", key, 403},
			{"bad key", "GET", "/a", "User-Api-Key: zzz\r\n", 403},
			{"%2F", "GET", "/a%2Fb", key, 400},
			{"//", "GET", "//a", key, 400},
			{"..", "GET", "/pub/../admin", key, 400},
			{"two keys", "GET", "/a", key + key, 400},
			{"two keys in one line", "GET", "/a", "User-Api-Key: 4567, 0123\r\n", 403},
			{"OPTIONS", "OPTIONS", "/a", key, 405},
			{"a method in small letters", "get", "/a", key, 405},
			{"no target", "GET", "", key, 403},
		} {
			answer := door.Raw(strings.NewReplacer("{method}", tt.method, "{target}", tt.target, "{key}", tt.key).Replace(question))
			if answer.StatusCode != tt.status {
				t.Errorf("%s, %s: %d %s, want %d", name, tt.name, answer.StatusCode, answer.Body, tt.status)
			}
			if answer.StatusCode != 200 {
				continue
			}
			user := ""
			if tt.key != "" {
				user = "alice"
			}
			if lines := answer.Header["X-Userkeys-Username"]; len(lines) != 1 || lines[0] != user {
				t.Errorf("%s, %s: the user is %q", name, tt.name, lines)
			}
			removed := answer.Header.Get("X-Envoy-Auth-Headers-To-Remove")
			if envoy && !strings.Contains(removed, "user-api-key") || envoy == (removed == "") {
				t.Errorf("%s, %s: removes %q", name, tt.name, removed)
			}
		}
	}
}
