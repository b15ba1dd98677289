package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/outward"
)

func TestOutwardReachesPublicAddressesOnly(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }))
	defer site.Close()
	port := site.URL[strings.LastIndexByte(site.URL, ':'):]
	for _, host := range []string{
		"127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
		"10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "198.18.0.1", "240.0.0.1", "255.255.255.255",
		"224.0.0.1", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]",
	} {
		_, err := client.Probe(t.Context(), client.Outward(), "http://"+host+port)
		if !errors.Is(err, userkeys.Unavailable) || !strings.Contains(err.Error(), "no public address") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestOutwardFollowsAsAnyClient: redirects lead on, and are judged like everything else.
func TestOutwardFollowsAsAnyClient(t *testing.T) {
	t.Parallel()
	hc := client.Outward()
	if hc.CheckRedirect != nil || hc.Timeout != 30*time.Second {
		t.Errorf("it follows redirects its own way, or ends after %v", hc.Timeout)
	}
	for _, address := range []string{"http://127.1/", "http://localhost/", "http://[::1]/"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := hc.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		if outward.Problem(err) != outward.ProblemAddress || userkeys.AsError(err).Public != "this is no public address" {
			t.Errorf("%s: %v", address, err)
		}
	}
}
