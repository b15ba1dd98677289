package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Settings are kept, changed and reset.
func TestSettings(t *testing.T) {
	each(t, func(w *world) {
		values := func() map[string]string { return must[map[string]string](w)(w.SettingValues(w.ctx)) }
		if got := values(); len(got) != 0 {
			w.Errorf("fresh: %v", got)
		}
		w.ok(w.SetSetting(w.ctx, "title", "first", admin.At(noon)))
		w.ok(w.SetSetting(w.ctx, "title", "second", admin.At(noon)))
		w.ok(w.SetSetting(w.ctx, "cors_origins", "", admin.At(noon)))
		if diff := cmp.Diff(map[string]string{"title": "second", "cors_origins": ""}, values()); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}
		w.ok(w.ResetSetting(w.ctx, "title", admin.At(noon)))
		w.ok(w.ResetSetting(w.ctx, "title", admin.At(noon)))
		if diff := cmp.Diff(map[string]string{"cors_origins": ""}, values()); diff != "" {
			w.Errorf("after a reset: -want +got\n%s", diff)
		}
	})
}
