package gateway

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"userkeys/internal/testkit/nettest"
)

// TestBehindACache puts nginx, with a cache that goes by the address as caches do, before the proxy, and a website
// that lets everything be stored behind it.
func TestBehindACache(t *testing.T) {
	t.Parallel()
	const deadKey = "cccccccccccccccccccccccccccccccc"
	type ask struct{ key, want, cache string }
	tests := []struct {
		name   string
		vary   bool
		extra  string // what docs/operating.md says of nginx
		behind bool   // the cache is between the proxy and the website
		asks   []ask
	}{
		{"an answer to a key is given to nobody else", false, "", false, []ask{
			{aliceKey, "hello alice", "MISS"},
			{bobKey, "hello bob", "MISS"},
			{"", "hello stranger", "MISS"},
			{"", "hello stranger", "HIT"},
		}},
		{"a cache that lets keys through", false, passKeys, false, []ask{
			{"", "hello stranger", "MISS"},
			{"", "hello stranger", "HIT"},
			{aliceKey, "hello alice", "BYPASS"},
			{deadKey, "", "BYPASS"},
			{"", "hello stranger", "HIT"},
		}},
		{"a cache between us and the website", false, passIdentities, true, []ask{
			{aliceKey, "hello alice", "BYPASS"},
			{"", "hello stranger", "MISS"},
			{"", "hello stranger", "HIT"},
			{bobKey, "hello bob", "BYPASS"},
			{deadKey, "", ""},
			{"", "hello stranger", "HIT"},
		}},
		{"strangers' answers are stored for strangers", true, "", false, []ask{
			{"", "hello stranger", "MISS"},
			{"", "hello stranger", "HIT"},
			{aliceKey, "hello alice", "MISS"},
			{bobKey, "hello bob", "MISS"},
			{deadKey, "", "MISS"},
			{"", "hello stranger", "HIT"},
		}},
	}
	for _, tt := range tests {
		for _, offer := range []string{
			"Cache-Control: max-age=60", "Cache-Control: public, s-maxage=60", "X-Accel-Expires: 60",
			"Expires: Thu, 01 Jan 2099 00:00:00 GMT",
		} {
			t.Run(tt.name+", "+offer, func(t *testing.T) {
				t.Parallel()
				up := newUpstream(t, func(head string, c net.Conn) {
					name := headerLine(head, UsernameHeader)
					if name == "" {
						name = "stranger"
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+offer+"\r\nContent-Length: "+strconv.Itoa(6+len(name))+"\r\n\r\nhello "+name)
				})
				address := func(behind *url.URL) string {
					return listen(t, newProxy(t, ProxyConfig{Upstream: behind, VaryByKey: tt.vary}))
				}
				var cache string
				if tt.behind {
					cache = address(&url.URL{Scheme: "http", Host: nginxBefore(t, up.addr, tt.extra)})
				} else {
					cache = nginxBefore(t, address(up.url()), tt.extra)
				}
				for i, a := range tt.asks {
					var lines []string
					if a.key != "" {
						lines = append(lines, "User-Api-Key: "+a.key)
					}
					got := send(t, cache, get("/page", append(lines, "Connection: close")...))
					want := http.StatusOK
					if a.want == "" {
						want = http.StatusForbidden
					}
					if got.status != want || a.want != "" && got.body != a.want || got.header.Get("X-Cache") != a.cache {
						t.Errorf("request %d: %d %q %s, want %q %s", i, got.status, got.body, got.header.Get("X-Cache"), a.want, a.cache)
					}
				}
			})
		}
	}
}

// What docs/operating.md says to tell a cache before userkeys, and one between it and the website.
const (
	passKeys = "proxy_cache_bypass $http_user_api_key $arg_user_api_key;\n" +
		"proxy_no_cache     $http_user_api_key $arg_user_api_key;"
	passIdentities = "proxy_cache_bypass $http_x_userkeys_user_id;\n" +
		"proxy_no_cache     $http_x_userkeys_user_id;"
)

// nginxBefore starts nginx with a cache before addr.
func nginxBefore(t *testing.T, addr, extra string) string {
	t.Helper()
	listen := nettest.ReserveAddress(t)
	nettest.StartNginx(t, listen, strings.NewReplacer("ADDR", listen, "UPSTREAM", addr, "EXTRA", extra).Replace(`
proxy_cache_path DIR/cache keys_zone=pages:1m;
server {
    listen ADDR;
    location / {
        proxy_pass http://UPSTREAM;
        proxy_set_header Host $host;
        proxy_cache pages;
        EXTRA
        add_header X-Cache $upstream_cache_status always;
    }
}`))
	return listen
}
