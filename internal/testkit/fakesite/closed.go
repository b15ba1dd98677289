package fakesite

import (
	"context"

	"userkeys"
	"userkeys/authority"
	"userkeys/site"
)

// closedWays has no device authorization and no one-time password for anybody:
// what happens with them is seen on whole sites (package test).
type closedWays struct{}

var errClosed = userkeys.Errorf(userkeys.ConsentGone, "this is over")

func (closedWays) ChargeDeviceCreate(string) error { return nil }

func (closedWays) BeginDevice(context.Context, site.AuthorizationRequest, string) (site.DeviceGrant, error) {
	return site.DeviceGrant{}, errClosed
}

func (closedWays) PollDevice(context.Context, string, string) (site.DeviceGrant, error) {
	return site.DeviceGrant{}, nil
}

func (closedWays) PreviewDevice(context.Context, string, site.Caller) (authority.DeviceQuestion, error) {
	return authority.DeviceQuestion{}, errClosed
}

func (closedWays) ActivateDevice(context.Context, string, string, site.Caller) (authority.DeviceQuestion, error) {
	return authority.DeviceQuestion{}, errClosed
}

func (closedWays) DenyDevice(context.Context, string, site.Caller) error { return errClosed }

func (closedWays) OneTimePassword(context.Context, string, string) (site.OneTimePassword, error) {
	return site.OneTimePassword{}, errClosed
}

func (closedWays) UseOneTimePassword(context.Context, string, string) (site.OneTimePassword, error) {
	return site.OneTimePassword{}, errClosed
}

func (closedWays) RegisteredClient(context.Context, string) (site.Client, error) {
	return site.Client{}, userkeys.Errorf(userkeys.NotFound, "there is no such client")
}

func (closedWays) ChargeRegistration(context.Context, string) error { return nil }

func (closedWays) RegisterClient(context.Context, site.Client, string) error { return errClosed }

func (closedWays) Renew(context.Context, userkeys.Access, string, string) (authority.Renewed, error) {
	return authority.Renewed{}, errClosed
}

func (closedWays) EndedApps(context.Context, int64) ([]site.UserAPIKey, error) { return nil, nil }
