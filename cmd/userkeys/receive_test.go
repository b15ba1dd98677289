package main

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"userkeys"
	"userkeys/internal/testkit/nettest"
)

// pushRequest is a push as a site sends it now; without a secret it is not signed.
func pushRequest(address, id string, body []byte, secrets ...userkeys.PushSecret) (*http.Request, error) {
	r, err := http.NewRequest("POST", address, strings.NewReader(string(body)))
	if err != nil || len(secrets) == 0 {
		return r, err
	}
	h, err := userkeys.SignPush(id, time.Now(), body, secrets...)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(userkeys.PushIDHeader, h.ID)
	r.Header.Set(userkeys.PushTimestampHeader, h.Timestamp)
	r.Header.Set(userkeys.PushSignatureHeader, h.Signature)
	return r, nil
}

// scriptPush sends a file as a push, and wants a status. SECRET is a file, or - for a push that is not signed. The
// receiver has a while to start.
func scriptPush(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 5 || len(args) == 6, "push STATUS ADDRESS SECRET ID FILE [RETRY-AFTER]")
	var secrets []userkeys.PushSecret
	if args[2] != "-" {
		s, err := userkeys.ParsePushSecret(ts.ReadFile(args[2]))
		ts.Check(err)
		secrets = append(secrets, s)
	}
	body := []byte(ts.ReadFile(args[4]))
	var resp *http.Response
	for deadline := time.Now().Add(nettest.Patience); ; time.Sleep(10 * time.Millisecond) {
		r, err := pushRequest("http://"+args[1], args[3], body, secrets...)
		ts.Check(err)
		if resp, err = http.DefaultTransport.RoundTrip(r); err == nil {
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v", err)
		}
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if !strings.HasPrefix(resp.Status, args[0]) {
		ts.Fatalf("answered %s: %s", resp.Status, said)
	}
	if len(args) == 6 && resp.Header.Get("Retry-After") != args[5] {
		ts.Fatalf("Retry-After is %q", resp.Header.Get("Retry-After"))
	}
}
