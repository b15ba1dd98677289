package sso

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"userkeys"
	"userkeys/site"
)

const (
	signInFor     = 10 * time.Minute // from the beginning to the provider's answer
	maxUnderWay   = 4                // sign-ins of one browser, in as many tabs
	maxCookie     = 3800             // bytes of its value: browsers take 4096 with the name
	maxUnsealed   = 1 << 16
	signInKeyName = "sign-in cookie key"
)

// pendingSignIn is a sign-in under way, as the browser keeps it in a cookie that only the site can read or make.
type pendingSignIn struct {
	Login    string    `json:"l"`
	State    string    `json:"s"` // names it; the nonce of DiscourseConnect
	Nonce    string    `json:"n"` // of OpenID Connect
	Verifier string    `json:"v"` // of PKCE
	Back     string    `json:"b"`
	Username string    `json:"u,omitempty"`
	Again    bool      `json:"a,omitempty"`
	Began    time.Time `json:"t"`
	Done     bool      `json:"d,omitempty"` // it is kept so that who comes again is led on to Back
}

func newPending(login string, wish site.LoginWish, now time.Time) pendingSignIn {
	return pendingSignIn{
		Login: login, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Back: wish.Back, Username: wish.Username, Again: wish.Again, Began: now.UTC(),
	}
}

func (s pendingSignIn) until() time.Time { return s.Began.Add(signInFor) }

// same compares a secret of s with what came back, in constant time.
func same(secret, came string) bool {
	return subtle.ConstantTimeCompare([]byte(secret), []byte(came)) == 1
}

// CookieName is the name of the cookie of sign-ins under way. Behind https the browser itself sees to it that no other
// host can set it.
func (ls *Logins) CookieName() string {
	if ls.cfg.BaseURL.Scheme == "https" {
		return "__Host-userkeys-signing-in"
	}
	return "userkeys-signing-in"
}

// underWay are the sign-ins that the browser of r has begun and that are not too old.
func (ls *Logins) underWay(r *http.Request) []pendingSignIn {
	cookies := r.CookiesNamed(ls.CookieName())
	if len(cookies) != 1 {
		return nil
	}
	var list, open []pendingSignIn
	if err := ls.sealer.open(cookies[0].Value, &list); err != nil {
		return nil
	}
	now := ls.cfg.Now()
	for _, s := range list {
		if !now.Before(s.Began) && now.Before(s.until()) {
			open = append(open, s)
		}
	}
	return open
}

// keep gives the browser the first of list, and the others as far as there is room.
func (ls *Logins) keep(w http.ResponseWriter, list []pendingSignIn) error {
	for n := min(len(list), maxUnderWay); n > 0; n-- {
		if value := ls.sealer.seal(list[:n]); len(value) <= maxCookie {
			ls.setCookie(w, value)
			return nil
		}
	}
	return userkeys.Errorf(userkeys.InvalidParameters, "the address to go back to after the sign-in is too long")
}

func (ls *Logins) setCookie(w http.ResponseWriter, value string) {
	http.SetCookie(w, &http.Cookie{
		Name: ls.CookieName(), Value: value, Path: "/", MaxAge: int(signInFor / time.Second),
		Secure: ls.cfg.BaseURL.Scheme == "https", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// take finds the sign-in through a login that the browser comes back from. Only its end stays in the cookie, for who
// comes once more, by a reload or the browser's button: the error comes with the sign-in then.
func (ls *Logins) take(w http.ResponseWriter, r *http.Request, login string, by provider) (pendingSignIn, error) {
	list := ls.underWay(r)
	for i, s := range list {
		if s.Login != login || !by.answers(r, s) {
			continue
		}
		if s.Done {
			return s, errStartAgain
		}
		done := pendingSignIn{Login: login, State: s.State, Back: s.Back, Began: s.Began, Done: true}
		return s, ls.keep(w, append(append(list[:i:i], list[i+1:]...), done))
	}
	return pendingSignIn{}, errStartAgain
}

// sealer encrypts what browsers keep. All nodes of a site have the same key.
type sealer struct{ aead cipher.AEAD }

func newSealer(ctx context.Context, st Store) (sealer, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // crypto/rand.Read never fails
	key, err := st.Agree(ctx, signInKeyName, key)
	if err != nil {
		return sealer{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

func (s sealer) seal(list []pendingSignIn) string {
	var packed bytes.Buffer
	z, _ := flate.NewWriter(&packed, flate.BestCompression) // the level is a good one
	_ = json.NewEncoder(z).Encode(list)                     // a buffer takes everything
	_ = z.Close()
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, packed.Bytes(), nil))
}

func (s sealer) open(text string, list *[]pendingSignIn) error {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return err
	}
	packed, err := s.aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return err
	}
	return json.NewDecoder(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxUnsealed)).Decode(list)
}
