package outward

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"
)

// Calm answers from memory when one address is asked again too soon. It is for the keys of an OpenID provider: a token
// with a key that nobody knows has them fetched anew, and many such tokens must not be a flood for the provider. Only
// answers with status 200 are kept.
type Calm struct {
	Base    http.RoundTripper
	Address string        // what is asked; requests to others go to Base
	Every   time.Duration // how often at most it is asked
	Now     func() time.Time

	mu      sync.Mutex
	fetched time.Time
	answer  *http.Response
	body    []byte
}

// RoundTrip implements [http.RoundTripper].
func (k *Calm) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() != k.Address {
		return k.Base.RoundTrip(r)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.answer == nil || k.Now().Sub(k.fetched) >= k.Every {
		res, err := k.Base.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		if res.StatusCode != http.StatusOK {
			res.Body = io.NopCloser(bytes.NewReader(body))
			return res, nil
		}
		k.answer, k.body, k.fetched = res, body, k.Now()
	}
	again := *k.answer
	again.Body, again.Request = io.NopCloser(bytes.NewReader(k.body)), r
	return &again, nil
}
