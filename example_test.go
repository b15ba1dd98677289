package userkeys_test

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"log"
	"net/url"
	"time"

	"userkeys"
	"userkeys/site"
)

// An app asks for a key, and opens what the site sends back.
func Example_app() {
	key, publicKey := exampleKeys() // an app makes its own with rsa.GenerateKey

	ask := url.Values{
		"application_name": {"Notifier"},
		"client_id":        {"notifier-4f1c"},
		"scopes":           {"read,notifications"},
		"nonce":            {"7f9d"},
		"public_key":       {publicKey},
		"auth_redirect":    {"http://127.0.0.1:8787/callback"},
	}
	browseTo := "https://forum.example/user-api-key/new?" + ask.Encode()

	// The user says yes, and the browser comes back to the app's own port.
	back := exampleSite(browseTo)
	returned, err := url.Parse(back)
	if err != nil {
		log.Fatal(err)
	}
	p, err := userkeys.OpenPayload(key, userkeys.PaddingPKCS1, returned.Query().Get("payload"))
	if err != nil {
		log.Fatal(err)
	}
	if p.Nonce != "7f9d" {
		log.Fatal("an answer to somebody else's question")
	}
	fmt.Println(returned.Host, "got a key of", len(p.Key.Reveal()), "characters; it prints as", p.Key)
	// Output: 127.0.0.1:8787 got a key of 32 characters; it prints as [key]
}

// exampleSite is what a site does with the request, from the address to the way back.
func exampleSite(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		log.Fatal(err)
	}
	p, err := userkeys.ParseParameters(u.RawQuery)
	if err != nil {
		log.Fatal(err)
	}
	r, err := site.ParseAuthorizationRequest(p)
	if err != nil {
		log.Fatal(err)
	}
	catalog, err := userkeys.NewCatalog()
	if err != nil {
		log.Fatal(err)
	}
	settings := site.DefaultSettings()
	checked, err := r.Check(settings, catalog, site.Client{})
	if err != nil {
		log.Fatal(err)
	}
	// Here the site shows who asks for what, and the user, who may give keys, says yes.
	if err := settings.CheckGrantor(site.User{Username: "sam", TrustLevel: 1}); err != nil {
		log.Fatal(err)
	}
	answer := userkeys.Payload{Key: userkeys.NewKey(""), Nonce: checked.Nonce, Push: checked.Push}
	sealed, err := answer.Seal(checked.Key, checked.Pad)
	if err != nil {
		log.Fatal(err)
	}
	return checked.Redirect.With("payload", sealed)
}

func exampleKeys() (*rsa.PrivateKey, string) { return testKey, testPublicKey }

// What a site shows before it asks anybody to sign in.
func ExampleAuthorizationRequest_Check() {
	_, publicKey := exampleKeys()
	p, err := userkeys.ParseParameters("application_name=Clip&client_id=c&nonce=1&scopes=read,push" +
		"&auth_redirect=discourse://auth_redirect&expires_in_seconds=86400&public_key=" + url.QueryEscape(publicKey))
	if err != nil {
		log.Fatal(err)
	}
	r, err := site.ParseAuthorizationRequest(p)
	if err != nil {
		log.Fatal(err)
	}
	catalog, err := userkeys.NewCatalog()
	if err != nil {
		log.Fatal(err)
	}
	c, err := r.Check(site.DefaultSettings(), catalog, site.Client{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("answer goes to:", c.Redirect.Origin())
	fmt.Println("claims to be:  ", c.Name)
	for _, s := range catalog.Sentences(c.Scopes) {
		fmt.Println("it wants to:   ", s)
	}
	fmt.Println("for:           ", c.Lifetime)
	// Output:
	// answer goes to: discourse://auth_redirect
	// claims to be:   Clip
	// it wants to:    read everything that you can read
	// it wants to:    send your notifications to an outside service
	// for:            24h0m0s
}

// A refusal says what would help, and programs match its code.
func ExampleSettings_CheckRedirect() {
	s := site.DefaultSettings()
	_, err := s.CheckRedirect("https://app.example/callback?state=1")
	if errors.Is(err, userkeys.RedirectNotAllowed) {
		fmt.Println(userkeys.AsError(err).Public)
	}
	// Output:
	// this site does not send answers to that auth_redirect; an administrator can allow it with this line in allowed_user_api_auth_redirects: https://app.example/callback?*
}

func ExampleRedirect_With() {
	r, err := userkeys.ParseRedirect("https://app.example/callback?state=1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.With("payload", "a+b/c=\n"))
	// Output: https://app.example/callback?state=1&payload=a%2Bb%2Fc%3D%0A
}

func ExamplePayload_JSON() {
	p := userkeys.Payload{Key: "0123456789abcdef0123456789abf62c", Nonce: "1", ExpiresAt: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	fmt.Println(string(p.JSON()))
	// Output: {"key":"0123456789abcdef0123456789abf62c","nonce":"1","push":false,"api":4,"expires_at":"2030-01-02T03:04:05Z"}
}

// A site's own scope names the routes of its own API.
func ExampleNewCatalog() {
	r, err := userkeys.ParseRoute("GET /orders/{id}")
	if err != nil {
		log.Fatal(err)
	}
	c, err := userkeys.NewCatalog(userkeys.Scope{Name: "orders", Sentence: "see your orders", Routes: []userkeys.Route{r}})
	if err != nil {
		log.Fatal(err)
	}
	path, err := userkeys.CanonicalPath("/orders/%31")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Covers(userkeys.Scopes{"orders"}, "GET", path), c.Covers(userkeys.Scopes{"orders"}, "DELETE", path))
	_, err = userkeys.CanonicalPath("/orders/../admin")
	fmt.Println(userkeys.AsError(err).Public)
	// Output:
	// true false
	// this request path is ambiguous: it has dot segments
}
