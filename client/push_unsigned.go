package client

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"

	"userkeys"
)

// ReadUnsignedPush reads a push of a site that does not sign pushes, such as a Discourse. Such a push is only as
// trustworthy as the site's secret_key in its body, which all receivers of that site's pushes know. The push must
// have secretKey; with an empty secretKey every push is accepted, whoever sent it. The result has no ID, so that a
// repeated push is not recognised.
//
// Errors: [userkeys.InvalidAccess] for another secret_key, [userkeys.InvalidParameters] and
// [userkeys.BodyTooLarge] if the request is not a push.
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
