// Package behind finds out what of a client's forged headers reaches a website through the proxies in front of it.
package behind

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// markParameter is the parameter of the query that has the mark of an examination.
const markParameter = "userkeys-doctor"

// received is what the echo tells of a request.
type received struct {
	Echo string `json:"userkeys_echo"` // the mark
	// Marked are the header lines whose value has the mark, by name.
	Marked map[string][]string `json:"marked"`
	// Identity are the names of all headers that begin like those of userkeys.
	Identity []string `json:"identity"`
}

// Echo returns a handler that answers every request with those of its headers that have the mark of the examination
// in their value. It repeats no other value, so that no page of the site can read a cookie or a key from it.
func Echo() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mark := r.URL.Query().Get(markParameter)
		got := received{Echo: mark, Marked: map[string][]string{}, Identity: []string{}}
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			for _, value := range r.Header[name] {
				if len(mark) == markLength && marked(value, mark) {
					got.Marked[name] = append(got.Marked[name], value)
				}
			}
			if strings.HasPrefix(name, identityPrefix) {
				got.Identity = append(got.Identity, name)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(got) // the client may have left
	})
}

// marked reports whether value has the mark, which may be part of an IPv6 address.
func marked(value, mark string) bool {
	return strings.Contains(strings.ReplaceAll(strings.ToLower(value), ":", ""), mark)
}
