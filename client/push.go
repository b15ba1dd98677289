package client

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"userkeys"
)

// Bounds of a push: anybody may send requests to a push URL.
const (
	maxPushBytes     = 256 << 10
	maxPushClients   = userkeys.MaxPushSignatures
	maxPushTextRunes = 1000 // an excerpt has 400
)

// A Push is a request of a site to an app's push URL: notifications for users of the app. All texts but ClientID
// and Body are one line each and safe to show.
type Push struct {
	// ID is the same at every try to deliver the push; empty if the push is not signed.
	ID            string
	SentAt        time.Time
	Site          string // the address of the site, as [ParseSite] writes it
	Title         string // the site's
	Description   string // the site's
	Notifications []PushNotification
	LeftOut       int    // how many more the push has: for clients whose secrets have not signed it, or in another form
	Body          []byte // the whole body as it was received

	marks []pushMark // what a ReplayGuard knows it by: for each client one for each secret that signed for it
}

// A PushNotification is one notification for one client of a site. Its JSON has the names of the wire.
type PushNotification struct {
	// ClientID is the client_id that the key was asked for with, unchanged, to be compared. To show it, use
	// [userkeys.Printable].
	ClientID string `json:"client_id"`
	// NotificationID is the id in the user's list; 0 if the site does not say, like a Discourse.
	NotificationID int64 `json:"notification_id,omitempty"`
	// Type is one of Discourse's numbers: 1 mentioned, 2 replied, 6 personal message, ...
	Type       int    `json:"notification_type"`
	TopicTitle string `json:"topic_title,omitempty"`
	TopicID    int64  `json:"topic_id,omitempty"`
	PostNumber int    `json:"post_number,omitempty"`
	Excerpt    string `json:"excerpt,omitempty"`
	Username   string `json:"username,omitempty"` // the user who caused it
	GroupName  string `json:"group_name,omitempty"`
	// TranslatedTitle is a text in the user's language to show instead of one of the app.
	TranslatedTitle string `json:"translated_title,omitempty"`
	Tag             string `json:"tag,omitempty"` // a newer notification replaces one with the same tag
	URL             string `json:"url,omitempty"` // an address on the site; may be empty
}

// A PushVerifier verifies pushes for many keys, of many sites or users. [VerifyPush] is enough for one key.
type PushVerifier struct {
	// Secrets returns the secrets that the app has for a client on a site, whose address is as [ParseSite] writes it.
	// There may be none, or several while a key is renewed. It returns an error if it cannot say now.
	Secrets func(site, clientID string) ([]userkeys.PushSecret, error)
	Now     func() time.Time // nil: the clock
}

// VerifyPush reads a push for one key and verifies it: it has at most 256 KiB, is signed with one of the secrets,
// and was sent within [userkeys.PushTolerance] of now. Use a [ReplayGuard] to act once on each push, and answer
// the request with [PushStatus]. Give it the secrets of several keys only if whoever has one may speak for all;
// else use a [PushVerifier].
//
// Errors: [userkeys.InvalidAccess] if the signature does not fit, [userkeys.InvalidParameters] and
// [userkeys.BodyTooLarge] if the request is not a push.
func VerifyPush(r *http.Request, secrets ...userkeys.PushSecret) (Push, error) {
	return PushVerifier{Secrets: func(string, string) ([]userkeys.PushSecret, error) { return secrets, nil }}.Verify(r)
}

// Verify reads and verifies a push. The result has the notifications only of those clients whose secrets, for the
// site that the push names, have signed it, because the secret of one app, or of one site, must not speak for
// others.
//
// Errors: those of [VerifyPush], and [userkeys.Unavailable] if Secrets fails.
func (v PushVerifier) Verify(r *http.Request) (Push, error) {
	now := v.Now
	if now == nil {
		now = time.Now
	}
	h, err := pushHeaders(r.Header)
	if err != nil {
		return Push{}, err
	}
	p, err := readPush(r)
	if err != nil {
		return Push{}, err
	}
	k, err := v.secrets(p)
	if err != nil {
		return Push{}, err
	}
	signers, err := userkeys.VerifyPush(h, p.Body, now(), k.secrets...)
	if err != nil {
		return Push{}, err
	}
	p.ID = h.ID
	p.SentAt, _ = h.SentAt() // pushHeaders has read it
	all := len(p.Notifications)
	p.Notifications = slices.DeleteFunc(p.Notifications,
		func(n PushNotification) bool { return !k.signed(n.ClientID, signers) })
	p.LeftOut += all - len(p.Notifications)
	p.marks = k.marks(p, signers)
	return p, nil
}

// pushHeaders reads the three headers of a signed push. Each must be there once: of two, a proxy before the app
// may have checked the other one.
func pushHeaders(h http.Header) (userkeys.PushHeaders, error) {
	for _, name := range []string{userkeys.PushIDHeader, userkeys.PushTimestampHeader, userkeys.PushSignatureHeader} {
		if len(h.Values(name)) > 1 {
			return userkeys.PushHeaders{}, &userkeys.Error{
				Code: userkeys.InvalidParameters, Reason: userkeys.ReasonBadSignature,
				Public: "the header " + name + " is there more than once",
			}
		}
	}
	out := userkeys.PushHeaders{
		ID: h.Get(userkeys.PushIDHeader), Timestamp: h.Get(userkeys.PushTimestampHeader),
		Signature: h.Get(userkeys.PushSignatureHeader),
	}
	_, err := out.SentAt()
	return out, err
}

// knownSecrets are the secrets that may have signed a push, and the clients that they belong to.
type knownSecrets struct {
	secrets []userkeys.PushSecret
	of      map[string][]int // places in secrets, by client id
}

func (k knownSecrets) signed(clientID string, signers []int) bool {
	return slices.ContainsFunc(k.of[clientID], func(i int) bool { return slices.Contains(signers, i) })
}

// marks returns the marks of a push that the secrets at the indexes signers have signed. A push without
// notifications has marks for the client "".
func (k knownSecrets) marks(p Push, signers []int) []pushMark {
	var marks []pushMark
	marked := map[string]bool{}
	for _, n := range p.Notifications {
		if marked[n.ClientID] {
			continue
		}
		marked[n.ClientID] = true
		for _, i := range k.of[n.ClientID] {
			if slices.Contains(signers, i) {
				marks = append(marks, markOf(k.secrets[i], p.ID, n.ClientID))
			}
		}
	}
	if len(marks) == 0 {
		for _, i := range signers {
			marks = append(marks, markOf(k.secrets[i], p.ID, ""))
		}
	}
	return marks
}

// secrets looks up the secrets for each client that the push names; for the client "" if it has no notifications.
func (v PushVerifier) secrets(p Push) (knownSecrets, error) {
	clients := []string{}
	for _, n := range p.Notifications {
		if !slices.Contains(clients, n.ClientID) {
			clients = append(clients, n.ClientID)
		}
		if len(clients) > maxPushClients {
			return knownSecrets{}, userkeys.Errorf(userkeys.InvalidParameters,
				"the push is for more than %d clients", maxPushClients)
		}
	}
	if len(clients) == 0 {
		clients = append(clients, "")
	}
	k := knownSecrets{of: map[string][]int{}}
	for _, id := range clients {
		found, err := v.Secrets(p.Site, id)
		if err != nil {
			return knownSecrets{}, &userkeys.Error{
				Code:   userkeys.Unavailable,
				Public: "the push secrets cannot be looked up now", Err: err,
			}
		}
		for _, s := range found {
			i := slices.Index(k.secrets, s)
			if i < 0 {
				i = len(k.secrets)
				k.secrets = append(k.secrets, s)
			}
			k.of[id] = append(k.of[id], i)
		}
	}
	if len(k.secrets) == 0 {
		return knownSecrets{}, &userkeys.Error{
			Code: userkeys.InvalidAccess, Reason: userkeys.ReasonBadSignature,
			Public: "there is no secret for the clients that this push names, on the site that it names",
		}
	}
	return k, nil
}

// PushStatus returns the HTTP status to answer a push with, by the error of verifying or handling it: 200 for nil
// and [ErrPushSeen], 401 if the push is not genuine, 400 or 413 if the request is no push, 503 if another try may
// succeed.
func PushStatus(err error) int {
	switch {
	case err == nil, errors.Is(err, ErrPushSeen):
		return http.StatusOK
	case errors.Is(err, userkeys.BodyTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, userkeys.InvalidAccess), reason(err) == userkeys.ReasonNoSignature,
		reason(err) == userkeys.ReasonBadSignature:
		return http.StatusUnauthorized
	case errors.Is(err, userkeys.InvalidParameters):
		return http.StatusBadRequest
	}
	return http.StatusServiceUnavailable
}

// readPush reads a push that is not verified yet.
func readPush(r *http.Request) (Push, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPushBytes+1))
	if err != nil {
		return Push{}, &userkeys.Error{Code: userkeys.InvalidParameters, Public: "the push broke off", Err: err}
	}
	if len(body) > maxPushBytes {
		return Push{}, userkeys.Errorf(userkeys.BodyTooLarge, "the push is larger than %d bytes", maxPushBytes)
	}
	return parsePush(body)
}

func parsePush(body []byte) (Push, error) {
	var in struct {
		URL           string            `json:"url"`
		Title         string            `json:"title"`
		Description   string            `json:"description"`
		Notifications []json.RawMessage `json:"notifications"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return Push{}, &userkeys.Error{
			Code: userkeys.InvalidParameters, Public: "the body is not the JSON of a push",
			Err: err,
		}
	}
	site, err := ParseSite(in.URL)
	if err != nil {
		return Push{}, userkeys.Errorf(userkeys.InvalidParameters, "the push names no site in its url")
	}
	p := Push{Site: site, Title: printable(in.Title), Description: printable(in.Description), Body: body}
	for _, raw := range in.Notifications {
		n, ok := parsePushNotification(site, raw)
		if !ok {
			p.LeftOut++
			continue
		}
		p.Notifications = append(p.Notifications, n)
	}
	return p, nil
}

func parsePushNotification(site string, raw []byte) (PushNotification, bool) {
	var n PushNotification
	if string(raw) == "null" || json.Unmarshal(raw, &n) != nil {
		return PushNotification{}, false
	}
	for _, text := range []*string{&n.TopicTitle, &n.Username, &n.GroupName, &n.TranslatedTitle, &n.Tag} {
		*text = printable(*text)
	}
	n.Excerpt = printableWithin(maxPushTextRunes, n.Excerpt)
	if u, err := url.Parse(n.URL); err == nil && OnSite(site, u) {
		n.URL = u.String()
	} else {
		n.URL = ""
	}
	return n, true
}
