package docs_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"userkeys/internal/testkit/discourse"
)

// flowsOf are the flows of each era that the programs can go. The loopback of hello.go is on any free port, so that
// where the site knows it before the person, as in the newest era, package client takes the device flow.
var flowsOf = map[discourse.Era]map[string][]flow{
	discourse.Old:    {"hello.go": {loopback}, "hello.py": {loopback}, "hello.sh": {paste}},
	discourse.Middle: {"hello.go": {loopback}, "hello.py": {loopback}, "hello.sh": {paste}},
	discourse.New:    {"hello.go": {device}, "hello.mjs": {device}, "hello.py": {loopback}, "hello.sh": {paste}},
}

// The same programs on Discourse, twice each: the second key takes the place of the first.
func TestProgramsOnDiscourse(t *testing.T) {
	t.Parallel()
	for _, era := range discourse.Eras {
		for _, p := range programs {
			if !slices.Contains(flowsOf[era][p.file], p.flow) {
				continue
			}
			t.Run(string(era)+" "+p.file, func(t *testing.T) {
				t.Parallel()
				p.find(t) // before anything is made that needs it
				s := discourse.Start(t, era)
				s.AddUser(discourse.User{Name: "alice"})
				s.Set("user_api_key_device_poll_interval", "1")
				home, id := t.TempDir(), ""
				for range 2 {
					r := p.start(t, s.URL, home)
					approveAt(t, s, r)
					if err := r.wait(); err != nil || !strings.HasSuffix(r.stdout(), "Hello alice\n") {
						t.Fatalf("%v\n%s", err, r.everything())
					}
					keys := s.Keys()
					if len(keys) != 1 || keys[0].RevokedAt.IsZero() || keys[0].ApplicationName != "Hello" || !slices.Equal(keys[0].Scopes, []string{"session_info"}) {
						t.Fatalf("the site has not one key, which is revoked, but %d", len(keys))
					}
					if id != "" && keys[0].ClientID != id {
						t.Errorf("the second login came as client %q, the first as %q", keys[0].ClientID, id)
					}
					id = keys[0].ClientID
					if strings.Contains(r.everything(), keys[0].Key.Reveal()) {
						t.Error("the key was printed")
					}
				}
			})
		}
	}
}

// approveAt does what the program tells the person, as alice; for the loopback after an administrator has listed its port.
func approveAt(t *testing.T, s *discourse.Site, r *run) {
	t.Helper()
	alice, line := s.Browser("alice"), r.line("Open ")
	if m := codeLine.FindStringSubmatch(line); m != nil && r.flow == device {
		if err := alice.Activate(m[1], m[2]); err != nil {
			t.Fatal(err)
		}
		return
	}
	address, err := url.Parse(strings.TrimPrefix(line, "Open "))
	if err != nil || r.flow == device {
		t.Fatalf("told to do another thing than the flow %s: %v", r.flow, err)
	}
	if r.flow == loopback {
		to, err := url.Parse(address.Query().Get("auth_redirect"))
		if err != nil {
			t.Fatal(err)
		}
		s.Set("allowed_user_api_auth_redirects", "http://"+to.Host+"/*")
	}
	payload, err := alice.Approve(address.String())
	if err != nil {
		t.Fatalf("%v\n%s", err, r.everything())
	}
	if r.flow == paste {
		r.paste(strings.TrimSpace(payload))
	}
}
