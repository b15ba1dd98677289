package store

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"userkeys/site"
)

// The actions in the audit log.
const (
	actionKeyGranted       = "key granted"
	actionKeyMadeByHand    = "key made by hand"
	actionKeyReplaced      = "key replaced"
	actionKeyRevoked       = "key revoked"
	actionRevocationUndone = "revocation undone"
	actionConsentDenied    = "consent denied"
	actionSettingChanged   = "setting changed"
	actionSettingReset     = "setting reset"
	actionUserCreated      = "user created"
	actionUserUpdated      = "user updated"
	actionPasswordSet      = "password set"
	actionPasswordChanged  = "password changed"
	actionUserDeleted      = "user deleted"
	actionIdentityLinked   = "identity linked"
	actionIdentityUnlinked = "identity unlinked"
	actionPurged           = "purged"
	actionKeyRenewed       = "key renewed"
	actionKeyMoved         = "key moved"
	actionClientRegistered = "client registered"
	actionClientReleased   = "client released"
	actionOneTimeMade      = "one-time password made"
	actionOneTimeUsed      = "one-time password used"
	actionDeviceDenied     = "device denied"
	actionNotified         = "users notified"
	actionPushResumed      = "push resumed"
	actionPushReplayed     = "pushes replayed"
	actionPushDiscarded    = "pushes discarded"
	actionAdminKeyMade     = "admin key created"
	actionAdminKeyRevoked  = "admin key revoked"
	actionReplaced         = " replaced" // after the name of a value that nodes agree on
)

const (
	auditColumns       = "at, actor_user_id, actor_kind, actor_ip, actor_admin, action, user_id, key_id, client_id, detail"
	auditWidth         = 10
	eventsPerStatement = 100
)

// audit writes events. It is called in the transaction of the actions, so that no action is without its event.
func audit(c conn, events ...site.AuditEvent) error {
	return inChunks(events, eventsPerStatement, func(chunk []site.AuditEvent) error {
		args := make([]any, 0, auditWidth*len(chunk))
		for _, e := range chunk {
			args = append(args, micros(e.At), e.Caller.User.ID, e.Caller.Kind(), e.Caller.Address, flag(e.Caller.Admin()),
				e.Action, e.UserID, e.KeyID, e.ClientID, shorten(detailOf(e)))
		}
		_, err := c.exec("INSERT INTO userkeys_audit_events ("+auditColumns+") VALUES "+
			placeholders(1, len(chunk), auditWidth), args...)
		return err
	})
}

// detailOf returns the detail of an event. If an admin API key acted, the detail begins with the id of the key,
// because the name of the user does not say which program acted.
func detailOf(e site.AuditEvent) string {
	if e.Caller.AdminKey == 0 {
		return e.Detail
	}
	by := "by admin key " + strconv.FormatInt(e.Caller.AdminKey, 10)
	if e.Detail == "" {
		return by
	}
	return by + ": " + e.Detail
}

const maxDetail = 1000

// shorten cuts the detail of an event, since values in it can be as long as any text.
func shorten(detail string) string {
	if len(detail) <= maxDetail {
		return detail
	}
	return strings.ToValidUTF8(detail[:maxDetail], "") + " ..."
}

// auditOrKeep writes events. If only that fails, it undoes the attempt and returns the events, so that the
// transaction can go on.
func auditOrKeep(c conn, events []site.AuditEvent) ([]site.AuditEvent, error) {
	if _, err := c.exec("SAVEPOINT audit"); err != nil {
		return nil, err
	}
	if err := audit(c, events...); err != nil {
		if _, undo := c.exec("ROLLBACK TO SAVEPOINT audit"); undo != nil {
			return nil, err
		}
		return events, nil
	}
	_, err := c.exec("RELEASE SAVEPOINT audit")
	return nil, err
}

// keptEvents are audit events of revocations whose lines could not be written yet.
type keptEvents struct {
	mu     sync.Mutex
	events []site.AuditEvent
}

// maxKept bounds the memory of an audit log that stays unwritable; the oldest stay.
const maxKept = 10_000

func (k *keptEvents) add(events []site.AuditEvent) {
	if len(events) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, events...)
	if len(k.events) > maxKept {
		k.events = k.events[:maxKept]
	}
}

func (k *keptEvents) take() []site.AuditEvent {
	k.mu.Lock()
	defer k.mu.Unlock()
	events := k.events
	k.events = nil
	return events
}

// UnwrittenEvents returns how many audit events of revocations wait to be written. If it does not return to 0 soon,
// the database has a problem.
func (s *Store) UnwrittenEvents() int {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	return len(s.kept.events)
}

// writeKept writes the events that wait. It is called after a write that succeeded.
func (s *Store) writeKept(ctx context.Context, w *wait) {
	events := s.kept.take()
	if len(events) == 0 {
		return
	}
	err := s.transact(ctx, w, func(c conn) error { return audit(c, events...) })
	if err != nil {
		s.kept.add(events)
	}
}

func scanEvent(r row) (site.AuditEvent, error) {
	var e site.AuditEvent
	var at, admin int64
	err := r.Scan(&e.ID, &at, &e.Caller.User.ID, &e.Caller.As, &e.Caller.Address, &admin,
		&e.Action, &e.UserID, &e.KeyID, &e.ClientID, &e.Detail)
	e.At, e.Caller.User.Admin = fromMicros(at), admin != 0
	return e, err
}

// AuditEvents lists the events of the audit log that f selects, newest first.
func (s *Store) AuditEvents(ctx context.Context, f site.AuditFilter) ([]site.AuditEvent, error) {
	if err := checkText(f.Action); err != nil {
		return nil, err
	}
	var w conditions
	if f.Before != 0 {
		w.add("id < $?", f.Before)
	}
	if f.UserID != 0 {
		w.add("(user_id = $? OR actor_user_id = $?)", f.UserID)
	}
	if f.KeyID != 0 {
		w.add("key_id = $?", f.KeyID)
	}
	if f.Action != "" {
		w.add("action = $?", f.Action)
	}
	if !f.Since.IsZero() {
		w.add("at >= $?", micros(f.Since))
	}
	query := "SELECT id, " + auditColumns + " FROM userkeys_audit_events" + w.where() + " ORDER BY id DESC " +
		"LIMIT " + listLimit(f.Limit)
	return read(ctx, s, func(c conn) ([]site.AuditEvent, error) {
		return all(c, scanEvent, query, w.args...)
	})
}
