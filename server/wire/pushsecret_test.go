package wire_test

import (
	"net/http"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/testkit/fakesite"
)

// opened is the secret that an answer has for its app.
func opened(t *testing.T, a fakesite.Answer) userkeys.PushSecret {
	t.Helper()
	private, _ := fakesite.AppKey()
	secret, err := userkeys.OpenPushSecret(private, userkeys.PaddingOAEP, fakesite.Decode[struct{ Payload string }](t, a).Payload)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestPushSecret(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithPushed(t)
	own, err := userkeys.NewPushSecret(fakesite.Secret, 6, f.UserKey(6).CreatedAt)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/user-api-key/push-secret.json", "/user-api-key/push-secret"} {
		a := f.Do(fakesite.Call{Path: path, Key: "key-6"}).Must(t, http.StatusOK)
		if opened(t, a) != own {
			t.Error("it is not the key's own")
		}
		if got := a.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
			t.Errorf("%s may be kept: %q", path, got)
		}
	}
	const path = "/user-api-key/push-secret.json"
	for _, tt := range []struct {
		name   string
		call   fakesite.Call
		status int
		text   string
	}{
		{"a key without an address", fakesite.Call{Path: path, Key: "key-1"}, 404, "no push_url"},
		{"a revoked key", fakesite.Call{Path: path, Key: "key-14"}, 403, "invalid key"},
		{"nobody", fakesite.Call{Path: path}, 403, "no key"},
		{"the key's owner, at a browser", fakesite.Call{Path: path, As: "alice"}, 403, "no key"},
		{"an administrator, at a browser", fakesite.Call{Path: path, As: "root"}, 403, "no key"},
		{"an admin API key", fakesite.Call{Path: path}.By(fakesite.AdminText("root"), ""), 403, "not for admin API keys"},
		{"another key's is not to be had by its id", fakesite.Call{Path: path + "?id=7&key_id=7", Key: "key-6"}, 200, ""},
		{"POST", fakesite.Call{Method: http.MethodPost, Path: path, Key: "key-6"}, 405, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fakesite.NewWithPushed(t)
			f.AddAdminKey("root")
			a := f.Do(tt.call).Must(t, tt.status, tt.text)
			if tt.status == 200 && opened(t, a) != own {
				t.Error("it is another key's")
			}
		})
	}
	for range 8 { // two were told above
		f.Do(fakesite.Call{Path: path, Key: "key-6"}).Must(t, http.StatusOK)
	}
	a := f.Do(fakesite.Call{Path: path, Key: "key-6"}).Must(t, http.StatusTooManyRequests, "limit: 10 per 60 s")
	a.MustNot(t, `"payload"`)
	if strings.Contains(f.Log.String(), `"payload"`) {
		t.Error("LK1: the secret is in the log")
	}
}
