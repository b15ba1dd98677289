package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
	"userkeys/internal/testkit/provider"
)

// wiki is where Debian has DokuWiki, and wikiPlugins where it has its plugins.
const wiki, wikiPlugins = "/usr/share/dokuwiki", "/var/lib/dokuwiki/lib/plugins"

// dokuWiki writes the files of a wiki of its own into dir, with the plugin of the page. The program itself stays as
// Debian has it.
func dokuWiki(t *testing.T, dir, callback string) {
	t.Helper()
	blocks := websiteBlocks(t)
	password, err := bcrypt.GenerateFromPassword([]byte("ann keeps bees"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "plugins"), os.DirFS(wikiPlugins)); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("pages attic media media_attic meta media_meta cache index locks tmp log") {
		if err := os.MkdirAll(filepath.Join(dir, "data", name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const places = "<?php\ndefine('DOKU_CONF', 'PLACE/conf/');\ndefine('DOKU_PLUGIN', 'PLACE/plugins/');\n"
	for name, text := range map[string]string{
		"start.php": places,
		"conf/local.php": "<?php\n$conf['savedir'] = 'PLACE/data';\n$conf['useacl'] = 1;\n$conf['superuser'] = '@admin';\n" +
			"$conf['remote'] = 1; $conf['remoteuser'] = '@user';\n", // as the page says
		"conf/acl.auth.php":            "*\t@ALL\t0\n*\t@user\t8\n",
		"conf/users.auth.php":          "ann:" + string(password) + ":Ann:ann@mail.example:user\n",
		"plugins/userkeys/action.php":  blocks["action.php"],
		"plugins/userkeys/connect.php": strings.ReplaceAll(blocks["connect.php"], pageCallback, callback),
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "PLACE", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// startDokuWiki starts a wiki, and userkeys before it with the configuration of the page.
func startDokuWiki(t *testing.T) *testkit.Site {
	t.Helper()
	php := find(t, "php")[0]
	if _, err := os.Stat(wiki); err != nil {
		without(t, "dokuwiki")
	}
	dir, listen, site := t.TempDir(), nettest.ReserveAddress(t), nettest.ReserveAddress(t)
	dokuWiki(t, dir, "http://"+site+"/user-api-key/login/site/callback")
	config := strings.NewReplacer("https://wiki.example", "http://"+site, "127.0.0.1:3000", listen, "/etc/userkeys", dir).
		Replace(websiteBlocks(t)["dokuwiki.toml"])
	for name, text := range map[string]string{"userkeys.toml": config, "sso-secret": provider.ConnectSecret} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nettest.StartProgram(t, listen, "env", "SSO_SECRET="+provider.ConnectSecret, php, "-d", "auto_prepend_file="+filepath.Join(dir, "start.php"), "-S", listen, "-t", wiki)
	p := testkit.ServeAt(t, site, "--data", filepath.Join(dir, "keys"), "--config", filepath.Join(dir, "userkeys.toml"))
	return testkit.At(t, p.URL)
}

// putPage is a call of the wiki's API that writes a page, and getPage one that reads it.
const (
	putPage = `<?xml version="1.0"?><methodCall><methodName>wiki.putPage</methodName><params><param><value><string>start</string></value></param>` +
		`<param><value><string>Hello from an app</string></value></param><param><value><struct></struct></value></param></params></methodCall>`
	getPage = `<?xml version="1.0"?><methodCall><methodName>wiki.getPageInfo</methodName><params><param><value><string>start</string></value></param></params></methodCall>`
)

// TestDokuWiki plays what the page says: a wiki that others wrote, with one plugin. Who signs in at the wiki gives an app
// a key, and meets no other password; the app writes a page as its owner, until the key is revoked.
func TestDokuWiki(t *testing.T) {
	t.Parallel()
	s := startDokuWiki(t)
	follow := func(p *testkit.Person, a testkit.Answer) testkit.Answer {
		for range 8 {
			to := a.Header.Get("Location")
			if to == "" {
				break
			}
			u, err := a.Request.URL.Parse(to)
			if err != nil {
				t.Fatal(err)
			}
			a = p.Get(u.String())
		}
		return a
	}
	ann, app := s.Visitor(), s.App("notes", "wiki")
	signIn := follow(ann, ann.Get(app.Path())).Must(t, 200, `name="p" type="password"`)
	follow(ann, ann.Submit(signIn, "/doku.php?id=start", "u", "ann", "p", "ann keeps bees", "do", "login")).
		Must(t, 200, "App notes", "read and write every page").MustNot(t, `type="password"`)
	app.Connect(ann)

	call := func(body string, header ...string) testkit.Answer {
		stranger := s.Visitor()
		r := stranger.Request("POST", "/lib/exe/xmlrpc.php", body)
		r.Header.Set("Content-Type", "text/xml")
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return stranger.Do(r)
	}
	key := []string{"User-Api-Key", app.Key.Reveal()}
	call(putPage, key...).Must(t, 200, "<boolean>1</boolean>")
	call(getPage, key...).Must(t, 200, "<name>author</name>", "ann")
	ann.Get("/doku.php?id=start").Must(t, 200, "Hello from an app")
	for _, header := range [][]string{nil, {"X-Userkeys-Key-Id", "1", "X-Userkeys-External-Id", "ann"}} {
		call(putPage, header...).Must(t, 401).MustNot(t, "<boolean>1</boolean>")
	}

	s.App("phone", "wiki").Connect(ann) // without another sign-in
	page := ann.Get("/my/apps").Must(t, 200, "App notes", "App phone")
	for range 2 {
		ann.Submit(page, "/user-api-key/revoke").Must(t, 303)
		page = ann.Get("/my/apps")
	}
	call(putPage, key...).Must(t, 403, "invalid key")
}
