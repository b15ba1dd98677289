//go:build unix

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"userkeys/internal/testkit"
)

// signIn is a program that signs people in: those with the cookie session=bob are bob.
type signIn struct {
	*httptest.Server
	asked atomic.Int32
}

func startSignIn(t *testing.T, name string) *signIn {
	s := &signIn{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth2/sign_in" {
			_, _ = io.WriteString(w, "Sign in here, then "+r.Header.Get("X-Auth-Request-Redirect"))
			return
		}
		s.asked.Add(1)
		c, err := r.Cookie("session")
		switch {
		case err == nil && c.Value == "bob" && name == "authelia":
			for h, v := range map[string]string{"User": "bob", "Groups": "staff", "Name": "Bob", "Email": "bob@example.com"} {
				w.Header().Set("Remote-"+h, v)
			}
		case err == nil && c.Value == "bob":
			for h, v := range map[string]string{"User": "bob", "Groups": "staff", "Preferred-Username": "Bob", "Email": "bob@example.com"} {
				w.Header().Set("X-Auth-Request-"+h, v)
			}
			w.WriteHeader(202)
		case err == nil && c.Value == "bypass": // whom a rule lets pass without a name
		case strings.HasSuffix(r.URL.Path, "/forward-auth"):
			w.Header().Set("Location", "https://auth.example/?rd=x")
			w.WriteHeader(302)
		default:
			w.Header().Set("Location", "https://auth.example/?rd=x")
			w.WriteHeader(401)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// forgedBeside is what a client may try in order to be somebody to a website that believes a header.
func forgedBeside(header string) []string {
	snake := strings.ReplaceAll(header, "-", "_")
	return append([]string{
		header + ": root", snake + ": root", "HTTP_" + snake + ": root", "http-" + header + ": root",
		strings.Replace(strings.ToLower(header), "-", ".", 1) + ": root",
	}, forgedIdentity...)
}

// decision is what becomes of a request that one of two programs decides about: it is refused, or passed with a name.
type decision struct {
	user   string // by a key of theirs
	person string // by the program beside; "-" without a name; empty, and no user: refused
}

// mustDecide holds an answer and what the website got to a decision. The program beside names people in header.
func (a *asking) mustDecide(t *testing.T, name, header string, got testkit.Answer, d decision) {
	t.Helper()
	reached := a.website.Take()
	if d == (decision{}) {
		if len(reached) > 0 || got.StatusCode < 300 {
			t.Errorf("%s: %d, and the website got %+v", name, got.StatusCode, reached)
		}
		return
	}
	if len(reached) != 1 || got.StatusCode != 200 {
		t.Errorf("%s: %d %.300s, and the website got %+v", name, got.StatusCode, got.Body, reached)
		return
	}
	person := strings.TrimPrefix(d.person, "-")
	if header == "Remote-User" { // in which userkeys names the owner of a key, too
		person += d.user
	}
	if told := toldOf(t, reached[0]); told != d.user || reached[0].Header.Get(header) != person {
		t.Errorf("%s: the website is told %v", name, reached[0].Header)
	}
}

// TestWebServersBesideSignIn has another program decide about requests without a key: never neither of them, and never
// the identity of the one that was not asked.
func TestWebServersBesideSignIn(t *testing.T) {
	t.Parallel()
	eachWebServer(t, func(t *testing.T, server string) {
		a, plain := startAskingAt(t, server)
		key := plain.App("reader", "read").Connect(plain.Person("alice")).Key.Reveal()
		for name, header := range map[string]string{"authelia": "Remote-User", "oauth2-proxy": "X-Auth-Request-User"} {
			s := startSignIn(t, name)
			u, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			w := testkit.Recipe{Server: server, Scheme: "http", Args: append(a.args, "--beside", name+"="+u.Host)}.Start(t)
			forged := forgedBeside(header)
			a.website.Take()
			for _, tt := range []struct {
				name   string
				target string
				header []string
				want   decision
				asked  int32 // how often it was asked
			}{
				{"a key", "/a", []string{"User-Api-Key: " + key}, decision{user: "alice"}, 0},
				{"a key beside a session", "/a", []string{"User-Api-Key: " + key, "Cookie: session=bob"}, decision{user: "alice"}, 0},
				{"a key and forged", "/a", append([]string{"User-Api-Key: " + key}, forged...), decision{user: "alice"}, 0},
				{"a bad key beside a session", "/a", []string{"User-Api-Key: zzz", "Cookie: session=bob"}, decision{}, 0},
				{"a session", "/a", []string{"Cookie: session=bob"}, decision{person: "bob"}, 1},
				{"a session and forged", "/a", append([]string{"Cookie: session=bob"}, forged...), decision{person: "bob"}, 1},
				{"passed without a name, and forged", "/a", append([]string{"Cookie: session=bypass"}, forged...), decision{person: "-"}, 1},
				{"neither", "/a", nil, decision{}, 1},
				{"neither and forged", "/a", forged, decision{}, 1},
				{"a key in the query of no feed", "/a?user_api_key=" + key, []string{"Cookie: session=bob"}, decision{}, 0},
				{"session/current.json without a key", "/session/current.json", nil, decision{}, 1},
			} {
				s.asked.Store(0)
				got := wireRequest{method: "GET", target: tt.target, header: tt.header}.over11(w)
				a.mustDecide(t, name+", "+tt.name, header, got, tt.want)
				if n := s.asked.Load(); n != tt.asked {
					t.Errorf("%s, %s: %s was asked %d times, want %d", name, tt.name, name, n, tt.asked)
				}
			}
			got := wireRequest{method: "GET", target: "/a?x=1&y=2"}.over11(w)
			if to := got.Header.Get("Location"); !strings.HasPrefix(to, "https://auth.example/") &&
				!strings.Contains(to, "rd=/a%3Fx%3D1%26y%3D2") && !strings.Contains(got.Body, "Sign in here, then /a?x=1&y=2") {
				t.Errorf("%s: nobody says where to sign in: %d %v %s", name, got.StatusCode, got.Header, got.Body)
			}
		}
		if os.Getenv("USERKEYS_LONG") != "" {
			t.Run("oauth2-proxy itself", func(t *testing.T) { a.besideOAuth2Proxy(t, server, key) })
		}
	})
}
