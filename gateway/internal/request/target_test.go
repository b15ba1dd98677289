package request

import "testing"

func TestKeyParameterLeavesTheQuery(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"a=1":                               "/p?a=1",
		"":                                  "/p?",
		"user_api_key=x":                    "/p",
		"a=1&user_api_key=x":                "/p?a=1",
		"user_api_key=x&a=1":                "/p?a=1",
		"a=%20&user_api_key&user_api_key=&": "/p?a=%20&",
		"user%5Fapi%5fkey=x&b":              "/p?b",
		"%75ser_api_key=x":                  "/p",
		"user.api.key=x&User-Api-Key=y":     "/p",
		"user_api_key[]=x&user_api_key[0]=": "/p",
		"user_api_key%5B%5D=x&a":            "/p?a",
		"+user_api_key=x&%20user_api_key":   "/p",
		"user_api_key%00=x":                 "/p",
		"user[api_key=x":                    "/p",
		"a=1;user_api_key=x;b=2&c":          "/p?a=1;b=2&c",
		"user_api_key=x;a":                  "/p?a",
		"user_api_key%zz=x":                 "/p?user_api_key%zz=x",
		"user_api_keys=x":                   "/p?user_api_keys=x",
		"user_api=x":                        "/p?user_api=x",
		"x=user_api_key":                    "/p?x=user_api_key",
		"&&":                                "/p?&&",
	} {
		tg := Target{Raw: "/p?" + query, Path: "/p", Query: query, HasQuery: true}
		if got := tg.WithoutKey(); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}
