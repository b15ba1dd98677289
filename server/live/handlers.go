// Package live tells apps of news as it comes: polls of the message bus and
// streams of events, which stay open until there is news, their time is over,
// or their key or session ends.
package live

import (
	"sync/atomic"

	"userkeys/gateway"
	"userkeys/notify"
	"userkeys/server/door"
	"userkeys/server/input"
)

// Config is what the handlers need.
type Config struct {
	Bus       *notify.Bus
	Checker   gateway.Checker
	ParkAbove int // when so many listen, polls of apps get by with less memory (see park); 0: 1000; negative: always
}

// Handlers answer polls and streams.
type Handlers struct {
	door      *door.Door
	bus       *notify.Bus
	parkAbove int
	watcher   *gateway.Monitor
	parked    atomic.Int64 // polls, see park
}

// New makes the handlers.
func New(d *door.Door, cfg Config) *Handlers {
	h := &Handlers{door: d, bus: cfg.Bus, parkAbove: cfg.ParkAbove, watcher: gateway.NewMonitor(cfg.Checker)}
	if h.parkAbove == 0 {
		h.parkAbove = parkAbove
	}
	return h
}

// Mount registers the routes.
func (h *Handlers) Mount() {
	listen := door.Rules{
		Who: door.Browser | door.AppSession | door.Key, CSRF: door.CheckOrigin, Body: input.Raw,
		Long: true,
	}
	h.door.Handle("POST /message-bus/{client}/poll", listen, h.poll)
	h.door.Handle("GET /events", listen, h.events)
}
