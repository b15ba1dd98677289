package userkeys_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
)

func TestParseParameters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, query string
		want        url.Values
	}{
		{"empty", "", url.Values{}},
		{"empty pairs", "&&a=1&", url.Values{"a": {"1"}}},
		{"plus and %20 are spaces", "application_name=a+b%20c", url.Values{"application_name": {"a b c"}}},
		{"unescaped commas", "scopes=read,write", url.Values{"scopes": {"read,write"}}},
		{"a name alone", "auth_redirect", url.Values{"auth_redirect": {""}}},
		{"= in a value", "nonce=a=b", url.Values{"nonce": {"a=b"}}},
		{"RQ5 encoded name", "%73copes=write", url.Values{"scopes": {"write"}}},
		{"unknown parameters twice", "x=1&x=2", url.Values{"x": {"1", "2"}}},
		{"another case is another name", "Scopes=write&scopes=read", url.Values{"Scopes": {"write"}, "scopes": {"read"}}},
		{"brackets of an unknown name", "post_ids[]=1&post_ids[]=2", url.Values{"post_ids[]": {"1", "2"}}},
		{"controls in a value wait for its own rule", "client_id=h%0A", url.Values{"client_id": {"h\n"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := userkeys.ParseParameters(c.query)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseParametersRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, query, words string }{
		{"RQ1 scopes twice", "scopes=read&scopes=write", "duplicate parameter scopes"},
		{"RQ1 the same twice", "nonce=1&nonce=1", "duplicate parameter nonce"},
		{"RQ1 encoded the second time", "scopes=read&%73copes=write", "duplicate parameter scopes"},
		{"RQ1 the draft's redirect_url twice", "redirect_url=a&redirect_url=b", "duplicate parameter redirect_url"},
		{"RQ3 semicolon in a value", "scopes=read;write", "%3B"},
		{"RQ3 semicolon between pairs", "a=1;nonce=x", "%3B"},
		{"RQ4 broken encoding of a value", "nonce=%zz", "percent-encoding of parameter nonce"},
		{"RQ4 broken encoding of a name", "%zz=1", "name of a parameter"},
		{"RQ4 cut encoding", "nonce=%4", "percent-encoding of parameter nonce"},
		{"RQ6 array", "scopes[]=read", "scopes is one value"},
		{"RQ6 array, encoded", "scopes%5B%5D=read", "scopes is one value"},
		{"RQ6 hash", "scopes[a]=read", "scopes is one value"},
		{"RQ6 array with a space", "scopes+[]=read", "scopes is one value"},
		{"RQ7 10001 parameters", strings.Repeat("a=1&", 10_000) + "a=1", "more than 1000 parameters"},
		{"RQ7 1001 parameters", strings.Repeat("&", 1000), "more than 1000 parameters"},
		{"RQ10 invalid UTF-8", "application_name=%ff", "parameter application_name is not text"},
		{"RQ10 invalid UTF-8 in a name", "%ff=1", "name of a parameter is not text"},
		{"RQ11 NUL", "client_id=a%00", "parameter client_id is not text"},
		{"RQ11 NUL in an unknown value", "x=%00", "parameter x is not text"},
		{"RQ12 control in a name", "a%0Ab=1", "name of a parameter is not text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := userkeys.ParseParameters(c.query)
			mustRefuse(t, err, userkeys.InvalidParameters, c.words)
			if got != nil {
				t.Errorf("values beside an error: %v", got)
			}
		})
	}
}

// TestCVE_2026_9689_DuplicateParameters: Keycloak read one of two, the page before it the other.
func TestCVE_2026_9689_DuplicateParameters(t *testing.T) {
	t.Parallel()
	_, err := userkeys.ParseParameters("nonce=1&client_id=c&scopes=read&scopes=write")
	mustRefuse(t, err, userkeys.InvalidParameters, "duplicate parameter scopes")
	err = userkeys.CheckDuplicates(url.Values{"auth_redirect": {"https://a.example/", "https://b.example/"}})
	mustRefuse(t, err, userkeys.InvalidParameters, "duplicate parameter auth_redirect")
}

// TestCVE_2026_0976_Semicolon: Keycloak matched around a semicolon that another parser splits at.
func TestCVE_2026_0976_Semicolon(t *testing.T) {
	t.Parallel()
	_, err := userkeys.ParseParameters("nonce=1&client_id=c&scopes=read;scopes=write")
	mustRefuse(t, err, userkeys.InvalidParameters, "%3B")
}

// TestCVE_2025_61726_ManyParameters: refusing them costs nothing worth having (RQ7).
func TestCVE_2025_61726_ManyParameters(t *testing.T) {
	// Not parallel: it counts allocations.
	query := strings.Repeat("scopes=read&", 1_000_000)
	if n := testing.AllocsPerRun(1, func() { _, _ = userkeys.ParseParameters(query) }); n > 20 {
		t.Errorf("%v allocations for a query of 12 MB", n)
	}
}
