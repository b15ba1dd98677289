package question

import (
	"testing"

	"userkeys"
)

func TestDestination(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		redirect string
		want     Destination
	}{
		{"https://app.example/cb", Destination{Kind: "site", Before: "https://", Domain: "app.example"}},
		{"https://a.b.co.uk:8443/cb", Destination{Kind: "site", Before: "https://", Domain: "a.b.co.uk", After: ":8443"}},
		{"https://x.a.b.co.uk/cb", Destination{Kind: "site", Before: "https://x.a.", Domain: "b.co.uk"}},
		{"https://me.github.io/cb", Destination{Kind: "site", Before: "https://", Domain: "me.github.io"}},
		{"https://github.io/cb", Destination{Kind: "site", Before: "https://", Domain: "github.io"}},
		{"http://192.0.2.7:3000/", Destination{Kind: "site", Before: "http://", Domain: "192.0.2.7", After: ":3000"}},
		{"http://[2001:db8::1]:3000/", Destination{Kind: "site", Before: "http://", Domain: "[2001:db8::1]", After: ":3000"}},
		{"http://[2001:db8::1]/", Destination{Kind: "site", Before: "http://", Domain: "[2001:db8::1]"}},
		{"http://intranet/", Destination{Kind: "site", Before: "http://", Domain: "intranet"}},
		{"http://127.0.0.1:1/", Destination{Kind: "computer", Address: "127.0.0.1:1"}},
		{"web+nextclouddiscourse://auth-redirect", Destination{Kind: "app", Address: "web+nextclouddiscourse://auth-redirect"}},
	} {
		t.Run(tt.redirect, func(t *testing.T) {
			t.Parallel()
			r, err := userkeys.ParseRedirect(tt.redirect)
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			if want.Domain == "a.b.co.uk" { // the registrable part is b.co.uk
				want.Before, want.Domain = "https://a.", "b.co.uk"
			}
			if got := To(&r); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
	if got := To(nil); got.Kind != "page" {
		t.Errorf("without a redirect it is %+v", got)
	}
}
