package client

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"

	"userkeys"
)

// ReadUnsignedPush reads a push of a site that does not sign, as Discourse's: all that vouches for it is the
// site's secret_key in the body, which every receiver of that site's pushes knows. It must be secretKey; an
// empty secretKey takes every push, of whoever sent it. Its Push has no ID, so it may come twice.
func ReadUnsignedPush(r *http.Request, secretKey string) (Push, error) {
	p, err := readPush(r)
	if err != nil {
		return Push{}, err
	}
	if secretKey == "" {
		return p, nil
	}
	var body struct {
		SecretKey string `json:"secret_key"`
	}
	if err := json.Unmarshal(p.Body, &body); err != nil ||
		subtle.ConstantTimeCompare([]byte(body.SecretKey), []byte(secretKey)) != 1 {
		return Push{}, &userkeys.Error{
			Code: userkeys.InvalidAccess, Reason: userkeys.ReasonBadSignature,
			Public: "the push does not have the site's secret_key",
		}
	}
	return p, nil
}
