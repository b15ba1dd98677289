package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/client"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	site := newFakeSite(t)
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, site.URL+r.URL.Path, http.StatusMovedPermanently)
	}))
	t.Cleanup(moved.Close)
	for _, at := range []string{site.URL, site.URL + "/", moved.URL} {
		got, err := client.Probe(t.Context(), nil, at)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(client.Support{Site: site.URL, APIVersion: 4, DeviceCode: true}, got); diff != "" {
			t.Errorf("Probe(%s) (-want +got):\n%s", at, diff)
		}
	}
}

func TestProbeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		handle http.HandlerFunc
		want   userkeys.Code
	}{
		{"not found", http.NotFound, userkeys.NotFound},
		{"another program that says yes to everything", func(w http.ResponseWriter, r *http.Request) {}, userkeys.NotFound},
		{"the version before scopes", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Auth-Api-Version", "1") }, userkeys.NotFound},
		{"a login page", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/login" {
				http.Redirect(w, r, "/login", http.StatusFound)
			}
			w.Header().Set("Auth-Api-Version", "4")
		}, userkeys.NotFound},
		{"overloaded", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(429) }, userkeys.RateLimited},
		{"starting", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, userkeys.Unavailable},
		{"circles", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}, userkeys.Unavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ts := httptest.NewServer(tt.handle)
			t.Cleanup(ts.Close)
			if _, err := client.Probe(t.Context(), nil, ts.URL); !errors.Is(err, tt.want) {
				t.Errorf("Probe = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestProbeDoesNotStepDownToHTTP(t *testing.T) {
	t.Parallel()
	site := newFakeSite(t)
	ts := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, site.URL+r.URL.Path, http.StatusFound)
	}))
	t.Cleanup(ts.Close)
	if got, err := client.Probe(t.Context(), ts.Client(), ts.URL); !errors.Is(err, userkeys.Unavailable) {
		t.Errorf("Probe = %+v, %v; want a refusal of the step from https to http", got, err)
	}
}
