package server

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzParseObject: what is taken is JSON, and means the same to encoding/json.
func FuzzParseObject(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":1}`, `{"a":1,"a":2}`, `{"a":{"b":1,"b":2}}`, `{"a":[{"b":null}]}`, `{"a":"\ud800"}`, `{"a":"\u0000"}`, `[]`, `null`, `{"a":1}x`, `{"A":1,"a":2}`, ``,
		`{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "{\"a\":\"\xff\"}", `{"a":1e999}`, `{"":""}`, ` { "a" : true } `,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := parseObject(body)
		if err != nil {
			return
		}
		var other map[string]json.RawMessage
		if err := json.Unmarshal(body, &other); err != nil || len(other) != len(o) {
			t.Fatalf("%q is taken with %d members; there it has %d: %v", body, len(o), len(other), err)
		}
		for name, raw := range o {
			if string(other[name]) != string(raw) {
				t.Errorf("%q: %q is %q, there %q", body, name, raw, other[name])
			}
		}
		_, _ = o.flat() // must not panic
		_, _ = parseNotify(o)
	})
}
