package behind

import (
	"net/textproto"
	"slices"
	"strings"

	"userkeys/internal/doctor"
)

const identityPrefix = "X-Userkeys-"

// group is a kind of headers that a website behind a proxy may believe.
type group struct {
	name   string // of the check
	about  string // for people
	names  string
	value  func(mark, number string) string
	advice string
	state  doctor.State // of a header that came through
}

func plainValue(mark, number string) string { return "forged-" + mark + "-" + number }

func pathValue(mark, number string) string { return "/forged-" + mark + "-" + number }

// addressValue is an IPv6 address of the range for documentation.
func addressValue(mark, number string) string {
	return "2001:db8:" + mark[:4] + ":" + mark[4:] + "::" + number
}

// unknown is a header that userkeys does not send, with the prefix of those that it sends.
const unknown = "x-userkeys-other"

// groups are the headers that the proxy of userkeys takes from what a client sends, except those that concern the
// connection, the key or its carrier. A test of gateway/internal/headers compares the two.
var groups = []group{
	{
		"identity",
		"who calls", "x-userkeys-username x-userkeys-user-id x-userkeys-trust-level x-userkeys-admin " +
			"x-userkeys-moderator x-userkeys-groups x-userkeys-scopes x-userkeys-client-id x-userkeys-key-id " +
			"x-userkeys-external-id x-userkeys-login " + unknown + " user-api-key proxy " +
			"x-auth-user x-auth-username x-auth-userid x-auth-email x-auth-groups x-auth-roles " +
			"x-auth-request-user x-auth-request-email x-auth-request-access-token " +
			"x-forwarded-user x-forwarded-email x-forwarded-groups x-forwarded-preferred-username " +
			"x-forwarded-access-token x-remote-user x-remote-email x-remote-group x-remote-groups x-remote-name " +
			"remote-user remote-email remote-groups remote-name " +
			"x-webauth-user x-webauth-email x-webauth-groups x-webauth-name x-webauth-role " +
			"x-authenticated-user x-authenticated-userid x-authenticated-groups " +
			"x-amzn-oidc-identity cf-access-authenticated-user-email tailscale-user-login x-authentik-username " +
			"x-goog-authenticated-user-email x-goog-iap-jwt-assertion x-ms-client-principal-name " +
			"x-pomerium-jwt-assertion x-tailscale-user",
		plainValue, "if the website reads it, remove it in the outermost proxy from every request of a client, as " +
			"userkeys serve does; a configuration of userkeys recipe removes the usual spellings; " +
			"print it again if yours is older",
		doctor.Problem,
	},
	{
		"question",
		"what is asked for", "x-forwarded-uri x-forwarded-method x-original-uri x-original-method x-original-url " +
			"x-envoy-original-path x-rewrite-url x-forwarded-prefix",
		pathValue, "set it or remove it in the outermost proxy", doctor.Problem,
	},
	{
		"address",
		"from where", "forwarded via x-real-ip true-client-ip cf-connecting-ip cf-connecting-ipv6 " +
			"client-ip x-client-ip x-cluster-client-ip fastly-client-ip fly-client-ip x-nf-client-connection-ip " +
			"do-connecting-ip cf-pseudo-ipv4 x-remote-ip x-remote-addr remote-addr x-proxyuser-ip " +
			"x-originating-ip x-azure-clientip x-azure-socketip x-appengine-user-ip x-appengine-remote-addr " +
			"x-vercel-forwarded-for x-envoy-external-address x-forwarded x-original-forwarded-for x-host " +
			"x-original-host ssl-client-cert ssl-client-verify ssl-client-s-dn x-ssl-client-cert x-client-cert " +
			"x-client-dn x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port x-forwarded-server",
		addressValue, "if the website reads it, set it or remove it in the outermost proxy", doctor.Warning,
	},
}

// lists are headers to which every proxy adds at the end; what stands before is believed by nobody who counts from
// the end.
var lists = []string{"x-forwarded-for", "forwarded", "via"}

// spellings returns the ways in which some server or framework reads a name. The first is the usual one.
func spellings(name string) []string {
	usual := textproto.CanonicalMIMEHeaderKey(name)
	all := []string{usual}
	add := func(s string) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	add(strings.ReplaceAll(usual, "-", "_"))
	add(strings.ReplaceAll(usual, "-", "."))
	if i := strings.LastIndexByte(usual, '-'); i > 0 {
		add(usual[:i] + "_" + usual[i+1:])
	}
	add("HTTP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
	add("HTTP-" + usual)
	return all
}

// Names returns the headers that an examination forges, in small letters.
func Names() []string {
	var all []string
	for _, g := range groups {
		all = append(all, strings.Fields(g.names)...)
	}
	return all
}
