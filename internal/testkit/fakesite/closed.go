package fakesite

import (
	"context"

	"userkeys"
	"userkeys/authority"
	"userkeys/site"
)

// closed has no device authorization and no one-time password for anybody:
// what happens with them is seen on whole sites (package test).
type closed struct{}

var errClosed = userkeys.Errorf(userkeys.ConsentGone, "this is over")

func (closed) ChargeDeviceCreate(string) error { return nil }

func (closed) BeginDevice(context.Context, site.AuthorizationRequest, string) (site.DeviceGrant, error) {
	return site.DeviceGrant{}, errClosed
}

func (closed) PollDevice(context.Context, string, string) (site.DeviceGrant, error) {
	return site.DeviceGrant{}, nil
}

func (closed) PreviewDevice(context.Context, string, site.Caller) (authority.DeviceQuestion, error) {
	return authority.DeviceQuestion{}, errClosed
}

func (closed) ActivateDevice(context.Context, string, string, site.Caller) (authority.DeviceQuestion, error) {
	return authority.DeviceQuestion{}, errClosed
}

func (closed) DenyDevice(context.Context, string, site.Caller) error { return errClosed }

func (closed) OneTimePassword(context.Context, string, string) (site.OneTimePassword, error) {
	return site.OneTimePassword{}, errClosed
}

func (closed) UseOneTimePassword(context.Context, string, string) (site.OneTimePassword, error) {
	return site.OneTimePassword{}, errClosed
}

func (closed) RegisteredClient(context.Context, string) (site.Client, error) {
	return site.Client{}, userkeys.Errorf(userkeys.NotFound, "there is no such client")
}

func (closed) ChargeRegistration(context.Context, string) error { return nil }

func (closed) RegisterClient(context.Context, site.Client, string) error { return errClosed }

func (closed) Renew(context.Context, userkeys.Access, string, string) (authority.Renewed, error) {
	return authority.Renewed{}, errClosed
}

func (closed) EndedApps(context.Context, int64) ([]site.UserAPIKey, error) { return nil, nil }
