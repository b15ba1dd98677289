// Package deliveries is what a site's administrators see of pushes and do
// about them: the page of deliveries, and the same by the admin API. A page's
// form and the request of a program have one handler.
package deliveries

import (
	"context"
	"embed"

	"userkeys/outbox"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

// Pushes is what the handlers need to know and to do about pushes.
type Pushes interface {
	// ResumeKey switches pushing to a key on again, and queues again what was given up for it in the last day.
	ResumeKey(ctx context.Context, keyID int64, by site.Caller) error
	// ResumeHost switches pushing to a host, and to every key at it, on again, and queues again what was given up there in
	// the last day.
	ResumeHost(ctx context.Context, host string, by site.Caller) error
	// Deliveries lists the deliveries that wait, or those that were given up, newest first.
	Deliveries(ctx context.Context, f outbox.Filter) ([]outbox.Delivery, error)
	// Hosts lists hosts with their numbers.
	Hosts(ctx context.Context) ([]outbox.Host, error)
	// Replay queues given-up deliveries again and returns how many: those with these ids, or all of a host, or, if
	// both are empty, all.
	Replay(ctx context.Context, ids []int64, host string, by site.Caller) (int, error)
	// Discard deletes given-up deliveries and returns how many. It chooses them as Replay does.
	Discard(ctx context.Context, ids []int64, host string, by site.Caller) (int, error)
}

// Config is what the handlers need.
type Config struct {
	Pushes   Pushes
	Accounts door.Accounts // nil: users have no names here
}

// Handlers answer for deliveries.
type Handlers struct {
	door *door.Door
	cfg  Config
	page page.Template[deliveriesPage]
}

//go:embed templates/*.html
var templates embed.FS

// New makes the handlers.
func New(d *door.Door, cfg Config) *Handlers {
	return &Handlers{d, cfg, page.New[deliveriesPage](d.Frame(), templates, "deliveries")}
}

// Mount registers the routes.
func (h *Handlers) Mount() {
	d := h.door
	form := door.Rules{Who: door.Browser, As: door.Administrator, CSRF: door.CheckToken, Body: input.Form}
	read := door.Rules{Who: door.Browser | door.AdminKey, As: door.Administrator, Permission: site.AdminDeliveries}
	raw := read
	raw.CSRF, raw.Body = door.CheckToken, input.Raw

	d.Handle("GET "+pagePath, door.Rules{Who: door.Browser, As: door.Administrator}, h.deliveries)
	d.Handle("POST "+pagePath+"/replay", form, h.replay)
	d.Handle("POST "+pagePath+"/discard", form, h.discard)
	d.Handle("POST "+pagePath+"/resume", form, h.resume)
	d.Handle("GET /user-api-key/admin/deliveries.json", read, h.listDeliveries)
	d.Handle("GET /user-api-key/admin/push-hosts.json", read, h.listHosts)
	d.Handle("POST /user-api-key/admin/deliveries/replay.json", raw, h.replay)
	d.Handle("POST /user-api-key/admin/deliveries/discard.json", raw, h.discard)
	d.Handle("POST /user-api-key/admin/deliveries/resume.json", raw, h.resume)
}
