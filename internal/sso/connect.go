package sso

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// ConnectConfig is a provider that speaks DiscourseConnect: a Discourse forum, or a website with an address for one.
type ConnectConfig struct {
	URL    *url.URL // where it takes requests
	Secret string   // shared with it
}

// connectProvider asks a provider by DiscourseConnect. The request and the answer are signed in the same way, so an
// answer counts only if it has what no request has: who somebody is.
type connectProvider struct {
	ConnectConfig
	callback string
}

// The names of DiscourseConnect in addresses and payloads.
const (
	payloadField   = "sso"
	signatureField = "sig"
	nonceField     = "nonce"
	returnField    = "return_sso_url"
)

func (d connectProvider) sign(payload string) string {
	mac := hmac.New(sha256.New, []byte(d.Secret))
	_, _ = mac.Write([]byte(payload)) // a hash never fails
	return hex.EncodeToString(mac.Sum(nil))
}

func (d connectProvider) address() *url.URL { return d.URL }

func (d connectProvider) begin(_ context.Context, s pendingSignIn) (string, error) {
	payload := base64.StdEncoding.EncodeToString([]byte(url.Values{
		nonceField: {s.State}, returnField: {d.callback},
	}.Encode()))
	u := *d.URL
	q := u.Query()
	q.Set(payloadField, payload)
	q.Set(signatureField, d.sign(payload))
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// answer reads a signed answer. The signature is over the text as it came, so that is what is checked.
func (d connectProvider) answer(r *http.Request) (url.Values, bool) {
	q := r.URL.Query()
	payload, signature := q.Get(payloadField), q.Get(signatureField)
	if payload == "" || !hmac.Equal([]byte(d.sign(payload)), []byte(signature)) {
		return nil, false
	}
	// Some programs write a newline after each 60 characters.
	text, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(payload, "\n", ""))
	if err != nil {
		return nil, false
	}
	values, err := url.ParseQuery(string(text))
	return values, err == nil && !repeated(values)
}

func (d connectProvider) answers(r *http.Request, s pendingSignIn) bool {
	v, ok := d.answer(r)
	return ok && same(s.State, v.Get(nonceField))
}

func (d connectProvider) finish(r *http.Request, _ pendingSignIn) (Person, error) {
	v, ok := d.answer(r)
	switch {
	case !ok:
		return Person{}, refused("the signature is wrong")
	case v.Get("failed") == "true":
		return Person{}, refused("the provider says that the sign-in failed")
	case !v.Has("external_id"):
		return Person{}, refused("there is no external_id: this is no answer")
	case v.Has(returnField) && v.Get(returnField) != d.callback:
		return Person{}, refused("the answer is for another address")
	}
	o := Person{
		Subject: v.Get("external_id"), Username: v.Get("username"), Name: v.Get("name"), Email: v.Get("email"),
		Admin: v.Get("admin") == "true", Moderator: v.Get("moderator") == "true",
	}
	if v.Get("require_activation") == "true" { // the provider has not seen whether the address is theirs
		o.Email = ""
	}
	o.Groups = listed(v.Get("groups"))
	return o, nil
}

// maxListed is how many groups of somebody are looked at. Nobody is in more.
const maxListed = 2000

// listed reads a list with commas.
func listed(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if len(out) == maxListed {
			break
		}
		out = append(out, strings.Trim(part, " \t"))
	}
	return distinct(out)
}

// distinct returns the names of groups in list, each once, in order.
func distinct(list []string) []string {
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(g string) bool { return g == "" })
}
