package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"userkeys"
	"userkeys/client"
)

// Five lines to a key, for an app on a person's machine: one call opens the browser and waits.
// [client.OpenBrowser] is an OpenBrowser for that.
func ExampleLogin() {
	site := newFakeSite(nil) // yours is https://forum.example
	defer site.Close()

	cred, err := client.Login(context.Background(), client.Options{
		Request: client.Request{
			Site:            site.URL,
			ApplicationName: "Reader",
			ClientID:        client.RandomID(), // keep it: one per installation
			Scopes:          userkeys.Scopes{"read", "notifications"},
		},
		OpenBrowser: func(ctx context.Context, address string) error {
			// Open the person's browser here, and print the address in any case.
			_, err := browse(ctx, address)
			return err
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("signed in as", cred.Username)
	// Output: signed in as alice
}

// An app with a web server of its own: begin, send the browser away, open
// what comes back.
func ExampleBegin() {
	site := newFakeSite(nil)
	defer site.Close()

	auth, err := client.Begin(client.Request{
		Site:            site.URL,
		ApplicationName: "Dashboard",
		ClientID:        "dashboard-1",
		Scopes:          userkeys.Scopes{"notifications"},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Keep auth for this person's session and redirect to auth.URL. With no
	// AuthRedirect the site shows the sealed answer for pasting:
	pasted, err := browse(context.Background(), auth.URL)
	if err != nil {
		log.Fatal(err)
	}
	cred, err := auth.Open(pasted)
	if errors.Is(err, client.ErrWrongNonce) {
		log.Fatal("this answers another request")
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("may:", cred.Scopes)
	// Output: may: notifications
}

// Five lines to a call. What is not a success is an error that says why.
func ExampleCredential_Get() {
	site := newFakeSite(nil)
	defer site.Close()
	cred := &client.Credential{Site: site.URL, Key: "0123456789abcdef0123456789abcdef", ClientID: "reader-1"}

	var session struct {
		CurrentUser struct{ Username string } `json:"current_user"`
	}
	if err := cred.Get(context.Background(), nil, "/session/current.json", &session); err != nil {
		log.Fatal(client.Explain(err))
	}
	fmt.Println(session.CurrentUser.Username)
	// Output: alice
}

// Any other request goes through a client that sends the key to its site only.
func ExampleCredential_Client() {
	site := newFakeSite(nil)
	defer site.Close()
	cred := &client.Credential{Site: site.URL, Key: "0123456789abcdef0123456789abcdef", ClientID: "reader-1"}

	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, cred.Site+"/user-api-key/revoke", nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Do(cred.Client(nil), req, nil); err != nil {
		log.Fatal(client.Explain(err))
	}
	fmt.Println("revoked")
	// Output: revoked
}

// What an app does with refusals.
func ExampleAPIError() {
	site := newFakeSite(nil)
	defer site.Close()
	cred := &client.Credential{Site: site.URL, Key: "ffffffffffffffffffffffffffffffff"}

	_, err := cred.CurrentUsername(context.Background(), nil)
	var refused *client.APIError
	switch {
	case errors.Is(err, userkeys.RateLimited) && errors.As(err, &refused):
		fmt.Println("wait", refused.RetryAfter)
	case errors.Is(err, userkeys.Unavailable):
		fmt.Println("keep the key, try later")
	case errors.As(err, &refused) && refused.Reason == "invalid key":
		fmt.Println("ask for a new key")
	}
	// Output: ask for a new key
}
