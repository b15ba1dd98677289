package gateway

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"userkeys"
	"userkeys/gateway/internal/clientip"
	"userkeys/site"
)

// told is a checker whose every key is somebody's.
type told struct {
	*fakeChecker
	access userkeys.Access
}

func (c told) Check(context.Context, site.Call) (userkeys.Access, error) { return c.access, nil }

var zoe = userkeys.Access{KeyID: 9, UserID: 3, Username: "zoe", ExternalID: "id,17", Standing: &userkeys.Standing{
	Name: "Zo\u00eb M\u00fcller", Email: "zoe@site.example", Groups: []string{"n\u00e4he", "a,admins", "staff"},
}}

var ownWords = []IdentityHeader{
	{Name: "REMOTE-user", Value: "username"},
	{Name: "X-Company-Id", Value: "external-id", Encoding: "percent"},
	{Name: "Remote-Email", Value: "email"},
	{Name: "Remote-Groups", Value: "groups"},
	{Name: "X-Company-Groups", Value: "groups", Encoding: "utf8"},
	{Name: "Remote-Name", Value: "name", Encoding: "utf8"},
	{Name: "X-Company-Name", Value: "name"},
}

// With a key a website is told who calls in its own words too, beside what every website gets.
func TestIdentityInTheWebsitesWords(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil)
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), Checker: told{&fakeChecker{}, zoe}, IdentityHeaders: ownWords}))
	send(t, addr, get("/x", withKey()...))
	head := up.got()[0]
	for name, want := range map[string]string{
		"Remote-User": "zoe", "X-Company-Id": "id%2C17", "Remote-Email": "zoe@site.example", "Remote-Groups": "n%C3%A4he,a%2Cadmins,staff",
		"X-Company-Groups": "n\u00e4he,staff", "Remote-Name": "Zo\u00eb M\u00fcller", "X-Company-Name": "Zo%C3%AB%20M%C3%BCller",
		UsernameHeader: "zoe", ExternalIDHeader: "id%2C17",
	} {
		if got := headerLine(head, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// No client sends them, in whatever spelling, with a key or without one, also through a trusted proxy; what
// there is nothing to tell of is not there, and without a key none is.
func TestIdentityInTheWebsitesWordsIsForgedByNobody(t *testing.T) {
	t.Parallel()
	nobody := userkeys.Access{KeyID: 1, UserID: 1, Username: "bob", Standing: &userkeys.Standing{}}
	var lines []string
	for _, h := range ownWords {
		n := h.Name
		for _, name := range []string{
			n, strings.ToLower(n), strings.ToUpper(n), strings.ReplaceAll(n, "-", "_"), strings.ReplaceAll(strings.ToLower(n), "-", "."),
			strings.Replace(n, "-", "~", 1), "HTTP_" + strings.ReplaceAll(strings.ToUpper(n), "-", "_"), "Http-" + n, "http.http_" + n,
		} {
			lines = append(lines, name+": FORGED")
		}
	}
	for _, trusted := range []string{"10.0.0.0/8", "127.0.0.0/8"} {
		up := newUpstream(t, nil)
		addr := listen(t, newProxy(t, ProxyConfig{
			Upstream: up.url(), Checker: told{&fakeChecker{}, nobody}, IdentityHeaders: ownWords, ClientIPs: clientip.ForwardedFor(prefixes(trusted)),
		}))
		for _, key := range [][]string{nil, withKey(), withKey("Connection: Remote-User")} {
			send(t, addr, get("/x", slices.Concat(key, lines)...))
			got := up.got()
			head := got[len(got)-1]
			want := ""
			if key != nil {
				want = "bob"
			}
			if strings.Contains(head, "FORGED") || headerLine(head, "Remote-User") != want {
				t.Errorf("%d key lines, trusted %s:\n%s", len(key), trusted, head)
			}
			for _, absent := range []string{"X-Company-Id", "Remote-Email", "Remote-Groups", "Remote-Name"} {
				if strings.Contains(strings.ToLower(head), strings.ToLower(absent)+":") {
					t.Errorf("there is nothing to tell, but %s is there:\n%s", absent, head)
				}
			}
		}
	}
	// Where no such header is configured, a company's own is passed on as before.
	addr, up, _ := proxyTo(t, ProxyConfig{})
	send(t, addr, get("/x", "X-Company-Id: 7"))
	if got := headerLine(up.got()[0], "X-Company-Id"); got != "7" {
		t.Errorf("X-Company-Id: %q", got)
	}
}

func TestIdentityHeadersThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Host", "authorization", "Cookie", "Connection", "Keep-Alive", "TE", "Transfer-Encoding", "Upgrade", "Proxy-Authorization", "User-Api-Key",
		"User-Api-Client-Id", "X-Userkeys-Username", "X-Userkeys-Mine", "Api-Key", "Content-Length", "Content-Type", "X-Forwarded-For",
		"X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via", "Range", "If-Match", "Sec-Fetch-Site", "Origin", "X-HTTP-Method-Override",
		"Remote_User", "Remote User", "Remote-User:", "", "R\u00e9mote", "Http-Remote-User", "Destination", strings.Repeat("a", 65), "Remote-User\r\nX: y",
	} {
		err := CheckIdentityHeaders([]IdentityHeader{{Name: name, Value: "username"}})
		if userkeys.AsError(err).Code != userkeys.InvalidParameters || !strings.Contains(err.Error(), "cannot be an identity header") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, tt := range []struct {
		list []IdentityHeader
		want string
	}{
		{[]IdentityHeader{{Name: "Remote-User", Value: "user"}}, `username, external-id, email, groups or name, not "user"`},
		{[]IdentityHeader{{Name: "Remote-User", Value: "username", Encoding: "UTF-8"}}, `percent or utf8, not "UTF-8"`},
		{[]IdentityHeader{{Name: "Remote-User", Value: "username"}, {Name: "remote-user", Value: "email"}}, "two identity headers"},
	} {
		cfg := ProxyConfig{Upstream: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Checker: &fakeChecker{}, IdentityHeaders: tt.list}
		if _, err := NewProxy(cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v", tt.list, err)
		}
	}
	for _, name := range []string{"Remote-User", "X-Remote-User", "X-Forwarded-User", "X-WEBAUTH-USER", "Tailscale-User-Login", "X-Auth-Request-Email", strings.Repeat("a", 64)} {
		if err := CheckIdentityHeaders([]IdentityHeader{{Name: name, Value: "username"}}); err != nil {
			t.Error(err)
		}
	}
}

// FuzzIdentityHeader: whatever somebody is called, a header is one line, in utf8 the name itself or nothing, and one
// group is never two.
func FuzzIdentityHeader(f *testing.F) {
	for _, s := range []string{"alice", "a, admin", "a\r\nX: y", "\u00fc", " a", "a\u00a0", "\u2028", "\x00\xff", "%41"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := userkeys.Access{Username: s, Standing: &userkeys.Standing{Groups: []string{s, "staff"}}}
		plain := IdentityHeader{Name: "A", Value: "username", Encoding: "utf8"}.Of(a)
		if plain != "" && (plain != s || !utf8.ValidString(plain) || strings.ContainsAny(plain, "\r\n\x00") || strings.TrimSpace(plain) != plain) {
			t.Errorf("%q is sent as %q", s, plain)
		}
		if coded, err := url.PathUnescape(IdentityHeader{Name: "A", Value: "username"}.Of(a)); err != nil || coded != s {
			t.Errorf("%q comes back as %q, %v", s, coded, err)
		}
		for _, encoding := range []string{"percent", "utf8"} {
			list := strings.Split(IdentityHeader{Name: "A", Value: "groups", Encoding: encoding}.Of(a), ",")
			if len(list) > 2 || list[len(list)-1] != "staff" || len(list) == 2 && encoding == "utf8" && list[0] != s {
				t.Errorf("%q becomes the groups %q", s, list)
			}
		}
	})
}

// An allowing answer to a web server has every header of the list, empty where there is nothing to tell, so that the
// client's own never takes its place; an answer that refuses has none.
func TestAskedTellsInTheWebsitesWords(t *testing.T) {
	t.Parallel()
	addr := listen(t, newAsked(t, AskedConfig{Checker: told{&fakeChecker{}, zoe}, IdentityHeaders: ownWords}))
	bare := listen(t, newAsked(t, AskedConfig{Checker: &fakeChecker{}, IdentityHeaders: ownWords}))
	asking := []string{"X-Forwarded-Method: GET", "X-Forwarded-Uri: /x", "Remote-User: FORGED", "X-Company-Id: FORGED"}
	for _, tt := range []struct {
		name, addr string
		lines      []string
		status     int
		user, id   []string
	}{
		{"a key", addr, withKey(asking...), 200, []string{"zoe"}, []string{"id%2C17"}},
		{"a key, and nothing to tell", bare, withKey(asking...), 200, []string{"alice"}, []string{""}},
		{"a stranger", addr, asking, 200, []string{""}, []string{""}},
		{"refused", bare, append([]string{"User-Api-Key: no"}, asking...), 403, nil, nil},
	} {
		got := send(t, tt.addr, get("/forwarded", tt.lines...))
		if got.status != tt.status || !slices.Equal(got.header["Remote-User"], tt.user) || !slices.Equal(got.header["X-Company-Id"], tt.id) {
			t.Errorf("%s: %d %q", tt.name, got.status, got.header)
		}
	}
}
