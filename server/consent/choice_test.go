package consent_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/fakesite"
)

// boxes are the names of the scopes of a page in its order, with * after those that are ticked.
func boxes(page string) (names []string) {
	for _, m := range regexp.MustCompile(`name="allow_([a-z_]+)" value="1"( checked)?`).FindAllStringSubmatch(page, -1) {
		if m[2] != "" {
			m[1] += "*"
		}
		names = append(names, m[1])
	}
	return names
}

// TestScopesStandByTheirWeight tests that the heaviest stands first however the app orders them, and is marked and explained there.
func TestScopesStandByTheirWeight(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Set("allow_user_api_key_scopes", "read|write|push|notifications|session_info|one_time_password|user_status")
	a := f.Do(fakesite.Call{As: "alice", Path: fakesite.Ask("scopes=session_info,push,user_status,read,one_time_password,notifications,write")})
	a.Must(t, http.StatusOK)
	want := []string{"one_time_password*", "write*", "user_status*", "read*", "push*", "session_info*", "notifications*"}
	if diff := cmp.Diff(want, boxes(a.Text)); diff != "" {
		t.Error(diff)
	}
	for _, id := range []string{"write-warning", "sign-in-warning"} {
		n := testkit.ByID(t, a.Text, id)
		for n != nil && n.Data != "li" {
			n = n.Parent
		}
		if n == nil || testkit.Attr(n, "class") != "acts" {
			t.Errorf("%s does not stand at its scope", id)
		}
	}
	f.Do(fakesite.Call{As: "alice", Path: fakesite.Ask("scopes=write")}).Must(t, http.StatusOK, `id="write-warning"`).MustNot(t, "<input type=\"checkbox\"", "reading only")
	f.Do(fakesite.Call{As: "alice", Path: fakesite.Ask("scopes=read,notifications,push,session_info")}).Must(t, http.StatusOK).MustNot(t, "reading only", "write-warning")
}

// TestReadingOnlyIsOneClick tests the button that approves what reads, of what is still ticked.
func TestReadingOnlyIsOneClick(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Set("allow_user_api_key_scopes", "read|write|notifications|user_status|one_time_password")
	ask := fakesite.Ask("scopes=write,read,notifications,user_status,one_time_password", "-auth_redirect")
	f.Do(fakesite.Call{As: "alice", Path: ask}).Must(t, http.StatusOK, `name="only" value="reading"`)
	post := func(form map[string]string) fakesite.Answer {
		return f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key", As: "alice", Form: form})
	}
	all := map[string]string{"id": "consent-1", "choose": "1", "only": "reading"}
	for _, name := range []string{"write", "read", "notifications", "user_status", "one_time_password"} {
		all["allow_"+name] = "1"
	}
	post(all).Must(t, http.StatusOK)
	if got := f.UserKey(1).Scopes.String(); got != "read,notifications" {
		t.Errorf("granted %q", got)
	}
	f.Do(fakesite.Call{As: "alice", Path: ask})
	delete(all, "allow_read")
	all["id"] = "consent-2"
	post(all).Must(t, http.StatusOK)
	if got := f.UserKey(2).Scopes.String(); got != "notifications" {
		t.Errorf("granted %q", got)
	}
}

// TestNothingChosenIsAskedAgain tests that who approves nothing gets the same question again, which can still be answered, with what was chosen.
func TestNothingChosenIsAskedAgain(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Set("allow_user_api_key_scopes", "read|write")
	ask := fakesite.Ask("scopes=read,write", "auth_redirect=https://app.example/cb")
	f.Do(fakesite.Call{As: "alice", Path: ask})
	from := map[string]string{"Referer": "https://site.example" + ask}
	nothing := fakesite.Call{
		Method: "POST", Path: "/user-api-key", As: "alice", Header: from,
		Form: map[string]string{"id": "consent-1", "choose": "1", "lifetime": "3600"},
	}
	for range 2 { // also when the page is loaded again
		a := f.Do(nothing)
		a.Must(t, http.StatusBadRequest, "<title>Error: app.example asks for access", `role="alert" id="problem">Choose at least one thing`, `<option value="3600" selected>`, `id="approve-form"`)
		if got := boxes(a.Text); !slices.Equal(got, []string{"write", "read"}) {
			t.Errorf("the boxes are %v", got)
		}
		if got := testkit.Inside(t, a.Text, "destination"); got != "https://app.example" {
			t.Errorf("the destination reads %q", got)
		}
		if p := a.Header.Get("Content-Security-Policy"); !strings.HasSuffix(p, "form-action 'self' https:") {
			t.Errorf("GR9 the policy is %q", p)
		}
		if !strings.Contains(a.Text, `name="redirect" value="/user-api-key/new?`) {
			t.Error("who switches the account loses the request")
		}
	}
	nothing.Path = "/user-api-key.json"
	f.Do(nothing).Must(t, http.StatusBadRequest, `{"errors":["choose at least one thing that the app may do, or deny the request"]`)
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key", As: "bob", Form: map[string]string{"id": "consent-1", "choose": "1"}}).
		Must(t, http.StatusForbidden, "This request is closed").MustNot(t, "app.example")
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key", As: "alice", Form: map[string]string{"id": "consent-1", "choose": "1", "allow_read": "1"}}).Must(t, http.StatusFound)
	f.Do(nothing).Must(t, http.StatusForbidden)
	if n := f.Count("userkeys_keys"); n != 1 {
		t.Errorf("%d keys", n)
	}
}

// TestHowLong tests that the page says one sentence which names the end that binds.
func TestHowLong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ expires, unused, life, most, want string }{
		{"", "180", "0", "365", "Until you revoke it, or until the app has not used it for 180 days."},
		{"", "0", "0", "365", "Until you revoke it."},
		{"", "0", "30", "365", "At most until 22 Dec 2026, 12:00 UTC, or until you revoke it."},
		{"", "10", "30", "365", "At most until 22 Dec 2026, 12:00 UTC, or until you revoke it, or until the app has not used it for 10 days."},
		{"86400", "180", "0", "365", "For 1 day at a time, at most until 22 Nov 2027, 12:00 UTC, or until you revoke it."},
		{"86400", "180", "30", "365", "For 1 day at a time, at most until 22 Dec 2026, 12:00 UTC, or until you revoke it."},
		{"31536000", "180", "0", "365", "For 365 days, until 22 Nov 2027, 12:00 UTC, or until you revoke it, or until the app has not used it for 180 days."},
		{"31536000", "0", "30", "365", "At most until 22 Dec 2026, 12:00 UTC, or until you revoke it."},
	} {
		f := fakesite.New(t)
		f.Set("revoke_user_api_keys_unused_days", tt.unused)
		f.Set("revoke_user_api_keys_maxlife_days", tt.life)
		f.Set("max_user_api_key_expiry_days", tt.most)
		change := "-expires_in_seconds"
		if tt.expires != "" {
			change = "expires_in_seconds=" + tt.expires
		}
		a := f.Do(fakesite.Call{As: "alice", Path: fakesite.Ask(change)})
		if got := testkit.Inside(t, a.Text, "lifetime"); got != tt.want {
			t.Errorf("%+v: the page says %q", tt, got)
		}
	}
}
