//go:build unix

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
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
			w.WriteHeader(403)
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
			forged := append([]string{
				header + ": root", strings.ReplaceAll(header, "-", "_") + ": root", "HTTP_" + strings.ReplaceAll(header, "-", "_") + ": root",
				"http-" + header + ": root", strings.Replace(strings.ToLower(header), "-", ".", 1) + ": root",
			}, forgedIdentity...)
			a.website.Take()
			for _, tt := range []struct {
				name   string
				target string
				header []string
				user   string // by the key
				person string // by the other program; empty, and no user: refused
				asked  int32  // how often it was asked
			}{
				{"a key", "/a", []string{"User-Api-Key: " + key}, "alice", "", 0},
				{"a key beside a session", "/a", []string{"User-Api-Key: " + key, "Cookie: session=bob"}, "alice", "", 0},
				{"a key and forged", "/a", append([]string{"User-Api-Key: " + key}, forged...), "alice", "", 0},
				{"a bad key beside a session", "/a", []string{"User-Api-Key: zzz", "Cookie: session=bob"}, "", "", 0},
				{"a session", "/a", []string{"Cookie: session=bob"}, "", "bob", 1},
				{"a session and forged", "/a", append([]string{"Cookie: session=bob"}, forged...), "", "bob", 1},
				{"passed without a name, and forged", "/a", append([]string{"Cookie: session=bypass"}, forged...), "", "-", 1},
				{"neither", "/a", nil, "", "", 1},
				{"neither and forged", "/a", forged, "", "", 1},
				{"a key in the query of no feed", "/a?user_api_key=" + key, []string{"Cookie: session=bob"}, "", "", 0},
				{"session/current.json without a key", "/session/current.json", nil, "", "", 1},
			} {
				s.asked.Store(0)
				got := wireRequest{method: "GET", target: tt.target, header: tt.header}.over11(w)
				reached := a.website.Take()
				if tt.user == "" && tt.person == "" {
					if len(reached) > 0 || got.StatusCode < 300 {
						t.Errorf("%s, %s: %d, and the website got %+v", name, tt.name, got.StatusCode, reached)
					}
				} else if len(reached) != 1 || got.StatusCode != 200 {
					t.Errorf("%s, %s: %d %.300s, and the website got %+v", name, tt.name, got.StatusCode, got.Body, reached)
				} else {
					person := strings.TrimPrefix(tt.person, "-")
					if header == "Remote-User" { // in which userkeys names the owner of a key, too
						person += tt.user
					}
					if told := toldOf(t, reached[0]); told != tt.user || reached[0].Header.Get(header) != person {
						t.Errorf("%s, %s: the website is told %v", name, tt.name, reached[0].Header)
					}
				}
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
	})
}
