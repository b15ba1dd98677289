package docs_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// behindRadicale writes the files of the page with places of the test, starts all, and returns the site as browsers
// and apps reach it.
func behindRadicale(t *testing.T) *testkit.Site {
	t.Helper()
	radicale := nettest.FindProgram(t, "radicale")
	dir := t.TempDir()
	front, behind, program := nettest.ReserveAddress(t), nettest.ReserveAddress(t), nettest.ReserveAddress(t)
	places := strings.NewReplacer(
		"127.0.0.1:8000", front, "127.0.0.1:8001", behind, "127.0.0.1:5232", program, "/run/userkeys", dir,
		"/etc/nginx/people", dir+"/people", "https://calendars.example", "http://"+front)
	blocks := websiteBlocks(t)
	for name, text := range map[string]string{
		"people":        "ann:{PLAIN}ann keeps bees\nben:{PLAIN}ben bakes bread\n",
		"radicale.ini":  places.Replace(blocks["radicale.ini"]) + "\n[storage]\nfilesystem_folder = " + dir + "/calendars\n",
		"userkeys.toml": places.Replace(blocks["radicale.toml"]),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nettest.StartProgram(t, program, radicale, "--config", filepath.Join(dir, "radicale.ini"))
	testkit.ServeUnix(t, filepath.Join(dir, "site.sock"), "http://"+front, "--data", filepath.Join(dir, "data"),
		"--config", filepath.Join(dir, "userkeys.toml"))
	nettest.StartNginx(t, front, places.Replace(blocks["radicale.conf"]))
	return testkit.At(t, "http://"+front)
}

// password has a person's browser send the password that nginx asks for.
func password(p *testkit.Person, name, password string) *testkit.Person {
	p.HTTP.Transport = basic{name, password}
	return p
}

type basic struct{ name, password string }

// RoundTrip implements http.RoundTripper.
func (b basic) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.SetBasicAuth(b.name, b.password)
	return http.DefaultTransport.RoundTrip(r)
}

const calendar = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//userkeys//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20261130T120000Z\r\n" +
	"DTSTART:20261201T090000Z\r\nSUMMARY:Choir\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

// TestRadicale plays what the page says: a calendar server that others wrote, unchanged, whose people sign in at nginx.
func TestRadicale(t *testing.T) {
	t.Parallel()
	s := behindRadicale(t)
	ann := password(s.Visitor(), "ann", "ann keeps bees")
	app := s.App("agenda", "calendars")
	page := ann.Get(app.Path())
	for range 4 {
		if to := page.Header.Get("Location"); to != "" {
			page = ann.Get(to)
		}
	}
	page.Must(t, 200, "read and change your calendars", "ann")
	app.Connect(ann)

	call := func(method, path, body string, header ...string) testkit.Answer {
		stranger := s.Visitor()
		r := stranger.Request(method, path, body)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return stranger.Do(r)
	}
	key := app.Key.Reveal()
	call("PUT", "/ann/work/", calendar, "User-Api-Key", key, "Content-Type", "text/calendar").Must(t, 201)
	call("GET", "/ann/work/", "", "User-Api-Key", key).Must(t, 200, "SUMMARY:Choir")
	ann.Get("/ann/work/").Must(t, 200, "SUMMARY:Choir") // as before, by the password
	call("GET", "/ben/work/", "", "User-Api-Key", key).Must(t, 403)
	call("PROPFIND", "/ann/", "", "User-Api-Key", key).Must(t, 405)

	// Nobody becomes ann by a header, nor an administrator by a name without its password.
	forged := []string{
		"X-Remote-User", "ann", "Remote-User", "ann", "X-Userkeys-External-Id", "ann", "Authorization", "Basic YW5uOng=", // ann:x
	}
	for i := 0; i+1 < len(forged); i += 2 {
		call("GET", "/ann/work/", "", forged[i], forged[i+1]).Must(t, 401)
		for _, path := range []string{"/ann/work/", "/my/apps", "/user-api-key/login/nginx"} {
			a := call("GET", path, "", forged[i], forged[i+1], "User-Api-Key", "0123456789abcdef0123456789abcdef")
			if a.StatusCode < 400 {
				t.Errorf("%s with %s: %d %s", path, forged[i], a.StatusCode, a.Body)
			}
		}
	}
	call("GET", "/.well-known/user-api-key", "").Must(t, 200)
	call("HEAD", "/user-api-key/new", "").Must(t, 200) // as userkeys login looks for a site
	call("HEAD", "/user-api-key/new", "", "Authorization", "Basic YW5uOg==", "Remote-User", "ann").Must(t, 200)
	call("GET", "/user-api-key/new", "").Must(t, 401)

	ann.Submit(ann.Get("/my/apps").Must(t, 200, "App agenda"), "/user-api-key/revoke").Must(t, 303)
	call("GET", "/ann/work/", "", "User-Api-Key", key).Must(t, 403, "invalid key")
	ben := password(s.Visitor(), "ben", "ben bakes bread")
	ben.Get("/ann/work/").Must(t, 403)
}
