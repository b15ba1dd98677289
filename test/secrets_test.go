package scenario_test

// Secrets: a day of a whole site, and then a search for every secret of it. Group LK of docs/attacks.md.

import (
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"userkeys/authority"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/store"
)

// written are the encodings in which a secret could be stored.
func written(secret string) map[string]string {
	unescaped := url.QueryEscape(secret)
	return map[string]string{
		"plain":            secret,
		"base64":           base64.RawStdEncoding.EncodeToString([]byte(secret)),
		"base64 for URLs":  base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"URL encoding":     unescaped,
		"hex":              hex.EncodeToString([]byte(secret)),
		"upper case":       strings.ToUpper(secret),
		"upper case hex":   strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"bytes of the hex": string(bytesOf(secret)),
		"bytes of base64":  string(bytesOfBase64(secret)),
	}
}

func bytesOf(secret string) []byte {
	b, err := hex.DecodeString(secret)
	if err != nil || len(b) < 8 {
		return []byte(secret)
	}
	return b
}

func bytesOfBase64(secret string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(secret)
	if err != nil || len(b) < 8 {
		return []byte(secret)
	}
	return b
}

// TestLK1NoSecretIsWrittenDown uses every part of a site and then looks for each secret in the log and in the bytes of
// the database.
func TestLK1NoSecretIsWrittenDown(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		db, err := sql.Open("sqlite", store.SQLiteDSN(filepath.Join(dir, "userkeys.db")))
		if err != nil {
			t.Fatal(err)
		}
		secrets, log := aDay(t, db, dbtest.Open(t, db, store.SQLite))
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%q, %v", files, err)
		}
		var dump strings.Builder
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			dump.Write(b)
		}
		nowhere(t, secrets, log, dump.String())
	})
	t.Run("Postgres", func(t *testing.T) {
		t.Parallel()
		db := dbtest.PostgresDB(t)
		secrets, log := aDay(t, db, dbtest.Open(t, db, store.Postgres))
		nowhere(t, secrets, log, dumpOf(t, db))
	})
}

// nowhere fails for each secret that is in the log or in the dump.
func nowhere(t *testing.T, secrets map[string]string, log, dump string) {
	t.Helper()
	if !strings.Contains(dump, "alice") || !strings.Contains(dump, "App victim") || !strings.Contains(log, "msg=request") {
		t.Fatal("this is no dump, or no log")
	}
	for what, secret := range secrets {
		if len(secret) < 8 {
			t.Errorf("no %s was planted: %q", what, secret)
			continue
		}
		for how, text := range written(secret) {
			if strings.Contains(log, text) {
				t.Errorf("the %s is in the log, in %s", what, how)
			}
			if strings.Contains(dump, text) {
				t.Errorf("the %s is in the database, in %s", what, how)
			}
		}
	}
}

// dumpOf returns every row of every table as text, and binary columns as bytes too.
func dumpOf(t *testing.T, db *sql.DB) string {
	t.Helper()
	names := column(t, db, "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
	if len(names) < 10 {
		t.Fatalf("tables %q", names)
	}
	var dump strings.Builder
	for _, name := range names {
		rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+name)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				if b, ok := (*v.(*any)).([]byte); ok {
					fmt.Fprintf(&dump, "%s\t%x\t", b, b)
				} else {
					fmt.Fprintf(&dump, "%v\t", *v.(*any))
				}
			}
			dump.WriteByte('\n')
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		_ = rows.Close() // read to its end
	}
	return dump.String()
}

func column(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// aDay uses every route once, well and badly, and returns the secrets that must be nowhere.
func aDay(t *testing.T, db *sql.DB, st *store.Store) (secrets map[string]string, log string) {
	t.Helper()
	early := testkit.NewSite(t, st)
	setup, needed, err := early.Identity.SetupToken(t.Context())
	if err != nil || !needed {
		t.Fatal(needed, err)
	}
	early.Visitor().Get("/user-api-key/setup?token=" + setup)
	post(early.Visitor(), "/user-api-key/setup", urlencoded,
		url.Values{
			"token": {setup}, "username": {"x"}, "password": {"short-planted"},
			"password_again": {"short-planted"},
		}.Encode())

	sc := newScene(t, db, st)
	secrets = map[string]string{
		"setup token": setup, "password": testkit.Password, "short password": "short-planted",
		"mistyped password": "mistyped-password-planted",
	}
	_, secrets["session cookie"], _ = strings.Cut(sc.cookie(sc.alice), "=")
	secrets["CSRF token"] = sc.tokenOf(sc.alice)
	secrets["key"] = sc.victim.Key.Reveal()
	_, form := sc.consent()
	secrets["consent id"] = form.Get("id")
	_, answered := sc.consent("client_id", "answered")
	secrets["answered consent id"] = answered.Get("id")
	payload, _ := post(sc.alice, "/user-api-key", urlencoded, answered.Encode()).Must(t, 200).Text("user-api-key-payload")

	key := sc.victim.Key.Reveal()
	sc.Visitor().Login("alice", "mistyped-password-planted")
	sc.Visitor().Login("mistyped-password-planted", "alice") // people type it into the wrong field
	sc.Visitor().Get("/session/current.json?user_api_key=" + key + "&payload=" + url.QueryEscape(payload))
	sc.Visitor().Get("/user-api-key/setup?token=" + setup)
	for _, method := range []string{"GET", "POST", "DELETE"} {
		sc.victim.Call(method, "/no/such/page?user_api_key="+key)
		sc.victim.Call(method, "/session/current.json?x=%zz&user_api_key="+key)
	}
	sc.key(key+"x", "GET", "/session/current.json")
	sc.alice.Post("/user-api-key", url.Values{"id": {form.Get("id")}, "authenticity_token": {"wrong"}})
	sc.alice.Post("/user-api-key", url.Values{
		"id": {form.Get("id")}, "authenticity_token": {secrets["CSRF token"]},
		"x": {"\xff"},
	})
	sc.alice.Get("/my/apps?id=" + form.Get("id"))
	sc.victim.Call("POST", "/user-api-key/revoke").Must(t, 200)
	sc.check(sc.key(key, "GET", "/session/current.json"), deadKey)
	sc.App("victim", "read").Connect(sc.alice)
	sc.withoutPage(secrets)
	// The sealed answer is kept for its page, which may be loaded again for ten minutes.
	sc.Clock.Pass(authority.ConsentLifetime)
	if err := sc.Authority.CleanUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kept := column(t, db, "SELECT payload FROM userkeys_shown_answers"); len(kept) != 0 {
		t.Errorf("answers that no page shows any more are kept: %q", kept)
	}
	log = early.Log.String() + sc.Log.String()
	if line, _, _ := strings.Cut(payload, "\n"); len(line) < 8 || strings.Contains(log, line) {
		t.Error("the payload is in the log")
	}
	return secrets, log
}

// withoutPage adds the secrets of devices, one-time passwords and programs of the site. Of each kind one is used and
// one is not, and one code is mistyped.
func (sc *scene) withoutPage(secrets map[string]string) {
	sc.t.Helper()
	sc.Set("verbose_user_api_key_device_auth_logging", "true")
	sc.Set("allow_user_api_key_scopes", "read|write|one_time_password")
	sc.Set("allowed_user_api_auth_redirects", "discourse://auth_redirect")
	for _, state := range []string{"used", "open"} {
		d := sc.newDevice("tv", "read")
		secrets[state+" device code"], secrets[state+" user code"] = d.code, d.user
		secrets[state+" user code, as kept"] = strings.ReplaceAll(d.user, "-", "")
		_, secrets[state+" request"], _ = strings.Cut(d.page, "request=")
		sc.Visitor().Get("/user-api-key/device/poll.json?device_code=" + d.code)
		sc.Visitor().Get(d.page + "&code=" + d.user)
		password := sc.askOneTime(sc.App("phone", "read"), "discourse://auth_redirect")
		secrets[state+" one-time password"] = password
		sc.Visitor().Get("/session/otp/"+password).Must(sc.t, 200, "signing-in-as")
		program := sc.Program("alice")
		secrets[state+" admin API key"] = program.Key.Reveal()
		sc.Visitor().Get("/session/current.json?api_key=" + program.Key.Reveal())
		if state == "open" {
			break
		}
		page := sc.alice.Post("/user-api-key/activate", url.Values{"code": {d.user}, "authenticity_token": {sc.token()}})
		sc.alice.Follow(sc.alice.Submit(page, "/user-api-key/device/authorize")).Must(sc.t, 200)
		secrets["payload of a device"] = d.mustBe("authorized")
		window := sc.Visitor()
		window.Submit(window.Get("/session/otp/"+password), "/session/otp/"+password).Must(sc.t, 302)
		_, secrets["session begun by a one-time password"], _ = strings.Cut(sc.cookie(window), "=")
		program.Call("GET", "/session/current.json", "").Must(sc.t, 200, "alice")
	}
	secrets["mistyped user code"], secrets["mistyped user code, as kept"] = "WXYZ-2345", "WXYZ2345"
	sc.alice.Post("/user-api-key/activate", url.Values{"code": {"WXYZ-2345"}, "authenticity_token": {sc.token()}})
}
