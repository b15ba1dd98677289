package store_test

import (
	"testing"
	"time"

	"userkeys"
	"userkeys/store"
	"userkeys/store/storetest"
)

func TestSmoke(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		now := time.Now()
		u, err := s.CreateUser(ctx, userkeys.Account{User: userkeys.User{Username: "Ada", Active: true, Admin: true, CreatedAt: now}}, userkeys.Actor{Kind: "command"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CreateConsent(ctx, userkeys.Consent{ID: "x", UserID: u.ID, ExpiresAt: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		k, _, err := s.Grant(ctx, userkeys.Grant{Key: userkeys.UserAPIKey{UserID: u.ID, ClientID: "c", Scopes: userkeys.Scopes{"read"}, CreatedAt: now, Hash: userkeys.Key("a").Hash()}, ConsentID: "x", MaxKeys: 1, MaxRecent: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.RecordUses(ctx, []userkeys.KeyUse{{KeyID: k.ID, LastUsedAt: now.Add(time.Second), Day: []byte("x")}, {KeyID: 77}}); err != nil {
			t.Fatal(err)
		}
		sk, err := s.KeyByHash(ctx, k.Hash)
		t.Log(sk, err)
		h, err := s.Revoke(ctx, userkeys.Revocation{IDs: []int64{k.ID}, By: userkeys.RevokedByOwner, At: now})
		t.Log(h, err)
		_, err = s.UndoRevoke(ctx, k.ID, now, userkeys.Actor{})
		t.Log(err)
		n, err := s.RevokeStale(ctx, now.Add(time.Hour), now.Add(time.Hour), now)
		t.Log(n, err)
		ch, err := s.Changes(ctx, 1)
		t.Log(ch, err)
		if err := s.Purge(ctx, now.Add(10000*time.Hour)); err != nil {
			t.Fatal(err)
		}
		c, since, err := s.ChargeGuess(ctx, "x", time.Hour, now)
		t.Log(c, since, err)
		if err := s.ForgetGuesses(ctx, "x", "y"); err != nil {
			t.Fatal(err)
		}
		if err := s.SetSetting(ctx, "title", "x", userkeys.Actor{}, now); err != nil {
			t.Fatal(err)
		}
		if err := s.UpdateUser(ctx, u, userkeys.Actor{}, now); err != nil {
			t.Fatal(err)
		}
		t.Log(s.AuditEvents(ctx, 0, 0))
	})
}
