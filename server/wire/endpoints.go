package wire

import (
	"net/http"

	"userkeys/server/door"
	"userkeys/site"
)

// basicInfo is what an app shows of a site before anybody signs in.
func (h *Handlers) basicInfo(w http.ResponseWriter, _ *http.Request, _ site.Caller) error {
	set := h.door.Settings()
	icon := h.door.BaseURL() + h.door.Frame().Asset("icon.png")
	return door.WriteJSON(w, map[string]any{
		"title": set.Title, "description": set.SiteDescription, "login_required": false,
		"logo_url": icon, "logo_small_url": icon, "mobile_logo_url": icon, "apple_touch_icon_url": icon, "favicon_url": icon,
		// The colors of the pages' style in its light form.
		"header_primary_color": "1b2733", "header_background_color": "ffffff",
	})
}

// about tells what the site is. It counts nothing: it is for strangers.
func (h *Handlers) about(w http.ResponseWriter, _ *http.Request, _ site.Caller) error {
	set := h.door.Settings()
	return door.WriteJSON(w, map[string]any{"about": map[string]string{
		"title":       set.Title,
		"description": set.SiteDescription,
	}})
}
