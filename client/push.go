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

// Bounds of what is taken from whoever finds the push URL.
const (
	maxPushBytes     = 256 << 10
	maxPushClients   = userkeys.MaxPushSignatures
	maxPushTextRunes = 1000 // an excerpt has 400
)

// A Push is what a site sent to an app's push URL. Its texts are one line each, safe to show, but for ClientID
// and Body.
type Push struct {
	// the same at every try to deliver it: what is to happen once goes by this; empty if it is not signed
	ID            string
	SentAt        time.Time
	Site          string // the site's address, as [ParseSite] writes it
	Title         string // the site's
	Description   string // the site's
	Notifications []PushNotification
	LeftOut       int    // notifications for clients whose secret did not sign the push, or that nobody can read
	Body          []byte // as it came, with all notifications

	marks []pushMark // what a ReplayGuard knows it by: for each client one for each secret that signed for it
}

// A PushNotification is one notification for one client of a site. Its JSON has the wire's names.
type PushNotification struct {
	// whose it is: the client_id that the key was asked for with, as it is, to be compared; show its
	// [userkeys.Printable] form
	ClientID string `json:"client_id"`
	// of the person's list; 0 if the site does not say (Discourse)
	NotificationID int64 `json:"notification_id,omitempty"`
	// Discourse's number: 1 mentioned, 2 replied, 6 personal message, ...
	Type       int    `json:"notification_type"`
	TopicTitle string `json:"topic_title,omitempty"`
	TopicID    int64  `json:"topic_id,omitempty"`
	PostNumber int    `json:"post_number,omitempty"`
	Excerpt    string `json:"excerpt,omitempty"`
	Username   string `json:"username,omitempty"` // who caused it
	GroupName  string `json:"group_name,omitempty"`
	// a line to show in place of one's own, in the person's language
	TranslatedTitle string `json:"translated_title,omitempty"`
	Tag             string `json:"tag,omitempty"` // what a newer notification replaces
	URL             string `json:"url,omitempty"` // where it leads, on the site; empty if nowhere
}

// A PushVerifier checks pushes for many keys: an app's on many sites, or for many people. For one key there is
// [VerifyPush].
type PushVerifier struct {
	// Secrets finds the secrets that the app has for a client on a site, by what a push claims; the address is as
	// [ParseSite] writes it. There may be several, while a key is renewed, and none. An error of it says that the
	// app cannot tell now.
	Secrets func(site, clientID string) ([]userkeys.PushSecret, error)
	Now     func() time.Time // nil: the clock
}

// VerifyPush reads and verifies a push for one key: at most 256 KiB, signed with one of its secrets, sent
// within [userkeys.PushTolerance] of now. What the app does with it should be done once: see [ReplayGuard].
// [PushStatus] is what to answer.
//
// Give secrets of several keys only if who has one may speak for all; else there is [PushVerifier].
func VerifyPush(r *http.Request, secrets ...userkeys.PushSecret) (Push, error) {
	return PushVerifier{Secrets: func(string, string) ([]userkeys.PushSecret, error) { return secrets, nil }}.Verify(r)
}

// Verify reads and verifies a push. A client's notifications are in it only if a secret of that client, on the
// site that the push names, has signed it: the secret of one app, or of one site, must not speak for others.
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
	p.SentAt, _ = h.SentAt() // it was read before
	all := len(p.Notifications)
	p.Notifications = slices.DeleteFunc(p.Notifications,
		func(n PushNotification) bool { return !k.signed(n.ClientID, signers) })
	p.LeftOut += all - len(p.Notifications)
	p.marks = k.marks(p, signers)
	return p, nil
}

// pushHeaders are the three headers, each of which must be there once: of two, programs on the way may each see
// another.
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

// knownSecrets are the candidates for a push, and whose they are.
type knownSecrets struct {
	secrets []userkeys.PushSecret
	of      map[string][]int // places in secrets, by client id
}

func (k knownSecrets) signed(clientID string, signers []int) bool {
	return slices.ContainsFunc(k.of[clientID], func(i int) bool { return slices.Contains(signers, i) })
}

// marks are those of a push that signers, places in secrets, have signed; of one without a notification that of
// the client "".
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

// secrets looks up the candidates: once for each client that the push names; for "" if it has no notification.
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

// PushStatus is the HTTP status to answer a push with: 200 for nil and for one that was seen already; 401 for
// one that is not genuine; 400 or 413 for what is no push; 503 for what may work at another try.
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

// readPush reads the body, which nobody vouches for yet.
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
