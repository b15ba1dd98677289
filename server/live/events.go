package live

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/notify"
	"userkeys/server/door"
	"userkeys/site"
)

// retryEvents is when a client comes back after a stream has ended, in milliseconds.
const retryEvents = "retry: 3000\n\n"

// events is the news of the message bus as server-sent events, which browsers and many
// libraries read by themselves. It is ours: the wire has no such route.
func (h *Handlers) events(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if !c.SignedIn() {
		return door.RefuseJSON(w, r, door.ErrNotLoggedIn)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return nil
	}
	f := newFollower(c, r.Header.Get("Last-Event-ID"))
	var err error
	if f.listener, err = h.bus.Listen(notify.Subscriber{Caller: c}, f.subs); err != nil {
		return h.refusePoll(w, r, err)
	}
	defer f.listener.Close()
	messages, err := h.hear(r, c, f.listener)
	if err = ended(r.Context(), err); err != nil {
		return door.RefuseJSON(w, r, door.WithReason(r, userkeys.AsError(err)))
	}
	err = h.follow(w, r, f, messages)
	door.Note(r, ended(r.Context(), err)) // the answer has begun: there is no other place to say it
	return nil
}

// follow writes events until the client goes, or has been here long enough.
func (h *Handlers) follow(w http.ResponseWriter, r *http.Request, f *follower, messages []notify.Message) error {
	text, err := f.write([]byte(retryEvents), messages)
	if err != nil {
		return err
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for beats := 0; ; {
		if err := h.sendNow(w, text); err != nil {
			return err
		}
		woken := f.listener.Wait(r.Context(), beat.C)
		if r.Context().Err() != nil || f.listener.Over() {
			return nil
		}
		if !woken {
			if err := h.door.StillThere(r, f.caller); err != nil {
				return err
			}
			if beats++; beats == heartbeats {
				return nil
			}
			text = []byte(":\n\n")
			continue
		}
		if messages, err = h.hear(r, f.caller, f.listener); err != nil {
			return err
		}
		if text, err = f.write(nil, messages); err != nil {
			return err
		}
	}
}

// follower writes the messages of a user's channels as events. The id of an event says where both channels stood
// after it, so that a client that comes back with this id misses nothing.
type follower struct {
	caller          site.Caller
	listener        *notify.Listener
	subs            []notify.Subscription // alerts first: the counts come after what they count
	counts, version string                // the channel of counts, and the position on it
	alerts, newest  string
}

// newFollower goes on after the event lastID. Without a good one it begins with the counts of now.
func newFollower(c site.Caller, lastID string) *follower {
	id := strconv.FormatInt(c.User.ID, 10)
	f := &follower{caller: c, counts: notify.CountsChannel + id, alerts: notify.AlertsChannel + id}
	version, newest := int64(-2), int64(-1)
	if a, b, ok := strings.Cut(lastID, "."); ok {
		v, err1 := strconv.ParseInt(a, 10, 64)
		n, err2 := strconv.ParseInt(b, 10, 64)
		if err1 == nil && err2 == nil && v >= 0 && n >= 0 {
			version, newest = v, n
		}
	}
	f.version, f.newest = strconv.FormatInt(max(version, 0), 10), strconv.FormatInt(max(newest, 0), 10)
	f.subs = []notify.Subscription{{Channel: f.alerts, Position: newest}, {Channel: f.counts, Position: version}}
	return f
}

// write adds messages to text as events.
func (f *follower) write(text []byte, messages []notify.Message) ([]byte, error) {
	for _, m := range messages { // positions that were not known stand at the end, and hold before
		if at, ok := m.Data.(map[string]int64); ok && m.Channel == notify.StatusChannel {
			f.moved(at)
		}
	}
	for _, m := range messages {
		name := ""
		switch m.Channel {
		case f.counts:
			name = "notification"
		case f.alerts:
			name = "notification-alert"
		default:
			continue
		}
		f.moved(map[string]int64{m.Channel: m.MessageID})
		data, err := json.Marshal(m.Data)
		if err != nil {
			return nil, err
		}
		text = append(text, "event: "+name+"\nid: "+f.version+"."+f.newest+"\ndata: "...)
		text = append(append(text, data...), "\n\n"...)
	}
	return text, nil
}

// moved notes positions on channels.
func (f *follower) moved(to map[string]int64) {
	for channel, at := range to {
		switch channel {
		case f.counts:
			f.version = strconv.FormatInt(at, 10)
		case f.alerts:
			f.newest = strconv.FormatInt(at, 10)
		}
	}
}
