package server

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"userkeys"
)

// maxPicked is how many deliveries one request may name.
const maxPicked = 1000

// deliveryJSON is a delivery in the admin API.
type deliveryJSON struct {
	ID             int64      `json:"id"`
	UserID         int64      `json:"user_id"`
	Username       string     `json:"username,omitempty"`
	NotificationID *int64     `json:"notification_id"` // null: a test
	KeyID          *int64     `json:"key_id"`          // null: all of the user's keys with this address
	PushURL        string     `json:"push_url"`
	Host           string     `json:"host"`
	CreatedAt      *time.Time `json:"created_at"`
	QueuedAt       *time.Time `json:"queued_at"`
	NextAt         *time.Time `json:"next_at"` // null: it was given up
	Attempts       int        `json:"attempts"`
	DeadAt         *time.Time `json:"dead_at"` // null: it is still tried
	Problem        *string    `json:"problem"`
}

func deliveryOf(d userkeys.Delivery, username string) deliveryJSON {
	out := deliveryJSON{
		ID: d.ID, UserID: d.UserID, Username: username, NotificationID: known(d.NotificationID), KeyID: known(d.KeyID),
		PushURL: d.PushURL, Host: d.Host, CreatedAt: jsonTime(d.CreatedAt), QueuedAt: jsonTime(d.QueuedAt),
		Attempts: d.Attempt, DeadAt: jsonTime(d.DeadAt), Problem: known(string(d.Problem)),
	}
	if d.DeadAt.IsZero() {
		out.NextAt = jsonTime(d.NextAt)
	}
	return out
}

// listDeliveries lists deliveries, newest first: those that wait, or those that were given up.
func (s *Server) listDeliveries(w http.ResponseWriter, r *http.Request, _ userkeys.Visitor) error {
	q, err := queryOf(r, "dead", "host", "user", "user_id", "before")
	if err != nil {
		return err
	}
	f, err := s.deliveryFilter(r, q)
	if err != nil {
		return err
	}
	found, err := s.cfg.Pushes.Deliveries(r.Context(), f)
	if err != nil {
		return err
	}
	names := map[int64]string{}
	list := make([]deliveryJSON, len(found))
	for i, d := range found {
		name, err := s.nameOf(r, d.UserID, names)
		if err != nil {
			return err
		}
		list[i] = deliveryOf(d, name)
	}
	return writeJSON(w, map[string]any{"deliveries": list, "next": next(found, q.limit, func(d userkeys.Delivery) int64 { return d.ID })})
}

func (s *Server) deliveryFilter(r *http.Request, q query) (userkeys.DeliveryFilter, error) {
	f := userkeys.DeliveryFilter{Before: q.before, Limit: q.limit}
	var err error
	if f.Dead, err = truth("dead", q.Get("dead")); q.Has("dead") && err != nil {
		return f, err
	}
	if f.Host, err = userkeys.ParsePushHost(q.Get("host")); q.Has("host") && err != nil {
		return f, err
	}
	f.UserID, err = s.userOfQuery(r, q)
	return f, err
}

// pushHostJSON is a host in the admin API.
type pushHostJSON struct {
	Host        string     `json:"host"`
	Queued      int        `json:"queued"`
	Dead        int        `json:"dead"`
	Delivered   int64      `json:"delivered"`
	Failed      int64      `json:"failed"`
	Failures    int        `json:"failures"` // in a row
	ClosedUntil *time.Time `json:"closed_until"`
	DeliveredAt *time.Time `json:"delivered_at"`
	FailedAt    *time.Time `json:"failed_at"`
	Problem     *string    `json:"problem"`
	DueAt       *time.Time `json:"due_at"` // of what is due first; null: nothing waits
}

// listPushHosts lists every host that something was to be pushed to.
func (s *Server) listPushHosts(w http.ResponseWriter, r *http.Request, _ userkeys.Visitor) error {
	if _, err := queryOf(r); err != nil {
		return err
	}
	hosts, err := s.cfg.Pushes.Hosts(r.Context())
	if err != nil {
		return err
	}
	list := make([]pushHostJSON, len(hosts))
	for i, h := range hosts {
		list[i] = pushHostJSON{
			Host: h.Host, Queued: h.Queued, Dead: h.Dead, Delivered: h.Delivered, Failed: h.Failed, Failures: h.Failures,
			ClosedUntil: jsonTime(h.ClosedUntil), DeliveredAt: jsonTime(h.DeliveredAt), FailedAt: jsonTime(h.FailedAt),
			Problem: known(string(h.Problem)), DueAt: jsonTime(h.DueAt),
		}
	}
	return writeJSON(w, map[string][]pushHostJSON{"hosts": list})
}

// readObject reads a body that is one JSON object with no members but those that are known.
func readObject(w http.ResponseWriter, r *http.Request, members ...string) (object, error) {
	body, err := readAll(w, r)
	if err != nil {
		return nil, err
	}
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	for name := range o {
		if !slices.Contains(members, name) {
			return nil, userkeys.Errorf(userkeys.InvalidParameters, "there is no member %q here; there is %s", cutBytes(name, 100), strings.Join(members, ", "))
		}
	}
	return o, nil
}

// pickedByObject reads {"ids": [...]}, {"host": "..."} or {"all": true}: one of them.
func pickedByObject(w http.ResponseWriter, r *http.Request) (picked, error) {
	o, err := readObject(w, r, "ids", "host", "all")
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

func deliveryIDs(raw json.RawMessage) ([]int64, error) {
	bad := userkeys.Errorf(userkeys.InvalidParameters, "ids must be 1 to %d numbers of deliveries", maxPicked)
	var numbers []json.Number
	if err := json.Unmarshal(raw, &numbers); err != nil || len(numbers) == 0 || len(numbers) > maxPicked {
		return nil, bad
	}
	ids := make([]int64, len(numbers))
	for i, n := range numbers {
		id, ok := plainID(n.String())
		if !ok {
			return nil, bad
		}
		ids[i] = id
	}
	return ids, nil
}

func hostMember(raw json.RawMessage) (string, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", userkeys.Errorf(userkeys.InvalidParameters, "host must be a text")
	}
	return userkeys.ParsePushHost(text)
}

// replayDeliveries queues given-up deliveries again, and tells how many.
func (s *Server) replayDeliveries(w http.ResponseWriter, r *http.Request, v userkeys.Visitor) error {
	p, err := pickedByObject(w, r)
	if err != nil {
		return err
	}
	n, err := s.cfg.Pushes.Replay(r.Context(), p.ids, p.host, s.actor(r, v))
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"success": "OK", "replayed": n})
}

// discardDeliveries forgets given-up deliveries, and tells how many.
func (s *Server) discardDeliveries(w http.ResponseWriter, r *http.Request, v userkeys.Visitor) error {
	p, err := pickedByObject(w, r)
	if err != nil {
		return err
	}
	n, err := s.cfg.Pushes.Discard(r.Context(), p.ids, p.host, s.actor(r, v))
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"success": "OK", "discarded": n})
}

// resumePushes has a host, or one key, tried again at once.
func (s *Server) resumePushes(w http.ResponseWriter, r *http.Request, v userkeys.Visitor) error {
	o, err := readObject(w, r, "host", "key_id")
	if err != nil {
		return err
	}
	switch {
	case len(o) != 1:
		err = userkeys.Errorf(userkeys.InvalidParameters, "say what is to be tried again: host or key_id, and only one of them")
	case o["host"] != nil:
		var host string
		if host, err = hostMember(o["host"]); err == nil {
			err = s.cfg.Pushes.ResumeHost(r.Context(), host, s.actor(r, v))
		}
	default:
		id, ok := plainID(string(o["key_id"]))
		if !ok {
			return userkeys.Errorf(userkeys.InvalidParameters, "key_id must be a whole number above 0")
		}
		err = s.cfg.Pushes.ResumeKey(r.Context(), id, s.actor(r, v))
	}
	if err != nil {
		return err
	}
	return success(w)
}

// keyPushJSON is how pushing to a key goes, in the admin API.
type keyPushJSON struct {
	DeliveredAt  *time.Time `json:"delivered_at"` // last; null: never
	FailedAt     *time.Time `json:"failed_at"`
	FailingSince *time.Time `json:"failing_since"` // null: the last attempt went well
	Problem      *string    `json:"problem"`
	OffAt        *time.Time `json:"off_at"` // null: it is on
}

func keyPushOf(p userkeys.KeyPush) *keyPushJSON {
	return &keyPushJSON{
		DeliveredAt: jsonTime(p.DeliveredAt), FailedAt: jsonTime(p.FailedAt), FailingSince: jsonTime(p.FailingSince),
		Problem: known(string(p.Problem)), OffAt: jsonTime(p.OffAt),
	}
}
