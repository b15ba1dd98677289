package recipe

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// values are what templates print of a [Config].
type values struct{ Config }

// Down is what clients get while userkeys does not answer: in the form of the other refusals, and with a type that
// tells apps to try again.
func (values) Down() string {
	return `{"errors":["the site cannot check keys right now"],"error_type":"read_only"}`
}

// TLS reports whether browsers reach the website by https.
func (v values) TLS() bool { return v.URL.Scheme == "https" }

// Host is the name of the website.
func (v values) Host() string { return v.URL.Hostname() }

// Origin is the address of the website.
func (v values) Origin() string { return v.URL.String() }

// Site is the address of the website for Caddy, which gets certificates for names without a scheme.
func (v values) Site() string { return (&url.URL{Scheme: v.URL.Scheme, Host: v.URL.Host}).String() }

// Authority is the name of the website, with the port if it is in its address.
func (v values) Authority() string { return v.URL.Host }

// Port is the port at which the web server listens.
func (v values) Port() string {
	if p := v.URL.Port(); p != "" {
		return p
	}
	if v.TLS() {
		return "443"
	}
	return "80"
}

// AskPath is the path of questions in a dialect. Where another program decides about requests without a key,
// userkeys refuses them: a request that the web server takes for one with a key is never let through as a stranger's.
func (v values) AskPath(dialect string) string {
	if v.Strict || v.Beside.Name != "" {
		return "/require/" + dialect
	}
	return "/" + dialect
}

// Headers are all headers that say who calls.
func (v values) Headers() []string {
	all := slices.Clone(v.Identity)
	for _, h := range v.Beside.Headers {
		if !slices.Contains(all, h) {
			all = append(all, h)
		}
	}
	return all
}

// Foreign are those of [values.Headers] whose names do not begin as those of userkeys do.
func (v values) Foreign() []string {
	return slices.DeleteFunc(v.Headers(), func(h string) bool { return strings.HasPrefix(h, "X-Userkeys-") })
}

// ForgedNames are those of [Config.Forged] that are whole names, without those that are set afterwards.
func (v values) ForgedNames(set []string) []string {
	return slices.DeleteFunc(slices.Clone(v.Forged), func(h string) bool {
		return strings.HasSuffix(h, "-") || slices.Contains(set, h)
	})
}

// ForgedParts are parts of names in small letters: no header of a client whose name has one of them passes.
func (v values) ForgedParts() []string {
	var all []string
	for _, h := range append(slices.Clone(v.Forged), v.Foreign()...) {
		all = append(all, strings.ToLower(h))
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(slices.Clone(all), func(h string) bool {
		return slices.ContainsFunc(all, func(part string) bool { return part != h && strings.Contains(h, part) })
	})
}

// ConnectionNames are expressions of the headers that say who calls, in any spelling.
func (v values) ConnectionNames() []string {
	names := []string{"userkeys"}
	for _, h := range v.Foreign() {
		names = append(names, strings.ReplaceAll(strings.ToLower(h), "-", "."))
	}
	return names
}

// HeaderPatterns are expressions of the headers of userkeys in any spelling.
func (v values) HeaderPatterns() []string {
	patterns := []string{"x[-_.]userkeys[-_.].*"}
	for _, h := range v.Identity {
		if !strings.HasPrefix(h, "X-Userkeys-") {
			patterns = append(patterns, strings.ReplaceAll(strings.ToLower(h), "-", "[-_.]"))
		}
	}
	return patterns
}

// QuestionHeaders are the headers of a request that userkeys reads, beside its method and target.
func (v values) QuestionHeaders() []string {
	return []string{
		"user-api-key", "user-api-client-id", "authorization", "discourse-present", "sec-fetch-site", "origin", "accept",
		"user-agent", "x-forwarded-for",
	}
}

// OwnPatterns are expressions of [Config.Own] that are matched against a path with a query.
func (v values) OwnPatterns() []string { return patterns(v.Own, `([?]|$)`) }

// FallbackPatterns are expressions of [Config.Fallback] that are matched against a path with a query.
func (v values) FallbackPatterns() []string { return patterns(v.Fallback, `([?]|$)`) }

// OwnPathPatterns are expressions of [Config.Own] that are matched against a path.
func (v values) OwnPathPatterns() []string { return patterns(v.Own, "$") }

// FallbackPathPatterns are expressions of [Config.Fallback] that are matched against a path.
func (v values) FallbackPathPatterns() []string { return patterns(v.Fallback, "") }

func patterns(paths []string, end string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = pattern(p)
		if isExact(p) {
			out[i] += end
		}
	}
	return out
}

// isExact reports whether a path of [Config.Own] stands for itself only.
func isExact(path string) bool { return !strings.HasSuffix(path, "/") && !strings.HasSuffix(path, "*") }

// plain is a path of [Config.Own], or what the paths that it stands for begin with.
func plain(path string) string { return strings.TrimSuffix(path, "*") }

// pattern is an expression of what a path begins with. A dot is in brackets, which YAML leaves alone too.
func pattern(path string) string {
	return strings.ReplaceAll(regexp.QuoteMeta(plain(path)), `\.`, "[.]")
}

func snake(header string) string { return strings.ReplaceAll(strings.ToLower(header), "-", "_") }

var functions = template.FuncMap{
	"join": strings.Join, "lower": strings.ToLower,
	"isExact": isExact, "plain": plain, "pattern": pattern,
	"snake": snake, "variable": func(header string) string { return "id_" + snake(header) },
	"nginxServer": Address.nginx, "caddyAddress": Address.caddy,
	"haproxyServer": Address.haproxy, "haproxyDst": Address.haproxyDst,
	"httpHost": Address.httpHost, "httpAddress": Address.http, "envoyAddress": Address.envoy, "port": Address.port,
}
