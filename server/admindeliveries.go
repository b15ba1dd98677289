package server

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"userkeys"
	"userkeys/notify"
	"userkeys/site"
)

// maxPicked is how many deliveries one request may name.
const maxPicked = 1000

// listDeliveries lists deliveries, newest first: those that wait, or those that were given up.
func (s *Server) listDeliveries(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
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
	list := make([]notify.DeliveryJSON, len(found))
	for i, d := range found {
		name, err := s.nameOf(r, d.UserID, names)
		if err != nil {
			return err
		}
		list[i] = notify.NewDeliveryJSON(d, name)
	}
	return writeJSON(w, map[string]any{"deliveries": list, "next": next(found, q.limit, func(d site.Delivery) int64 { return d.ID })})
}

func (s *Server) deliveryFilter(r *http.Request, q query) (site.DeliveryFilter, error) {
	f := site.DeliveryFilter{Before: q.before, Limit: q.limit}
	var err error
	if f.Dead, err = truth("dead", q.Get("dead")); q.Has("dead") && err != nil {
		return f, err
	}
	if f.Host, err = site.ParsePushHost(q.Get("host")); q.Has("host") && err != nil {
		return f, err
	}
	f.UserID, err = s.userOfQuery(r, q)
	return f, err
}

// listPushHosts lists every host that something was to be pushed to.
func (s *Server) listPushHosts(w http.ResponseWriter, r *http.Request, _ site.Visitor) error {
	if _, err := queryOf(r); err != nil {
		return err
	}
	hosts, err := s.cfg.Pushes.Hosts(r.Context())
	if err != nil {
		return err
	}
	list, now := make([]notify.PushHostJSON, len(hosts)), s.cfg.Now()
	for i, h := range hosts {
		list[i] = notify.NewPushHostJSON(h, now)
	}
	return writeJSON(w, map[string][]notify.PushHostJSON{"hosts": list})
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
	return site.ParsePushHost(text)
}

// replayDeliveries queues given-up deliveries again, and tells how many.
func (s *Server) replayDeliveries(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	p, err := pickedByObject(w, r)
	if err != nil {
		return err
	}
	n, err := s.cfg.Pushes.Replay(r.Context(), p.ids, p.host, s.caller(r, v))
	if err == nil && n == 0 {
		err = s.unknownPicked(r.Context(), p)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"success": "OK", "replayed": n})
}

// discardDeliveries forgets given-up deliveries, and tells how many.
func (s *Server) discardDeliveries(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	p, err := pickedByObject(w, r)
	if err != nil {
		return err
	}
	n, err := s.cfg.Pushes.Discard(r.Context(), p.ids, p.host, s.caller(r, v))
	if err == nil && n == 0 {
		err = s.unknownPicked(r.Context(), p)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"success": "OK", "discarded": n})
}

// unknownPicked says that there is none of what was picked, if so; nil for a host with nothing given up, and for all.
func (s *Server) unknownPicked(ctx context.Context, p picked) error {
	switch {
	case len(p.ids) > 0:
		return userkeys.Errorf(userkeys.NotFound, "none of these deliveries is there, and given up")
	case p.host != "":
		return s.knownHost(ctx, p.host)
	}
	return nil
}

// knownHost says that nothing was ever pushed to a host, and where something was.
func (s *Server) knownHost(ctx context.Context, host string) error {
	hosts, err := s.cfg.Pushes.Hosts(ctx)
	if err != nil {
		return err
	}
	return notify.KnownHost(host, hosts)
}

// resumeHost has a host tried again at once. [userkeys.NotFound].
func (s *Server) resumeHost(ctx context.Context, host string, by site.Caller) error {
	if err := s.knownHost(ctx, host); err != nil {
		return err
	}
	return s.cfg.Pushes.ResumeHost(ctx, host, by)
}

// resumePushes has a host, or one key, tried again at once.
func (s *Server) resumePushes(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
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
			err = s.resumeHost(r.Context(), host, s.caller(r, v))
		}
	default:
		id, ok := plainID(string(o["key_id"]))
		if !ok {
			return userkeys.Errorf(userkeys.InvalidParameters, "key_id must be a whole number above 0")
		}
		err = s.cfg.Pushes.ResumeKey(r.Context(), id, s.caller(r, v))
	}
	if err != nil {
		return err
	}
	return success(w)
}
