package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
)

// A library that others wrote, in another language, verifies what we sign: as it is, and among the signatures for other
// keys of the same address. What was changed, or is old, it refuses.
func TestStandardWebhooks(t *testing.T) {
	t.Parallel()
	say, heard := npmApp(t, "standard_webhooks.cjs")
	var all []userkeys.PushSecret
	for id := range int64(3) {
		s, err := userkeys.NewPushSecret(bytes.Repeat([]byte{9}, 32), id+1, time.Unix(1, 0))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	body := `{"url":"https://forum.example","title":"Caf` + "\u00e9" + ` & <co>","notifications":[{"client_id":"c1"}]}`
	var verified any
	if err := json.Unmarshal([]byte(body), &verified); err != nil {
		t.Fatal(err)
	}
	type push struct {
		h    userkeys.PushHeaders
		body string
		by   userkeys.PushSecret
	}
	sign := func(ago time.Duration, secrets ...userkeys.PushSecret) push {
		h, err := userkeys.SignPush("msg_2f9", time.Now().Add(-ago), []byte(body), secrets...)
		if err != nil {
			t.Fatal(err)
		}
		return push{h, body, all[0]}
	}
	with := func(p push, change func(*push)) push {
		change(&p)
		return p
	}
	good, noMatch := sign(0, all[0]), "No matching signature found"
	for _, c := range []struct {
		name string
		p    push
		want map[string]any
	}{
		{"as it is", good, map[string]any{"verified": verified}},
		{"the first of three keys", sign(0, all...), map[string]any{"verified": verified}},
		{"the last of three keys", sign(0, all[2], all[1], all[0]), map[string]any{"verified": verified}},
		{"almost too old", sign(4*time.Minute, all[0]), map[string]any{"verified": verified}},
		{"a changed body", with(good, func(p *push) { p.body = body + " " }), map[string]any{"refused": noMatch}},
		{"a changed id", with(good, func(p *push) { p.h.ID = "msg_2f8" }), map[string]any{"refused": noMatch}},
		{"a changed time", with(good, func(p *push) { p.h.Timestamp = fmt.Sprint(time.Now().Unix() - 60) }), map[string]any{"refused": noMatch}},
		{"T31 another key's", sign(0, all[1]), map[string]any{"refused": noMatch}},
		{"SS21 an old one", sign(6*time.Minute, all[0]), map[string]any{"refused": "Message timestamp too old"}},
		{"one from ahead", sign(-6*time.Minute, all[0]), map[string]any{"refused": "Message timestamp too new"}},
	} {
		line, err := json.Marshal(map[string]any{
			"secret": c.p.by.Reveal(), "body": c.p.body,
			"headers": map[string]string{"webhook-id": c.p.h.ID, "webhook-timestamp": c.p.h.Timestamp, "webhook-signature": c.p.h.Signature},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := say.Write(append(line, '\n')); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, heard()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
