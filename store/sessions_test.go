package store_test

import (
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

// Sessions end when they should.
func TestSessions(t *testing.T) {
	each(t, func(w *world) {
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
			w.ok(w.SaveSession(w.ctx, site.SessionRow{TokenHash: []byte(token), Data: []byte(data), UserID: user, ExpiresAt: end}))
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
		w.refused(w.SaveSession(w.ctx, site.SessionRow{TokenHash: nil, Data: nil, UserID: 0, ExpiresAt: end}), userkeys.InvalidParameters)
		w.refused(w.SaveSession(w.ctx, site.SessionRow{TokenHash: []byte("e"), Data: make([]byte, 1<<20), UserID: 0, ExpiresAt: end}), userkeys.InvalidParameters)
	})
}

// A token is consumed by one of 64 parallel calls (OT3).
func TestTokenIsConsumedOnce(t *testing.T) {
	each(t, func(w *world) {
		end := micro(noon.Add(time.Hour))
		consume := func(kind, token string, at time.Time) bool {
			w.Helper()
			return must[bool](w)(w.ConsumeToken(w.ctx, site.Token{Kind: kind, Hash: []byte(token)}, at))
		}
		w.ok(w.CreateToken(w.ctx, site.Token{Kind: "setup", Hash: []byte("old"), Expires: end}))
		w.ok(w.CreateToken(w.ctx, site.Token{Kind: "setup", Hash: []byte("new"), Expires: end}))
		w.ok(w.CreateToken(w.ctx, site.Token{Kind: "other", Hash: []byte("new"), Expires: end}))
		for _, test := range []struct {
			kind, token string
			at          time.Time
			want        bool
		}{{"setup", "new", noon, true}, {"setup", "new", noon, true}, {"setup", "new", end, false}, {"setup", "old", noon, false}, {"none", "new", noon, false}} {
			if good := must[bool](w)(w.TokenGood(w.ctx, site.Token{Kind: test.kind, Hash: []byte(test.token)}, test.at)); good != test.want {
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
			wins[i], err = w.ConsumeToken(w.ctx, site.Token{Kind: "setup", Hash: []byte("new")}, noon)
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
		w.refused(w.CreateToken(w.ctx, site.Token{Kind: "setup", Expires: end}), userkeys.InvalidParameters)
	})
}
