package headers

import (
	"bufio"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
)

func TestFateOfCommonHeadersIsToPass(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Accept", "Content-Type", "Origin", "Sec-Websocket-Key", "X-Request-Id", "X-Csrf-Token", "X-Forwarder", "X-Userkey",
		"Traceparent", "X-Auth-Token", "User-Agent", "X-" + strings.Repeat("long-", 100), "", "Discourse-Present", "User-Api-Client-Id",
	} {
		if f, _ := common.fateOf(name); f != passes {
			t.Errorf("%q has the fate %v", name, f)
		}
	}
	if f, _ := common.fateOf("X-Userkeys-" + strings.Repeat("a", 500)); f != never {
		t.Error("a long name escapes")
	}
	if f, _ := common.fateOf("X-Forwarded-" + strings.Repeat("a", 500)); f != fromTrusted {
		t.Error("a long forwarding name escapes")
	}
	for name := range common {
		if len(name) > maxName {
			t.Errorf("%s is longer than what is looked at", name)
		}
	}
}

// TestCheckLogin: a header of a login is none that a browser or a server sends for something else, for everybody would
// be signed in by it.
func TestCheckLogin(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Remote-User", "x-forwarded-user", "X-Sso-Name", "X-Client-Dn", "SSL-Client-S-DN", "Cf-Access-Email"} {
		if err := CheckLogin(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{
		"", "Cookie", "Accept", "Accept-Language", "Content-Type", "If-Match", "Sec-Fetch-Site", "X-Userkeys-Username", "X-Forwarded-For",
		"X-Forwarded-Prefix", "True-Client-Ip", "X-Original-Url", "Ssl-Client-Verify", "Api-Key", "Remote_User", "Http-Remote-User",
		"X-Http-Method-Override", "Discourse-Present", strings.Repeat("a", 65),
	} {
		if err := CheckLogin(name); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestOurCookiesDoNotReachTheUpstream(t *testing.T) {
	t.Parallel()
	ours := []string{"__Host-userkeys", "userkeys"}
	for _, tt := range []struct {
		name     string
		in, want []string
	}{
		{"none of ours", []string{" a=1;b=2 "}, []string{" a=1;b=2 "}},
		{"only ours", []string{"userkeys=s"}, nil},
		{"first", []string{"userkeys=s; a=1"}, []string{"a=1"}},
		{"last", []string{"a=1; userkeys=s"}, []string{"a=1"}},
		{"between, odd bytes stay", []string{"a=\"1\"  ;userkeys=s;\tb"}, []string{"a=\"1\"  ;\tb"}},
		{"twice", []string{"userkeys=s; a=1; userkeys=t"}, []string{"a=1"}},
		{"other case", []string{"USERKEYS=s; a=1"}, []string{"a=1"}},
		{"space before =", []string{"userkeys =s; a=1"}, []string{"a=1"}},
		{"without a value", []string{"userkeys; a=1"}, []string{"a=1"}},
		{"without a name", []string{"=userkeys=s; a=1"}, []string{"a=1"}},
		{"in a second line", []string{"a=1", "__Host-userkeys=s"}, []string{"a=1"}},
		{"longer name is another's", []string{"userkeys2=1; xuserkeys=2"}, []string{"userkeys2=1; xuserkeys=2"}},
		{"in a value is another's", []string{"a=userkeys"}, []string{"a=userkeys"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{"Cookie": slices.Clone(tt.in)}
			StripCookies(h, ours)
			if diff := cmp.Diff(tt.want, h["Cookie"]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzHeaderName looks for a name that an upstream folds to an identity header of ours.
func FuzzHeaderName(f *testing.F) {
	for _, s := range []string{"X-Userkeys-Username", "x_userkeys.admin", "Remote_User", "X-A"} {
		f.Add(s)
	}
	cgi := func(name string) string {
		return strings.Map(func(r rune) rune {
			switch {
			case 'a' <= r && r <= 'z':
				return r - 'a' + 'A'
			case 'A' <= r && r <= 'Z' || '0' <= r && r <= '9':
				return r
			}
			return '_'
		}, name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: site.example\r\n" + name + ": FORGED\r\n\r\n")))
		if err != nil {
			return
		}
		for left := range noneOurs.Passing(r.Header, 0) {
			switch folded := cgi(left); {
			case strings.HasPrefix(folded, "X_USERKEYS_"), folded == "REMOTE_USER", folded == "X_FORWARDED_FOR", folded == "USER_API_KEY",
				folded == "HTTP_USER_API_KEY", folded == "CLIENT_IP", folded == "TRANSFER_ENCODING", folded == "CONTENT_LENGTH" && left != "Content-Length":
				t.Errorf("%q stays as %q", name, left)
			}
		}
	})
}

// noneOurs strips the headers of a stranger on a site that made no admin API key.
var noneOurs = Strip{Ours: func([]string) bool { return false }}
