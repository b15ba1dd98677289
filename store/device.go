package store

import (
	"context"
	"encoding/json"
	"time"

	"userkeys"
	"userkeys/site"
)

const deviceColumns = "request, ip, state, user_id, session, payload, created_at, expires_at"

func scanDevice(r row) (site.DeviceGrant, error) {
	var d site.DeviceGrant
	var request, state string
	var created, expires int64
	if err := r.Scan(&request, &d.IP, &state, &d.UserID, &d.Session, &d.Payload, &created, &expires); err != nil {
		return d, err
	}
	d.State, d.CreatedAt, d.ExpiresAt = site.DeviceState(state), fromMicros(created), fromMicros(expires)
	return d, json.Unmarshal([]byte(request), &d.Request)
}

func deviceGone() error {
	return userkeys.Errorf(userkeys.ConsentGone, "this code is not known, was answered already, or has expired; "+
		"start again on the device")
}

// CreateDeviceGrant stores a device authorization under the hashes of its codes.
//
// Errors: [userkeys.Conflict] if one of the codes is taken: make new ones; [userkeys.RateLimited] if too many are
// open.
func (s *Store) CreateDeviceGrant(ctx context.Context, d site.DeviceGrant) error {
	r := d.Request
	if err := checkText(append([]string{
		d.IP, r.ApplicationName, r.ClientID, r.Nonce, r.PublicKey, r.PushURL, r.Padding, r.ExpiresInSeconds,
	}, r.Scopes...)...); err != nil {
		return err
	}
	if d.DeviceCode == "" || d.UserCode == "" || d.RequestToken == "" {
		return userkeys.Errorf(userkeys.InvalidParameters, "a device authorization without its codes")
	}
	request, err := json.Marshal(r)
	if err != nil {
		return fail(err)
	}
	return s.write(ctx, func(c conn) error {
		if err := roomForDevice(c, d.CreatedAt); err != nil {
			return err
		}
		n, err := c.exec(`INSERT INTO userkeys_device_grants (device_hash, user_code_hash, request_hash, request, ip,
			state, user_id, session, payload, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, 'pending', 0, '', '', $6, $7) ON CONFLICT DO NOTHING`,
			secretHash(d.DeviceCode), secretHash(d.UserCode), secretHash(d.RequestToken), string(request), d.IP,
			micros(d.CreatedAt), micros(d.ExpiresAt))
		if err == nil && n == 0 {
			return userkeys.Errorf(userkeys.Conflict, "this code is taken")
		}
		return err
	})
}

// maxOpenDevices bounds what strangers can have stored.
const maxOpenDevices = 20_000

// roomForDevice deletes some device authorizations that have expired, so that they do not pile up between two
// clean-ups, and checks that not too many are open.
func roomForDevice(c conn, now time.Time) error {
	if _, err := c.exec("DELETE FROM userkeys_device_grants WHERE device_hash IN (SELECT device_hash "+
		"FROM userkeys_device_grants WHERE expires_at <= $1 LIMIT 20)", micros(now)); err != nil {
		return err
	}
	_, err := one(c, scanInt, "SELECT created_at FROM userkeys_device_grants ORDER BY expires_at "+
		"LIMIT 1 OFFSET $1", maxOpenDevices)
	switch {
	case isNoRows(err):
		return nil
	case err != nil:
		return err
	}
	return &userkeys.Error{
		Code: userkeys.RateLimited, Public: "too many devices ask at once; try again in a few minutes",
		Reason: "limit: open device authorizations", RetryAfter: time.Minute,
	}
}

// openDevice is the condition of a device authorization that can be answered.
const openDevice = "state = 'pending' AND expires_at > "

// DeviceGrantByRequest finds an open device authorization by the token in its address, without binding it to a user.
//
// Errors: [userkeys.ConsentGone] if there is none.
func (s *Store) DeviceGrantByRequest(ctx context.Context, token string, now time.Time) (site.DeviceGrant, error) {
	return s.openDevice(ctx, "request_hash", token, now)
}

// DeviceGrantByApproval finds an open device authorization by the token of the page that asks about it.
//
// Errors: [userkeys.ConsentGone] if there is none.
func (s *Store) DeviceGrantByApproval(ctx context.Context, token string, now time.Time) (site.DeviceGrant, error) {
	return s.openDevice(ctx, "approval_hash", token, now)
}

func (s *Store) openDevice(ctx context.Context, column, secret string, now time.Time) (site.DeviceGrant, error) {
	return read(ctx, s, func(c conn) (site.DeviceGrant, error) {
		d, err := one(c, scanDevice, "SELECT "+deviceColumns+" FROM userkeys_device_grants WHERE "+column+" = $1 "+
			"AND "+openDevice+"$2", secretHash(secret), micros(now))
		if isNoRows(err) {
			err = deviceGone()
		}
		return d, err
	})
}

// BindDeviceGrant gives an open device authorization, found by its user code and, unless it is empty, by its request
// token, to the user who acts, in the session in which the user acts: from then on only they answer it, with the
// approval token.
//
// Errors: [userkeys.ConsentGone] for a code that no device has, or that another user has typed.
func (s *Store) BindDeviceGrant(ctx context.Context, t site.TypedCode, act site.Act) (site.DeviceGrant, error) {
	user, session := act.By.User.ID, act.By.Session.ID
	if err := checkIndexed(session); err != nil {
		return site.DeviceGrant{}, err
	}
	var d site.DeviceGrant
	err := s.write(ctx, func(c conn) error {
		query := `UPDATE userkeys_device_grants SET approval_hash = $1, user_id = $2, session = $3
			WHERE user_code_hash = $4 AND ` + openDevice + `$5 AND user_id IN (0, $2)`
		args := []any{secretHash(t.Approval), user, session, secretHash(t.UserCode), micros(act.At)}
		if t.RequestToken != "" {
			query += " AND request_hash = $6"
			args = append(args, secretHash(t.RequestToken))
		}
		var err error
		d, err = one(c, scanDevice, query+" RETURNING "+deviceColumns, args...)
		if isNoRows(err) {
			err = deviceGone()
		}
		return err
	})
	return d, err
}

// authorizeDevice answers a device authorization in the transaction of its grant.
func authorizeDevice(c conn, g site.Grant) error {
	d := g.Device
	if d == nil {
		return nil
	}
	n, err := c.exec(`UPDATE userkeys_device_grants SET state = 'authorized', payload = $1, expires_at = $2,
		approval_hash = NULL
		WHERE approval_hash = $3 AND user_id = $4 AND session = $5 AND `+openDevice+`$6`,
		d.Payload, micros(d.Until), secretHash(d.Approval), g.Key.UserID, d.Session, micros(g.Key.CreatedAt))
	if err == nil && n == 0 {
		return deviceGone()
	}
	return err
}

// DenyDeviceGrant answers with no the device authorization that was bound to the user who acts, in the same session.
//
// Errors: [userkeys.ConsentGone] if there is none that is open.
func (s *Store) DenyDeviceGrant(ctx context.Context, approval string, act site.Act) error {
	user := act.By.User.ID
	return s.write(ctx, func(c conn) error {
		d, err := one(c, scanDevice, `UPDATE userkeys_device_grants SET state = 'denied', approval_hash = NULL
			WHERE approval_hash = $1 AND user_id = $2 AND session = $3 AND `+openDevice+`$4 RETURNING `+deviceColumns,
			secretHash(approval), user, act.By.Session.ID, micros(act.At))
		if isNoRows(err) {
			return deviceGone()
		}
		if err != nil {
			return err
		}
		return audit(c, site.AuditEvent{
			At: act.At, Caller: act.By, Action: actionDeviceDenied, UserID: user, ClientID: d.Request.ClientID,
		})
	})
}

// PollDeviceGrant returns a device authorization by the code of its app. One that was answered is deleted by it:
// of many calls at once, one gets the payload.
//
// Errors: [userkeys.ConsentGone] for a code that no device has, that has expired, or whose answer was fetched.
func (s *Store) PollDeviceGrant(ctx context.Context, deviceCode string, now time.Time) (site.DeviceGrant, error) {
	h := secretHash(deviceCode)
	d, err := read(ctx, s, func(c conn) (site.DeviceGrant, error) {
		d, err := one(c, scanDevice, "SELECT "+deviceColumns+" FROM userkeys_device_grants WHERE device_hash = $1 "+
			"AND expires_at > $2", h, micros(now))
		if isNoRows(err) {
			err = deviceGone()
		}
		return d, err
	})
	if err != nil || d.State == site.DevicePending {
		return d, err
	}
	err = s.write(ctx, func(c conn) error {
		var err error
		d, err = one(c, scanDevice, "DELETE FROM userkeys_device_grants WHERE device_hash = $1 AND expires_at > $2 "+
			"AND state <> 'pending' RETURNING "+deviceColumns, h, micros(now))
		if isNoRows(err) {
			err = deviceGone()
		}
		return err
	})
	return d, err
}
