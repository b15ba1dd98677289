package examples_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// A machine has a home folder for the notifier, and a program that writes down the notifications that it is to show.
type machine struct {
	t                 *testing.T
	home, file, shown string
	env               []string
}

func newMachine(t *testing.T) *machine {
	home := t.TempDir()
	d := &machine{t: t, home: home, file: filepath.Join(home, ".userkeys-notifier.json"), shown: filepath.Join(home, "shown")}
	show := filepath.Join(home, "show")
	if err := os.WriteFile(show, []byte("#!/bin/sh\necho \"$@\" >> \"$HOME/shown\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.env = []string{"HOME=" + home, "PATH=" + home, "NOTIFY_COMMAND=" + show} // no browser on PATH: the person opens what is printed
	return d
}

func (m *machine) read(file string) string {
	text, err := os.ReadFile(file)
	if err != nil && exists(file) {
		m.t.Fatal(err)
	}
	return string(text)
}

func (m *machine) shows(want string) {
	m.t.Helper()
	eventually(m.t, func() error {
		if got := m.read(m.shown); got != want {
			return fmt.Errorf("shown is %q, want %q", got, want)
		}
		return nil
	})
}

// keep puts an app's key where the notifier keeps its own.
func (m *machine) keep(site, key string, mode os.FileMode) {
	m.t.Helper()
	text := fmt.Sprintf(`{"site":%q,"client_id":"notifier-1","scopes":["notifications"],"key":%q}`, site, key)
	if err := os.WriteFile(m.file, []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
}

// looksOf is how often anybody asked the site for totals.
func looksOf(s *testkit.Site) int { return strings.Count(s.Log.String(), "notifications/totals") }

func TestNotifier(t *testing.T) {
	t.Parallel()
	s, d := newSite(t), newMachine(t)
	if err := errors.Join(os.WriteFile(filepath.Join(d.home, "dotfiles.json"), []byte("{}"), 0o600), os.Symlink("dotfiles.json", d.file)); err != nil {
		t.Fatal(err)
	}
	alice := s.Person("alice")
	p := start(t, "notifier", d.env, "--every", "20ms", s.URL)
	to := approve(t, alice, p.says(`Approve in your browser: (\S+)`))
	s.Visitor().Get(to).Must(t, 200, "You can close this window")
	p.says("Watching " + s.URL)
	if now, err := os.Readlink(d.file); err != nil || now != "dotfiles.json" || !strings.Contains(d.read(filepath.Join(d.home, now)), s.URL) {
		t.Errorf("the key is not kept where the link leads: %q, %v", now, err)
	}

	notify(t, s, "alice", 1)
	d.shows("Notifier 1 new on " + s.URL + "\n")
	notify(t, s, "bob", 1) // not hers
	alice.Get("/notifications.json?recent=true").Must(t, 200)
	looks := looksOf(s)
	eventually(t, func() error { // it has seen that she looked
		if n := looksOf(s); n < looks+2 {
			return fmt.Errorf("it looked %d times, then %d", looks, n)
		}
		return nil
	})
	notify(t, s, "alice", 1)
	d.shows(strings.Repeat("Notifier 1 new on "+s.URL+"\n", 2))

	if info, err := os.Stat(d.file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	if !hasKey(s, d.read(d.file)) || strings.Contains(d.read(d.file), "PRIVATE") {
		t.Error("the file has not the key, or has more")
	}
	revokeAll(t, alice)
	p.must(1, "no longer takes the key: it was revoked or has ended; log in again")
	secret(t, s, "the output", p.said())
	if text := d.read(d.file); hasKey(s, text) || !strings.Contains(text, s.Keys()[0].ClientID) {
		t.Error("a dead key is still kept, or the client id is lost")
	}
	run(t, "notifier", d.env).must(1, "there is no key; log in")

	// The next login is the same installation, by another way.
	p = start(t, "notifier", d.env, "--flow", "device", "--every", "20ms", s.URL)
	typeCode(t, alice, p.says(`type ([A-Z0-9]{4}-[A-Z0-9]{4})`), "authorize")
	p.says("Watching")
	if keys := s.Keys(); keys[0].ClientID != keys[len(keys)-1].ClientID {
		t.Error("the site takes it for another installation")
	}
	run(t, "notifier", d.env, s.URL).must(1, "there is a key for "+s.URL)
	run(t, "notifier", d.env, "--logout").must(0)
	if s.Keys()[0].RevokedAt.IsZero() || hasKey(s, d.read(d.file)) {
		t.Error("the key is still good, or still kept")
	}
	run(t, "notifier", d.env, "--logout").must(1, "there is no key")
	secret(t, s, "the output", p.said())
}

// TestNotifierKeepsALaterKey: one that still runs when its key dies does not forget the key of a login meanwhile.
func TestNotifierKeepsALaterKey(t *testing.T) {
	t.Parallel()
	s, d := newSite(t), newMachine(t)
	app := s.App("notifier-1", "notifications").Connect(s.Person("alice"))
	d.keep(s.URL, app.Key.Reveal(), 0o600)
	p := start(t, "notifier", d.env, "--every", "20ms")
	p.says("Watching")
	later := s.App("notifier-2", "notifications").Connect(s.Person("alice"))
	d.keep(s.URL, later.Key.Reveal(), 0o600)
	app.Call("POST", "/user-api-key/revoke").Must(t, 200)
	p.must(1, "no longer takes the key")
	if !strings.Contains(d.read(d.file), later.Key.Reveal()) {
		t.Error("the later key is lost")
	}
}

// TestNotifierRefused is what keeps it from watching.
func TestNotifierRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	alice := s.Person("alice")
	key := s.App("notifier-1", "notifications").Connect(alice).Key.Reveal()
	other := s.App("notifier-2", "session_info").Connect(alice).Key.Reveal()
	tests := []struct {
		name string
		run  func(t *testing.T, s *testkit.Site, d *machine)
	}{
		{"the person says no", func(t *testing.T, s *testkit.Site, d *machine) {
			p := start(t, "notifier", d.env, "--flow", "device", s.URL)
			typeCode(t, s.Person("bob"), p.says(`type ([A-Z0-9]{4}-[A-Z0-9]{4})`), "deny")
			p.must(1, "the person refused")
			if exists(d.file) {
				t.Error("something is kept")
			}
		}},
		{"an answer to another request", func(t *testing.T, s *testkit.Site, d *machine) {
			p := start(t, "notifier", d.env, s.URL)
			address := p.says(`Approve in your browser: (\S+)`)
			u := s.Visitor().Request("GET", address, "").URL
			to := u.Query().Get("auth_redirect") + "?" + query("payload", forge(t, address))
			s.Visitor().Get(to).Must(t, 200)
			if exists(d.file) {
				t.Error("something is kept")
			}
			s.Visitor().Get(approve(t, s.Person("bob"), address)).Must(t, 200) // it waits on for the right one
			p.says("Watching " + s.URL)
		}},
		{"a missing scope", func(t *testing.T, s *testkit.Site, d *machine) {
			d.keep(s.URL, other, 0o600)
			p := start(t, "notifier", d.env)
			p.says("missing scope: notifications")
			secret(t, s, "the output", p.said())
		}},
		{"a file that others can read", func(t *testing.T, s *testkit.Site, d *machine) {
			d.keep(s.URL, key, 0o644)
			run(t, "notifier", d.env).must(1, "others can read")
		}},
		{"a broken file", func(t *testing.T, s *testkit.Site, d *machine) {
			if err := os.WriteFile(d.file, []byte(`{"key":"`+key), 0o600); err != nil {
				t.Fatal(err)
			}
			p := run(t, "notifier", d.env)
			p.must(1, "no file of this program")
			secret(t, s, "the output", p.said())
		}},
		{"a site that is away keeps its key at logout", func(t *testing.T, s *testkit.Site, d *machine) {
			d.keep("http://"+nettest.ReserveAddress(t), key, 0o600)
			run(t, "notifier", d.env, "--logout").must(1, "the key stays")
			if !hasKey(s, d.read(d.file)) {
				t.Error("the key is forgotten")
			}
		}},
		{"plain http", func(t *testing.T, s *testkit.Site, d *machine) {
			run(t, "notifier", d.env, "http://forum.example").must(1, "use https")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, s.For(t), newMachine(t))
		})
	}
}
