package discourse

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// bus is the site's message bus: channels of messages, numbered in each channel and over all.
type bus struct {
	messages []message
	last     map[string]int   // message ids by channel
	polls    map[string]*poll // the newest of each client
	changed  chan struct{}    // closed and replaced when there is news
}

func newBus() bus {
	return bus{last: make(map[string]int), polls: make(map[string]*poll), changed: make(chan struct{})}
}

// A message as polls get it.
type message struct {
	GlobalID  int    `json:"global_id"`
	MessageID int    `json:"message_id"`
	Channel   string `json:"channel"`
	Data      any    `json:"data"`

	only *User // the only one who gets it; nil is everybody
}

const statusChannel = "/__status"

// publish puts a message on a channel and wakes polls. Callers hold mu.
func (s *Site) publish(channel string, data any, only *User) {
	s.bus.last[channel]++
	s.bus.messages = append(s.bus.messages, message{len(s.bus.messages) + 1, s.bus.last[channel], channel, data, only})
	s.wake()
}

func (s *Site) wake() {
	close(s.bus.changed)
	s.bus.changed = make(chan struct{})
}

// A poll is a client that waits for messages.
type poll struct {
	c       *call
	client  string
	seq     int
	from    map[string]int // the last message known, by channel
	stream  bool           // several answers in chunks, until the time is over
	wait    bool
	ends    time.Time
	refused bool // the site wants everybody signed in
}

// isPoll tells whether the call is for the bus.
func (c *call) isPoll() bool {
	client, ok := strings.CutPrefix(c.path, "/message-bus/")
	client, poll := strings.CutSuffix(client, "/poll")
	return ok && poll && client != "" && !strings.Contains(client, "/") && c.r.Method == http.MethodPost
}

// newPoll reads a poll. It sits before the application: a key that is bad,
// lacks the scope or is over its limits makes the caller a stranger and is no
// error, unless the site wants everybody signed in.
func (s *Site) newPoll(c *call) *poll {
	c.route = route{method: http.MethodPost, action: busAction}
	if err := c.authenticate(); err != nil {
		c.render(err) // notes whether a limit was met
		c.user = nil
	}
	p := &poll{
		c: c, client: strings.Split(c.path, "/")[2], from: make(map[string]int),
		stream:  c.r.Header.Get("Dont-Chunk") == "" && c.param("dlp") != "t",
		wait:    c.param("dlp") != "t",
		ends:    c.now.Add(time.Duration(s.number("long_polling_interval")) * time.Second),
		refused: c.user == nil && s.on("login_required"),
	}
	p.seq = c.numberOr("__seq", 0)
	for name := range c.params {
		if strings.HasPrefix(name, "/") {
			last, err := strconv.Atoi(c.param(name))
			if err != nil {
				last = -1
			}
			p.from[name] = last
		}
	}
	if older := s.bus.polls[p.client]; older == nil || older.seq <= p.seq {
		s.bus.polls[p.client] = p
		s.wake() // the older poll of this client ends
	}
	return p
}

// news are the messages that the poll does not know; it knows them afterwards.
// A channel that it asks about with -1, or with a number that is not reached
// yet, is answered with its newest number. Callers hold mu.
func (p *poll) news() []message {
	b := &p.c.s.bus
	for channel, last := range p.from {
		if last < -1 { // the newest alone for -2, one more for -3, and so on
			p.from[channel] = max(0, b.last[channel]+1+last)
		}
	}
	out := []message{}
	for _, m := range b.messages {
		last, subscribed := p.from[m.Channel]
		if subscribed && last >= 0 && m.MessageID > last && (m.only == nil || m.only == p.c.user) {
			out = append(out, m)
		}
	}
	status := make(map[string]int)
	for channel, last := range p.from {
		if newest := b.last[channel]; last == -1 || last > newest {
			status[channel] = newest
		}
		p.from[channel] = b.last[channel]
	}
	if len(status) > 0 {
		out = append(out, message{GlobalID: -1, MessageID: -1, Channel: statusChannel, Data: status})
	}
	return out
}

// serve answers the poll: at once if there is news or it does not wait, and
// else when there is, or its time is over.
func (p *poll) serve(w http.ResponseWriter) {
	if p.refused {
		p.c.write(w, text(http.StatusForbidden, "Invalid Access"))
		return
	}
	h := p.c.header
	h.Set("Content-Type", jsonType)
	h.Set("Cache-Control", "must-revalidate, private, max-age=0")
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Headers", "X-SILENCE-LOGGER, X-Shared-Session-Key, Dont-Chunk, Discourse-Present")
		h.Set("Access-Control-Allow-Methods", "GET, POST")
	}
	if p.stream {
		h.Set("Content-Type", textType)
		p.c.write(w, answer{status: http.StatusOK})
		p.sendAll(w)
		return
	}
	found := p.next()
	body, err := json.Marshal(found)
	if err != nil {
		panic(err) // our own types only
	}
	p.c.write(w, answer{status: http.StatusOK, body: body})
}

// sendAll writes news as chunks until the poll is over.
func (p *poll) sendAll(w http.ResponseWriter) {
	flusher := http.NewResponseController(w)
	for {
		_ = flusher.Flush() // the app may have gone
		found := p.next()
		if len(found) == 0 {
			return
		}
		body, err := json.Marshal(found)
		if err != nil {
			panic(err) // our own types only
		}
		_, _ = w.Write(append(body, "\r\n|\r\n"...)) // the app may have gone
	}
}

// next waits for news; none if the poll is over.
func (p *poll) next() []message {
	s := p.c.s
	ctx, cancel := s.left(p.c.r)
	defer cancel()
	for {
		s.mu.Lock()
		found, changed, newest := p.news(), s.bus.changed, s.bus.polls[p.client] == p
		s.mu.Unlock()
		if len(found) > 0 || !p.wait || !newest || !s.Clock.Now().Before(p.ends) || !p.await(ctx, changed) {
			return found
		}
	}
}

// await returns when something may have happened; false if the app or the test has ended.
func (p *poll) await(ctx context.Context, changed <-chan struct{}) bool {
	ready, free := p.c.s.Clock.until(p.ends)
	defer free()
	select {
	case <-changed:
	case <-ready:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
