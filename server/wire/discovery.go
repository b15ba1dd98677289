package wire

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"net/http"

	"userkeys"
	"userkeys/server/door"
	"userkeys/site"
)

// openAPI describes every route that answers in JSON. A test holds it against the handlers.
//
//go:embed openapi.json
var openAPISource []byte

// openAPI is the document as it is served: without the spaces that people read it by.
var openAPI = func() []byte {
	var b bytes.Buffer
	if err := json.Compact(&b, openAPISource); err != nil {
		panic(err) // a programmer's mistake in the file
	}
	return b.Bytes()
}()

// description tells an app what it may ask for, before it asks.
func (h *Handlers) description(w http.ResponseWriter, _ *http.Request, _ site.Caller) error {
	// Short, because a change of settings must not leave apps asking for what is refused.
	w.Header().Set("Cache-Control", "public, max-age=60")
	w.Header().Del("Pragma")
	w.Header().Del("Expires")
	d := h.door.Settings().Describe(h.cfg.Authority.Catalog(), h.door.BaseURL())
	if h.cfg.Pushes != nil {
		d.Endpoints["push_secret"] = h.door.BaseURL() + "/user-api-key/push-secret.json"
	}
	return door.WriteJSON(w, d)
}

func (h *Handlers) openAPI(w http.ResponseWriter, _ *http.Request, _ site.Caller) error {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=60")
	w.Header().Del("Pragma")
	w.Header().Del("Expires")
	_, err := w.Write(openAPI)
	return err
}

// OpenAPI is the OpenAPI 3.1 document of every route that answers in JSON.
func OpenAPI() []byte { return bytes.Clone(openAPI) }

// pushSecret gives an app what the pushes for its key are signed with, sealed
// to the public key of the grant: whoever else has the key cannot open it.
func (h *Handlers) pushSecret(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	access, keyed := userkeys.FromContext(r.Context())
	if !keyed {
		return door.RefuseJSON(w, r, &userkeys.Error{
			Code:   userkeys.NotLoggedIn,
			Public: "send the key whose pushes are meant in the header User-Api-Key", Reason: "no key",
		})
	}
	if err := h.cfg.Authority.ChargePushSecret(access); err != nil {
		return err
	}
	payload, err := h.cfg.Pushes.SealedSecret(r.Context(), access.KeyID)
	if err != nil {
		return err
	}
	door.KeepSecret(w)
	return door.WriteJSON(w, map[string]string{"payload": payload})
}
