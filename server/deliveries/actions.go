package deliveries

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/outbox"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// maxPicked is how many deliveries one request may name.
const maxPicked = 1000

// picked says which given-up deliveries a request is about: those with these ids, all of a host, or all. A request
// must say "all" in so many words: one that says nothing must not discard everything.
type picked struct {
	ids  []int64
	host string
}

var errPicked = userkeys.Errorf(userkeys.InvalidParameters,
	"say which deliveries are meant: ids, host, or all with the value true, and only one of them")

// isForm tells a form of the page, which the door has read, from the request of a program, whose body is a JSON object.
func isForm(r *http.Request) bool { return r.PostForm != nil }

// replay queues given-up deliveries again.
func (h *Handlers) replay(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	p, err := readPicked(w, r)
	if err != nil {
		return err
	}
	n, err := h.cfg.Pushes.Replay(r.Context(), p.ids, p.host, c)
	if err != nil {
		return err
	}
	return h.answerPicked(w, r, p, done{"replayed", n})
}

// discard forgets given-up deliveries.
func (h *Handlers) discard(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	p, err := readPicked(w, r)
	if err != nil {
		return err
	}
	n, err := h.cfg.Pushes.Discard(r.Context(), p.ids, p.host, c)
	if err != nil {
		return err
	}
	return h.answerPicked(w, r, p, done{"discarded", n})
}

// resume has a host, or one key, tried again at once.
func (h *Handlers) resume(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	host, keyID, err := readResumed(w, r)
	if err != nil {
		return err
	}
	by := c
	if keyID != 0 {
		err = h.cfg.Pushes.ResumeKey(r.Context(), keyID, by)
	} else if err = h.knownHost(r.Context(), host); err == nil {
		err = h.cfg.Pushes.ResumeHost(r.Context(), host, by)
	}
	switch {
	case err != nil:
		return err
	case isForm(r):
		return backToDeliveries(w, r, done{"resumed", 0})
	}
	return door.Success(w)
}

// done is what was done to how many deliveries.
type done struct {
	what string
	n    int
}

// answerPicked tells a program how many deliveries there were, and leads a browser back to the page.
func (h *Handlers) answerPicked(w http.ResponseWriter, r *http.Request, p picked, d done) error {
	if isForm(r) {
		return backToDeliveries(w, r, d)
	}
	if d.n == 0 {
		if err := h.unknownPicked(r.Context(), p); err != nil {
			return err
		}
	}
	return door.WriteJSON(w, map[string]any{"success": "OK", d.what: d.n})
}

// backToDeliveries answers a form of the page: a browser goes back to it as it was.
func backToDeliveries(w http.ResponseWriter, r *http.Request, d done) error {
	if gateway.WantsJSON(r) {
		return door.Success(w)
	}
	at := parseDeliveriesAt(url.Values{"host": {r.PostForm.Get("of")}})
	q := url.Values{"done": {d.what}}
	if at.Host != "" {
		q.Set("host", at.Host)
	}
	if d.n > 0 {
		q.Set("n", strconv.Itoa(d.n))
	}
	return door.Redirect(w, http.StatusSeeOther, pagePath+"?"+q.Encode())
}

// unknownPicked says that there is none of what was picked, if so; nil for a host with nothing given up, and for all.
func (h *Handlers) unknownPicked(ctx context.Context, p picked) error {
	switch {
	case len(p.ids) > 0:
		return userkeys.Errorf(userkeys.NotFound, "none of these deliveries is there, and given up")
	case p.host != "":
		return h.knownHost(ctx, p.host)
	}
	return nil
}

// knownHost says that nothing was ever pushed to a host, and where something was.
func (h *Handlers) knownHost(ctx context.Context, host string) error {
	hosts, err := h.cfg.Pushes.Hosts(ctx)
	if err != nil {
		return err
	}
	return outbox.UnknownHost(host, hosts)
}

// readPicked reads which deliveries are meant: a form's id, host, or all=true, or a program's
// {"ids": [...]}, {"host": "..."} or {"all": true}; one of them.
func readPicked(w http.ResponseWriter, r *http.Request) (picked, error) {
	if isForm(r) {
		return pickedByForm(r.PostForm)
	}
	o, err := readMembers(w, r, "ids", "host", "all")
	if err != nil {
		return picked{}, err
	}
	if len(o) != 1 {
		return picked{}, errPicked
	}
	switch {
	case o["ids"] != nil:
		ids, err := deliveryIDs(o["ids"])
		return picked{ids: ids}, err
	case o["host"] != nil:
		host, err := hostMember(o["host"])
		return picked{host: host}, err
	case string(o["all"]) == "true":
		return picked{}, nil
	}
	return picked{}, errPicked
}

func pickedByForm(fields url.Values) (picked, error) {
	var p picked
	var err error
	id, host, all := fields.Get("id"), fields.Get("host"), fields.Get("all")
	switch {
	case id != "" && host == "" && all == "":
		n, ok := input.ParseID(id)
		if !ok {
			err = userkeys.Errorf(userkeys.NotFound, "there is no such delivery")
		}
		p.ids = []int64{n}
	case id == "" && host != "" && all == "":
		p.host, err = site.ParsePushHost(host)
	case id != "" || host != "" || all != "true":
		err = errPicked
	}
	return p, err
}

// readResumed reads what is to be tried again: a form's host, or a program's {"host": "..."} or {"key_id": 1}.
func readResumed(w http.ResponseWriter, r *http.Request) (host string, keyID int64, err error) {
	if isForm(r) {
		host, err = site.ParsePushHost(r.PostForm.Get("host"))
		return host, 0, err
	}
	o, err := readMembers(w, r, "host", "key_id")
	switch {
	case err != nil:
		return "", 0, err
	case len(o) != 1:
		return "", 0, userkeys.Errorf(userkeys.InvalidParameters,
			"say what is to be tried again: host or key_id, and only one of them")
	case o["host"] != nil:
		host, err = hostMember(o["host"])
		return host, 0, err
	}
	keyID, ok := input.ParseID(string(o["key_id"]))
	if !ok {
		err = userkeys.Errorf(userkeys.InvalidParameters, "key_id must be a whole number above 0")
	}
	return "", keyID, err
}

// readMembers reads a body that is one JSON object with no members but those that are known.
func readMembers(w http.ResponseWriter, r *http.Request, known ...string) (input.Object, error) {
	o, err := input.ReadObject(w, r, input.MaxBody)
	if err != nil {
		return nil, err
	}
	for name := range o {
		if !slices.Contains(known, name) {
			return nil, userkeys.Errorf(userkeys.InvalidParameters,
				"there is no member %q here; there is %s", userkeys.Shorten(name, 100), strings.Join(known, ", "))
		}
	}
	return o, nil
}

func deliveryIDs(raw []byte) ([]int64, error) {
	bad := userkeys.Errorf(userkeys.InvalidParameters, "ids must be 1 to %d numbers of deliveries", maxPicked)
	var numbers []json.Number
	if err := json.Unmarshal(raw, &numbers); err != nil || len(numbers) == 0 || len(numbers) > maxPicked {
		return nil, bad
	}
	ids := make([]int64, len(numbers))
	for i, n := range numbers {
		id, ok := input.ParseID(n.String())
		if !ok {
			return nil, bad
		}
		ids[i] = id
	}
	return ids, nil
}

func hostMember(raw []byte) (string, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", userkeys.Errorf(userkeys.InvalidParameters, "host must be a text")
	}
	return site.ParsePushHost(text)
}
