package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"userkeys"
	"userkeys/client"
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
