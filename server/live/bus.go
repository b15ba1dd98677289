package live

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/notify"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// How long a poll and an event stream stay open without news.
const (
	// pollTime: each poll is charged to the key, and with Discourse's 25 seconds an app that only waits would use up
	// 3456 calls of its 2880 a day; with this 1920. It is below the 60 seconds after which proxies give up.
	pollTime = 45 * time.Second
	// A line now and then tells the client, and proxies, that the stream is alive.
	heartbeat = 15 * time.Second
	// After so many the stream ends and the client comes back, so that a day of it is 144 calls.
	heartbeats = 40
)

// Bounds of a poll.
const (
	maxChannelName = 200
	maxBusClient   = 100
	minBusWait     = 15 // seconds; message-bus-client waits no less after a 429
)

// partEnd stands after each part of an answer in parts. JSON has no line ends of its own in it.
const partEnd = "\r\n|\r\n"

// A poll is what an app wants to hear, and how.
type poll struct {
	who   notify.Subscriber
	subs  []notify.Subscription
	waits bool
	parts bool             // the answer comes in parts and stays open
	l     *notify.Listener // nil unless it waits
}

// poll answers a poll of the message bus (W7.7): at once where there is news or the app does not
// wait, else when there is. Somebody without a key or session is refused: there is no channel for everybody.
func (h *Handlers) poll(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if err := h.answerPoll(w, r, c); err != nil {
		return h.refusePoll(w, r, err)
	}
	return nil
}

func (h *Handlers) answerPoll(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if !c.SignedIn() {
		return door.ErrNotLoggedIn
	}
	p, err := parsePoll(w, r)
	if err != nil {
		return err
	}
	p.who.Caller = c
	if !p.waits {
		messages, err := h.bus.Read(r.Context(), c.User.ID, p.subs)
		if err == nil {
			err = h.mayHave(r, c, messages)
		}
		if err != nil {
			return err
		}
		return writeMessages(w, messages)
	}
	if p.l, err = h.bus.Listen(p.who, p.subs); err != nil {
		return err
	}
	if h.park(w, r, &p) {
		return nil
	}
	return h.hold(w, r, c, &p)
}

// hold has p wait, and answers it.
func (h *Handlers) hold(w http.ResponseWriter, r *http.Request, c site.Caller, p *poll) error {
	defer p.l.Close()
	if p.parts {
		return h.pollParts(w, r, c, p.l)
	}
	return h.pollOnce(w, r, c, p.l)
}

// refusePoll answers as message-bus-client expects it: what is limited as text, with a wait that it honours.
func (h *Handlers) refusePoll(w http.ResponseWriter, r *http.Request, err error) error {
	if errors.Is(err, userkeys.NotFound) { // the user was deleted while the poll waited
		err = door.ErrNotLoggedIn
	}
	e := door.WithReason(r, userkeys.AsError(err))
	text := ""
	switch e.Code {
	case userkeys.NotLoggedIn:
		text = "Invalid Access"
	case userkeys.RateLimited:
		text = e.Public + "\n"
		gateway.SetRetry(w.Header(), e)
		w.Header().Set("Retry-After", strconv.Itoa(max(e.RetryAfterSeconds(), minBusWait)))
	default:
		return door.RefuseJSON(w, r, e)
	}
	door.Note(r, e)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(e.Code.Status())
	_, _ = w.Write([]byte(text)) // a client that is gone needs no answer
	return nil
}

// parsePoll reads a poll: a form or JSON of channels and positions, and __seq.
func parsePoll(w http.ResponseWriter, r *http.Request) (poll, error) {
	p := poll{waits: r.URL.Query().Get("dlp") != "t"}
	p.parts = p.waits && r.Header.Get("Dont-Chunk") == "" && r.ProtoAtLeast(1, 1)
	p.who.Client = r.PathValue("client")
	if len(p.who.Client) > maxBusClient || !userkeys.IsText(p.who.Client) {
		return p, userkeys.Errorf(userkeys.InvalidParameters,
			"the client's name must be text of at most %d bytes", maxBusClient)
	}
	fields, err := input.ReadFields(w, r)
	if err != nil {
		return p, err
	}
	if p.who.Seq, err = position(fields, "__seq", 0); err != nil {
		return p, err
	}
	p.subs, err = parseChannels(fields)
	return p, err
}

// parseChannels reads the fields that name channels, and returns them in the order of their names. It ignores all
// other fields.
func parseChannels(fields url.Values) ([]notify.Subscription, error) {
	subs := make([]notify.Subscription, 0, len(fields))
	for name := range fields {
		if !strings.HasPrefix(name, "/") {
			continue
		}
		if len(name) > maxChannelName || !userkeys.IsText(name) {
			return nil, userkeys.Errorf(userkeys.InvalidParameters,
				"a channel's name must be text of at most %d bytes", maxChannelName)
		}
		at, err := position(fields, name, -1)
		if err != nil {
			return nil, err
		}
		subs = append(subs, notify.Subscription{Channel: name, Position: at})
	}
	slices.SortFunc(subs, func(a, b notify.Subscription) int { return strings.Compare(a.Channel, b.Channel) })
	return subs, nil
}

// position reads a whole number, absent where there is none.
func position(fields url.Values, name string, absent int64) (int64, error) {
	text := fields.Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "%s must be a whole number", userkeys.Printable(name))
	}
	return n, nil
}

// pollOnce waits for news and answers with it; with none when the time is over.
func (h *Handlers) pollOnce(w http.ResponseWriter, r *http.Request, c site.Caller, l *notify.Listener) error {
	end := time.NewTimer(pollTime)
	defer end.Stop()
	messages, err := h.hear(r, c, l)
	for err == nil && len(messages) == 0 && l.Wait(r.Context(), end.C) {
		messages, err = h.hear(r, c, l)
	}
	h.door.Extend(w) // the waiting has used up the deadline
	if err = ended(r.Context(), err); err != nil || r.Context().Err() != nil {
		return err
	}
	return writeMessages(w, messages)
}

// ended is err, or, where the request itself has ended, why: its key was revoked. Where the client has just
// gone away nobody is left to hear anything, and it is nil.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}

// writeMessages answers with messages and nothing after.
func writeMessages(w http.ResponseWriter, messages []notify.Message) error {
	if messages == nil {
		messages = []notify.Message{}
	}
	return door.WriteJSON(w, messages)
}

// pollParts answers with part after part until the time is over. The first comes at once, empty if
// need be: by it the client knows that nobody on the way holds the parts back.
func (h *Handlers) pollParts(w http.ResponseWriter, r *http.Request, c site.Caller, l *notify.Listener) error {
	messages, err := h.hear(r, c, l)
	if err = ended(r.Context(), err); err != nil || r.Context().Err() != nil {
		return err
	}
	setParts(w.Header())
	if messages == nil {
		messages = []notify.Message{}
	}
	end := time.NewTimer(pollTime)
	defer end.Stop()
	for err == nil {
		if messages != nil {
			if err = h.sendPart(w, messages); err != nil {
				break
			}
		}
		if !l.Wait(r.Context(), end.C) {
			break
		}
		messages, err = h.hear(r, c, l)
	}
	door.Note(r, ended(r.Context(), err)) // the answer has begun: there is no other place to say it
	return nil
}

// setParts says that an answer comes in parts: as text, and not to be held back on the way.
func setParts(h http.Header) {
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
}

// sendPart writes one part of an answer in parts.
func (h *Handlers) sendPart(w http.ResponseWriter, messages []notify.Message) error {
	body, err := json.Marshal(messages)
	if err != nil {
		return err
	}
	return h.sendNow(w, append(body, partEnd...))
}

// sendNow writes b, which the client must take in time.
func (h *Handlers) sendNow(w http.ResponseWriter, b []byte) error {
	h.door.Extend(w)
	if _, err := w.Write(b); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}

// hear is what is new to l, for one who may have it.
func (h *Handlers) hear(r *http.Request, c site.Caller, l *notify.Listener) ([]notify.Message, error) {
	messages, err := l.Read(r.Context())
	if err == nil {
		err = h.mayHave(r, c, messages)
	}
	if err != nil {
		return nil, err
	}
	return messages, nil
}

// mayHave refuses messages that were just read to one whose key or session has ended. It is asked after the
// reading, never before: so what was written after a revoke was answered is not given, without waiting for the
// door's next look.
func (h *Handlers) mayHave(r *http.Request, c site.Caller, messages []notify.Message) error {
	if len(messages) == 0 {
		return nil
	}
	return h.door.StillThere(r, c)
}
