package userkeys_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"userkeys"
)

func TestErrorMatching(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("outer: %w", &userkeys.Error{Code: userkeys.NotFound, Public: "no such key", Err: io.EOF})
	if !errors.Is(err, userkeys.NotFound) || !errors.Is(err, io.EOF) || errors.Is(err, userkeys.Conflict) {
		t.Error("code or cause is not found")
	}
	if got := err.Error(); got != "outer: not found: no such key: EOF" {
		t.Error(got)
	}
	if e := userkeys.AsError(err); e.Public != "no such key" {
		t.Error(e)
	}
	if err := userkeys.Errorf(userkeys.Conflict, "%d", 1); !errors.Is(err, userkeys.Conflict) || err.Error() != "conflict: 1" {
		t.Error(err)
	}
}

// TestForeignErrorsTellNothing: only Public ever reaches a person.
func TestForeignErrorsTellNothing(t *testing.T) {
	t.Parallel()
	var none *userkeys.Error
	for name, err := range map[string]error{"foreign": errors.New("password is 123"), "nil": nil, "nil pointer": none} {
		e := userkeys.AsError(err)
		if e == nil || e.Code != userkeys.Internal || e.Code.Status() != 500 || strings.Contains(string(e.JSON())+e.Public, "123") {
			t.Errorf("%s: %v", name, e)
		}
	}
}

// TestErrorJSON holds the body to W11 and W13.2.
func TestErrorJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		e    *userkeys.Error
		want string
	}{
		{"invalid key", userkeys.ErrInvalidKey, `{"errors":["You are not permitted to view the requested resource."],"error_type":"invalid_access","reason":"invalid key"}`},
		{"missing parameter", userkeys.Errorf(userkeys.MissingParameter, "m"), `{"errors":["m"]}`},
		{"invalid", userkeys.Errorf(userkeys.InvalidPadding, "m"), `{"errors":["m"],"error_type":"invalid_parameters"}`},
		{"markup is escaped", userkeys.Errorf(userkeys.NotFound, "<b>"), `{"errors":["\u003cb\u003e"],"error_type":"not_found"}`},
		{"a few seconds", &userkeys.Error{Code: userkeys.RateLimited, Public: "m", RetryAfter: 2100 * time.Millisecond}, `{"errors":["m"],"error_type":"rate_limit","extras":{"wait_seconds":3,"time_left":"a few seconds"}}`},
		{"no wait helps", &userkeys.Error{Code: userkeys.RateLimited, Public: "m"}, `{"errors":["m"],"error_type":"rate_limit"}`},
		{"seconds", &userkeys.Error{Code: userkeys.RateLimited, RetryAfter: 59 * time.Second}, `{"errors":[""],"error_type":"rate_limit","extras":{"wait_seconds":59,"time_left":"59 seconds"}}`},
		{"one minute", &userkeys.Error{Code: userkeys.RateLimited, RetryAfter: 119 * time.Second}, `{"errors":[""],"error_type":"rate_limit","extras":{"wait_seconds":119,"time_left":"1 minute"}}`},
		{"hours", &userkeys.Error{Code: userkeys.RateLimited, RetryAfter: 23 * time.Hour}, `{"errors":[""],"error_type":"rate_limit","extras":{"wait_seconds":82800,"time_left":"23 hours"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := string(c.e.JSON()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if !json.Valid(c.e.JSON()) {
				t.Error("no JSON")
			}
		})
	}
}

// TestCodes: every code has a status of its kind and, where the wire has one, a type.
func TestCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[userkeys.Code]string{
		userkeys.MissingParameter: "400 ", userkeys.InvalidParameters: "400 invalid_parameters", userkeys.InvalidPadding: "400 invalid_parameters",
		userkeys.InvalidPublicKey: "400 invalid_parameters", userkeys.InvalidExpiry: "400 invalid_parameters", userkeys.PayloadTooLarge: "400 invalid_parameters",
		userkeys.ScopeNotAllowed: "403 invalid_access", userkeys.RedirectNotAllowed: "403 invalid_access", userkeys.UserNotAllowed: "403 invalid_access",
		userkeys.KeysNotAllowed: "403 invalid_access", userkeys.ConsentGone: "403 invalid_access", userkeys.NotLoggedIn: "403 not_logged_in",
		userkeys.InvalidCredentials: "403 invalid_access", userkeys.InvalidAccess: "403 invalid_access", userkeys.InvalidCSRF: "403 ",
		userkeys.NotFound: "404 not_found", userkeys.Conflict: "409 ", userkeys.MethodNotAllowed: "405 invalid_parameters",
		userkeys.BodyTooLarge: "413 invalid_parameters", userkeys.UnsupportedMedia: "415 invalid_parameters", userkeys.Misdirected: "421 ",
		userkeys.RateLimited: "429 rate_limit", userkeys.Unavailable: "503 read_only", userkeys.Internal: "500 ", "unknown": "500 ",
	} {
		if got := fmt.Sprintf("%d %s", code.Status(), code.Type()); got != want {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
}
