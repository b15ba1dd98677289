package sitecmd

import (
	"slices"
	"testing"

	"userkeys/server"
)

func TestOwnPaths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values, want []string
		none, bad    bool
	}{
		{},
		{values: []string{"none"}, none: true},
		{values: []string{"none", "/reports"}, want: []string{"/reports"}, none: true},
		{values: []string{"/u/*", "apps"}, want: append([]string{"/u/*"}, server.EndpointPaths()...)},
		{values: []string{"None"}, bad: true},
	} {
		got, none, err := ownPaths(tt.values)
		if !slices.Equal(got, tt.want) || none != tt.none || (err != nil) != tt.bad {
			t.Errorf("%q: %q, %v, %v", tt.values, got, none, err)
		}
	}
	for _, path := range server.FallbackPaths() {
		if !slices.ContainsFunc(server.EndpointPaths(), func(p string) bool { return p == path || p == "/session/" && path == "/session/current.json" }) {
			t.Errorf("%s is none of what apps ask for", path)
		}
	}
}
