package docs_test

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// radicaleWithKeys starts Radicale and userkeys as the page says, with the accounts ann and ben. userkeys stands directly
// before it, or before it stands a web server that asks userkeys.
func radicaleWithKeys(t *testing.T, webServer string) *testkit.Site {
	t.Helper()
	radicale := nettest.FindProgram(t, "radicale")
	dir := t.TempDir()
	front, program := nettest.ReserveAddress(t), nettest.ReserveAddress(t)
	places := strings.NewReplacer("127.0.0.1:5232", program, "https://calendars.example", "http://"+front)
	blocks := websiteBlocks(t)
	for name, text := range map[string]string{
		"radicale.ini":  blocks["radicale.ini"] + "\n[storage]\nfilesystem_folder = " + dir + "/calendars\n",
		"userkeys.toml": blocks["keys.toml"],
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(places.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, config := filepath.Join(dir, "data"), filepath.Join(dir, "userkeys.toml")
	for _, name := range []string{"ann", "ben"} {
		testkit.Run(t, testkit.Password+"\n", "user", "add", "--init", name, "--password-stdin", "--data", data)
	}
	nettest.StartProgram(t, program, radicale, "--config", filepath.Join(dir, "radicale.ini"))
	if webServer == "" {
		testkit.ServeAt(t, front, "--data", data, "--config", config)
		return testkit.At(t, "http://"+front)
	}
	listen, ask := nettest.ReserveAddress(t), nettest.ReserveAddress(t)
	testkit.ServeAt(t, listen, "--data", data, "--config", config, "--ask-listen", ask, "--trusted-proxy", "127.0.0.1")
	return testkit.Recipe{
		Server: webServer, Scheme: "http", Addr: front, Args: []string{"--config", config, "--listen", listen, "--ask", ask},
	}.Start(t).Site
}

// curl runs the real curl, and returns the status and all that it printed of the answer.
func curl(t *testing.T, body string, arguments ...string) (status int, said string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), nettest.FindProgram(t, "curl"), append([]string{"-sS", "-i", "-w", "\n%{http_code}"}, arguments...)...)
	cmd.Stdin = strings.NewReader(body)
	out, err := cmd.CombinedOutput()
	said = string(out)
	if err != nil {
		t.Fatalf("curl %q: %v\n%s", arguments, err, said)
	}
	status, err = strconv.Atoi(said[strings.LastIndexByte(said, '\n')+1:])
	if err != nil {
		t.Fatal(err)
	}
	return status, said
}

// containsFold reports whether text contains part, in large or small letters: names of headers are in both.
func containsFold(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

const (
	propfind = `<?xml version="1.0"?><propfind xmlns="DAV:"><prop><current-user-principal/><displayname/><resourcetype/></prop></propfind>`
	query    = `<?xml version="1.0"?><C:calendar-query xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><prop><C:calendar-data/></prop>` +
		`<C:filter><C:comp-filter name="VCALENDAR"/></C:filter></C:calendar-query>`
	asksPassword = "Www-Authenticate: Basic realm=\"user API key\""
)

// TestRadicaleWithKeys plays what calendar programs do, with curl, against a calendar server that others wrote: they ask
// without a password, are asked for one, find the calendars, make one, and write and read it. The password is a key.
// userkeys stands before Radicale, or a web server does and asks userkeys.
func TestRadicaleWithKeys(t *testing.T) {
	t.Parallel()
	webServers := []string{"", "nginx"}
	if os.Getenv("USERKEYS_LONG") != "" {
		webServers = append(webServers, "haproxy", "caddy")
	}
	for _, webServer := range webServers {
		t.Run("behind "+cmp.Or(webServer, "userkeys"), func(t *testing.T) {
			t.Parallel()
			playRadicaleWithKeys(t, radicaleWithKeys(t, webServer))
		})
	}
}

func playRadicaleWithKeys(t *testing.T, s *testkit.Site) {
	t.Helper()
	ann := s.Person("ann")
	app := s.App("calendars-1", "calendars").Connect(ann)
	key := app.Key.Reveal()
	if !strings.HasPrefix(key, "uk_") {
		t.Fatalf("a key without the prefix: %d characters", len(key))
	}
	reader := s.App("reader", "read").Connect(s.Person("ben")).Key.Reveal()
	unknown := strings.Repeat("0", 32)
	dav := []string{"-H", "Depth: 1", "-H", "Content-Type: application/xml"}
	for _, tt := range []struct {
		name, user, method, path, body string
		status                         int
		says                           string
		more                           []string
	}{
		{"a stranger is asked", "", "PROPFIND", "/ann/", propfind, 401, asksPassword, dav},
		{"nobody is ann by a header", "", "PROPFIND", "/ann/", propfind, 401, asksPassword, append(dav, "-H", "X-Remote-User: ann", "-H", "X_Remote_User: ann", "-H", "Remote-User: ann")},
		{"a wrong password is asked again", "ann:uk_" + unknown, "PROPFIND", "/ann/", propfind, 401, asksPassword, dav},
		{"another's name is asked again", "ben:" + key, "PROPFIND", "/ben/", propfind, 401, asksPassword, dav},
		{"what it can", "ann:" + key, "OPTIONS", "/", "", 200, "calendar-access", nil},
		{"who I am", "ann:" + key, "PROPFIND", "/", propfind, 207, "<href>/ann/</href>", []string{"-H", "Depth: 0"}},
		{"a calendar", "ann:" + key, "MKCALENDAR", "/ann/work/", "", 201, "", nil},
		{"an appointment", "ann:" + key, "PUT", "/ann/work/1.ics", calendar, 201, "", []string{"-H", "Content-Type: text/calendar"}},
		{"all of them", "ann:" + key, "REPORT", "/ann/work/", query, 207, "SUMMARY:Choir", dav},
		{"without a name", ":" + key, "GET", "/ann/work/1.ics", "", 200, "SUMMARY:Choir", nil},
		{"the calendars", "Ann:" + key, "PROPFIND", "/ann/", propfind, 207, "/ann/work/", dav},
		{"a forged header beside the key", "ann:" + key, "GET", "/ben/", "", 403, "", []string{"-H", "X-Remote-User: ben", "-H", "X-Remote_User: ben"}},
		{"a name for the appointment elsewhere", "ann:" + key, "MOVE", "/ann/work/1.ics", "", 405, "Allow: GET", []string{"-H", "Destination: /ann/work/2.ics"}},
		{"a page of another site", "ann:" + key, "GET", "/ann/work/1.ics", "", 403, "pages of other sites", []string{"-H", "Sec-Fetch-Site: cross-site"}},
		{"a key for something else", "ben:" + reader, "REPORT", "/ben/", query, 403, "missing scope: calendars", dav},
		{"two keys", "ann:" + key, "GET", "/ann/work/1.ics", "", 400, "must be sent once", []string{"-H", "User-Api-Key: " + key}},
		{"as Bearer it is none", "", "GET", "/ann/work/1.ics", "", 401, "", []string{"-H", "Authorization: Bearer " + key}},
		{"gone", "ann:" + key, "DELETE", "/ann/work/1.ics", "", 200, "", nil},
	} {
		arguments := append([]string{"-X", tt.method, "--data-binary", "@-", s.URL + tt.path}, tt.more...)
		if tt.user != "" {
			arguments = append(arguments, "-u", tt.user)
		}
		status, said := curl(t, tt.body, arguments...)
		if status != tt.status || !containsFold(said, tt.says) {
			t.Errorf("%s: %d, want %d with %q\n%s", tt.name, status, tt.status, tt.says, said)
		}
	}
	ann.Submit(ann.Get("/my/apps").Must(t, 200, "App calendars-1"), "/user-api-key/revoke").Must(t, 303)
	if status, said := curl(t, "", "-u", "ann:"+key, s.URL+"/ann/work/"); status != 401 || !containsFold(said, asksPassword) {
		t.Errorf("after the key was revoked: %d\n%s", status, said)
	}
}
