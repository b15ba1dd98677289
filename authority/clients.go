package authority

import (
	"context"
	"net/netip"
	"time"

	"userkeys"
	"userkeys/site"
)

// RegisteredClient finds a client that registered; [userkeys.NotFound] for any other.
func (a *Authority) RegisteredClient(ctx context.Context, clientID string) (site.Client, error) {
	c, err := a.store.Client(ctx, clientID)
	if err == nil && !c.Registered() {
		err = userkeys.Errorf(userkeys.NotFound, "there is no such client")
	}
	return c, err
}

// RegisterClient stores a client that an app registers by itself (W15). Call [Authority.ChargeRegistration] first.
func (a *Authority) RegisterClient(ctx context.Context, c site.Client, ip string) error {
	if err := a.Settings().CheckRegistration(c, a.Catalog()); err != nil {
		return err
	}
	c.CreatedAt = a.now().UTC()
	return a.store.CreateClient(ctx, c, site.Caller{As: site.CallerSystem, Address: ip})
}

// ChargeRegistration counts a registration from ip, whether or not it succeeds (W13.4). Addresses in the setting
// create_user_api_key_client_ip_rate_limit_override_ips are not counted.
func (a *Authority) ChargeRegistration(ctx context.Context, ip string) error {
	s := a.Settings()
	uncounted := s.CreateUserAPIKeyClientIPRateLimitOverrideIPs
	if addr, err := netip.ParseAddr(ip); err == nil && listed(uncounted, addr.Unmap()) {
		return nil
	}
	return a.charge(ctx, stored("client registration", s.UserAPIKeyClientsCreatePerDay, 24*time.Hour), site.Network(ip))
}

// listed reports whether a is one of the addresses or in one of the networks.
func listed(list []string, a netip.Addr) bool {
	for _, text := range list {
		if p, err := netip.ParsePrefix(text); err == nil && p.Contains(a) {
			return true
		}
		if one, err := netip.ParseAddr(text); err == nil && one.Unmap() == a {
			return true
		}
	}
	return false
}
