package storetest

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
)

func consents(w *world) {
	u, other := w.user("ada"), w.user("bob")
	c := userkeys.Consent{
		ID: "secret id", UserID: u.ID, Session: "session 1", CreatedAt: noon, ExpiresAt: noon.Add(10 * time.Minute),
		Request: userkeys.AuthorizationRequest{
			ApplicationName: "A <b>&\u2028\"", ClientID: "c", Nonce: "n", Scopes: userkeys.Scopes{"read", "push"}, PublicKey: "-----\n",
			AuthRedirect: "x://y", HasAuthRedirect: true, PushURL: "https://p", Padding: "oaep", ExpiresInSeconds: "60",
		},
	}
	w.ok(w.CreateConsent(w.ctx, c))
	w.refused(w.CreateConsent(w.ctx, c), userkeys.Conflict)
	want := c
	want.CreatedAt, want.ExpiresAt = micro(c.CreatedAt), micro(c.ExpiresAt)
	if diff := cmp.Diff(want, must[userkeys.Consent](w)(w.Consent(w.ctx, c.ID))); diff != "" {
		w.Errorf("-want +got\n%s", diff)
	}
	_, err := w.Consent(w.ctx, "another id")
	w.refused(err, userkeys.ConsentGone)
	w.refused(w.CreateConsent(w.ctx, userkeys.Consent{ID: "x", UserID: 77}), userkeys.NotFound)
	w.refused(w.CreateConsent(w.ctx, userkeys.Consent{UserID: u.ID}), userkeys.InvalidParameters)

	w.refused(w.DeleteConsent(w.ctx, c.ID, userkeys.Caller{User: userkeys.User{ID: other.ID}}, noon), userkeys.ConsentGone)
	errs := w.together(20, func(int) error {
		return w.DeleteConsent(w.ctx, c.ID, userkeys.Caller{User: userkeys.User{ID: u.ID}}, noon)
	})
	if n := w.succeeded(errs, userkeys.ConsentGone); n != 1 {
		w.Errorf("one consent was denied %d times", n)
	}

	// Asking without end fills nothing: the newest twenty stay.
	for i := range 30 {
		w.ok(w.CreateConsent(w.ctx, userkeys.Consent{
			ID: fmt.Sprint("many ", i), UserID: u.ID, CreatedAt: noon.Add(time.Duration(i) * time.Second), ExpiresAt: noon.Add(time.Hour),
		}))
	}
	_, err = w.Consent(w.ctx, "many 9")
	w.refused(err, userkeys.ConsentGone)
	must[userkeys.Consent](w)(w.Consent(w.ctx, "many 10"))
}

func settings(w *world) {
	values := func() map[string]string { return must[map[string]string](w)(w.SettingValues(w.ctx)) }
	if got := values(); len(got) != 0 {
		w.Errorf("fresh: %v", got)
	}
	w.ok(w.SetSetting(w.ctx, "title", "first", admin, noon))
	w.ok(w.SetSetting(w.ctx, "title", "second", admin, noon))
	w.ok(w.SetSetting(w.ctx, "cors_origins", "", admin, noon))
	if diff := cmp.Diff(map[string]string{"title": "second", "cors_origins": ""}, values()); diff != "" {
		w.Errorf("-want +got\n%s", diff)
	}
	w.ok(w.ResetSetting(w.ctx, "title", admin, noon))
	w.ok(w.ResetSetting(w.ctx, "title", admin, noon))
	if diff := cmp.Diff(map[string]string{"cors_origins": ""}, values()); diff != "" {
		w.Errorf("after a reset: -want +got\n%s", diff)
	}
}

func sessions(w *world) {
	u := w.user("ada")
	end := micro(noon.Add(time.Hour))
	load := func(token string, at time.Time) string {
		w.Helper()
		data, ok, err := w.Session(w.ctx, []byte(token), at)
		w.ok(err)
		if !ok {
			return "none"
		}
		return string(data)
	}
	save := func(token, data string, user int64) {
		w.Helper()
		w.ok(w.SaveSession(w.ctx, []byte(token), []byte(data), user, end))
	}
	save("a", "\x00\xff binary", 0)
	save("b", "mine", u.ID)
	save("c", "mine too", u.ID)
	if got := load("a", noon); got != "\x00\xff binary" {
		w.Errorf("data %q", got)
	}
	save("a", "again", u.ID)
	for _, test := range []struct {
		token string
		at    time.Time
		want  string
	}{
		{"a", noon, "again"}, {"a", end.Add(-time.Microsecond), "again"}, {"a", end, "none"}, {"x", noon, "none"}, {"", noon, "none"},
	} {
		if got := load(test.token, test.at); got != test.want {
			w.Errorf("session %q at %v: %q, want %q", test.token, test.at, got, test.want)
		}
	}
	save("d", "nobody's", 0)
	w.ok(w.DeleteSession(w.ctx, []byte("b")))
	w.ok(w.DeleteSession(w.ctx, []byte("b")))
	if load("b", noon) != "none" || load("c", noon) != "mine too" {
		w.Error("deleting one session deleted another, or none")
	}
	w.ok(w.DeleteUserSessions(w.ctx, 0))
	w.ok(w.DeleteUserSessions(w.ctx, u.ID))
	if load("a", noon) != "none" || load("c", noon) != "none" || load("d", noon) != "nobody's" {
		w.Error("deleting a user's sessions left one, or took another's")
	}
	w.refused(w.SaveSession(w.ctx, nil, nil, 0, end), userkeys.InvalidParameters)
	w.refused(w.SaveSession(w.ctx, []byte("e"), make([]byte, 1<<20), 0, end), userkeys.InvalidParameters)
}

func tokens(w *world) {
	end := micro(noon.Add(time.Hour))
	consume := func(kind, token string, at time.Time) bool {
		w.Helper()
		return must[bool](w)(w.ConsumeToken(w.ctx, kind, []byte(token), at))
	}
	w.ok(w.CreateToken(w.ctx, "setup", []byte("old"), end))
	w.ok(w.CreateToken(w.ctx, "setup", []byte("new"), end))
	w.ok(w.CreateToken(w.ctx, "other", []byte("new"), end))
	for _, test := range []struct {
		kind, token string
		at          time.Time
		want        bool
	}{{"setup", "new", noon, true}, {"setup", "new", noon, true}, {"setup", "new", end, false}, {"setup", "old", noon, false}, {"none", "new", noon, false}} {
		if good := must[bool](w)(w.TokenGood(w.ctx, test.kind, []byte(test.token), test.at)); good != test.want {
			w.Errorf("%s %s is good at %v: %v", test.kind, test.token, test.at, good)
		}
	}
	if consume("setup", "old", noon) {
		w.Error("a replaced token is good")
	}
	if consume("setup", "wrong", noon) || consume("none", "new", noon) {
		w.Error("a wrong token is good")
	}
	wins := make([]bool, 64)
	for _, err := range w.together(64, func(i int) (err error) {
		wins[i], err = w.ConsumeToken(w.ctx, "setup", []byte("new"), noon)
		return err
	}) {
		w.ok(err)
	}
	n := 0
	for _, won := range wins {
		if won {
			n++
		}
	}
	if n != 1 {
		w.Errorf("one token was consumed %d times", n)
	}
	if consume("other", "new", end) {
		w.Error("a token is good at its end")
	}
	w.refused(w.CreateToken(w.ctx, "setup", nil, end), userkeys.InvalidParameters)
}

func guessesAreCounted(w *world) {
	counts := make([]int, 50)
	for _, err := range w.together(50, func(i int) (err error) {
		counts[i], _, err = w.ChargeGuess(w.ctx, "user:1", time.Hour, noon)
		return err
	}) {
		w.ok(err)
	}
	seen := map[int]bool{}
	for _, n := range counts {
		seen[n] = true
	}
	for n := 1; n <= 50; n++ {
		if !seen[n] {
			w.Errorf("no guess was told that it is number %d: %v", n, counts)
			return
		}
	}
}

func guessWindows(w *world) {
	start := micro(noon)
	charge := func(name string, window, after time.Duration) string {
		w.Helper()
		n, since, err := w.ChargeGuess(w.ctx, name, window, start.Add(after))
		w.ok(err)
		return fmt.Sprintf("%d since %v", n, since.Sub(start))
	}
	for i, test := range []struct {
		name          string
		window, after time.Duration
		want          string
	}{
		{"a", time.Minute, 0, "1 since 0s"},
		{"a", time.Minute, time.Minute - time.Microsecond, "2 since 0s"},
		{"b", time.Minute, time.Second, "1 since 1s"},
		{"a", time.Minute, time.Minute, "1 since 1m0s"},
		{"a", time.Hour, 30 * time.Minute, "2 since 1m0s"}, // the length is the caller's
		{"a", 0, 1000 * time.Hour, "3 since 1m0s"},
		{"ever", 0, 0, "1 since 0s"},
		{"ever", 0, 100000 * time.Hour, "2 since 0s"},
		{"a", time.Minute, 1000 * time.Hour, "1 since 1000h0m0s"},
	} {
		if got := charge(test.name, test.window, test.after); got != test.want {
			w.Errorf("%d: %s after %v: %s, want %s", i, test.name, test.after, got, test.want)
		}
	}
	w.ok(w.ForgetGuesses(w.ctx))
	w.ok(w.ForgetGuesses(w.ctx, "a", "unknown"))
	if got := charge("a", time.Hour, 0); got != "1 since 0s" {
		w.Errorf("after forgetting: %s", got)
	}
	if got := charge("ever", 0, 0); got != "3 since 0s" {
		w.Errorf("another name was forgotten too: %s", got)
	}
	_, _, err := w.ChargeGuess(w.ctx, "a", -time.Second, noon)
	w.refused(err, userkeys.InvalidParameters)
}

func guessFlood(w *world) {
	for i := range 3 {
		n, _, err := w.ChargeGuess(w.ctx, "victim", time.Hour, noon)
		w.ok(err)
		if n != i+1 {
			w.Errorf("guess %d was counted as %d", i+1, n)
		}
		for j := range 100 {
			_, _, err := w.ChargeGuess(w.ctx, fmt.Sprintf("flood %d.%d", i, j), time.Hour, noon)
			w.ok(err)
		}
	}
}
