package input

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
)

// FuzzJSONBody: whatever is read means one thing, and can be stored.
func FuzzJSONBody(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":"b","n":1,"t":true,"f":false,"z":null,"l":["x","y"],"e":[]}`, `{"a":["b"`, `{"a":[[]]}`, `{"a":[{}]}`, `{"a":["b|c"]}`,
		`{"a":1,"a":2}`, `{"a":[],"a":"x"}`, `[]`, `{"a":["\ud800"]}`, "{\"a\":[\"\xff\"]}", `{"a":["b"]]}`, `{"a":[null]}`, `{"a":[""]}`, `{"a":{`,
	} {
		f.Add([]byte(s))
	}
	read := func(t *testing.T, body []byte, kind Body) (url.Values, bool) {
		o, err := parseObject(body)
		if err != nil {
			return nil, false
		}
		fields, err := o.fields(kind)
		if err != nil && fields != nil {
			t.Fatal("a body that was refused has fields")
		}
		return fields, err == nil
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fields, ok := read(t, body, Record)
		for name, values := range fields {
			if len(values) != 1 || !userkeys.IsStorable(values[0]) || !userkeys.IsText(name) {
				t.Fatalf("%q is %q", name, values)
			}
		}
		plain, plainOK := read(t, body, FormOrJSON)
		if plainOK && (!ok || cmp.Diff(fields, plain) != "") {
			t.Fatal("without lists the same body means something else")
		}
	})
}

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
	})
}
