package behind

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"userkeys"
	"userkeys/internal/doctor"
)

// Config says what to examine.
type Config struct {
	Site  string       // an address that reaches the echo through all proxies
	Key   userkeys.Key // a user API key of the site, or none
	Asked func()       // called for every request
}

const (
	markLength  = 8
	batch       = 40       // headers in one request: servers take some 100
	mostTries   = 60       // requests to find out which header of a batch is refused
	mostAnswer  = 64 << 10 // bytes
	patience    = 10 * time.Second
	echoCheck   = doctor.Check("echo")
	connections = doctor.Check("connection")
)

// forgery is one header line.
type forgery struct {
	group, name, spelled, value string
}

// examination is one run of [Examine].
type examination struct {
	cfg      Config
	http     *http.Client
	mark     string
	tries    int
	came     map[string][]string // spellings that came through, by name
	findings []doctor.Finding
}

// errRefused is the answer of a proxy that refuses a request as a whole.
var errRefused = errors.New("refused")

// Examine sends forged headers through the public address of a site and returns which of them reach its echo: a
// problem for each header that tells who calls or what is asked for, a warning for one that tells from where.
func Examine(ctx context.Context, cfg Config) []doctor.Finding {
	e := &examination{cfg: cfg, mark: newMark()}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Protocols = new(http.Protocols) // HTTP/2 has small letters only
	t.Protocols.SetHTTP1(true)
	t.ForceAttemptHTTP2, t.DisableCompression = false, true
	e.http = &http.Client{
		Transport: t, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if e.reach(ctx) {
		for _, g := range groups {
			e.forge(ctx, g)
		}
		e.connection(ctx)
	}
	return e.findings
}

// NoEcho reports whether findings of [Examine] say that no echo answered.
func NoEcho(findings []doctor.Finding) bool {
	return slices.ContainsFunc(findings, func(f doctor.Finding) bool {
		return f.Check == echoCheck && f.State == doctor.Problem
	})
}

// newMark returns hexadecimal digits of which no group of four begins with a zero, so that they keep their form in an
// IPv6 address.
func newMark() string {
	var b [markLength / 2]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[0], b[2] = b[0]|0x80, b[2]|0x80
	return hex.EncodeToString(b[:])
}

func (e *examination) find(c doctor.Check, s doctor.State, says, advice string) {
	e.findings = append(e.findings, doctor.Finding{Check: c, State: s, Says: userkeys.Printable(says), Advice: advice})
}

// reach looks whether the echo answers, and whether a harmless header reaches it.
func (e *examination) reach(ctx context.Context) bool {
	got, err := e.send(ctx, []forgery{{spelled: "X-Doctor-Control", value: plainValue(e.mark, "0")}})
	switch {
	case err != nil:
		e.find(echoCheck, doctor.Problem, err.Error(), "start it in place of the website with userkeys doctor --echo "+
			"ADDRESS, and name an address that the proxies pass to it")
	case len(got.Marked) == 0:
		e.find(echoCheck, doctor.Warning, "it answers, but not even a harmless header reaches it: the proxies pass "+
			"known headers only", "")
	default:
		e.find(echoCheck, doctor.OK, "it answers, and a harmless header reaches it", "")
	}
	return err == nil
}

// forge sends the headers of a group, each in all spellings.
func (e *examination) forge(ctx context.Context, g group) {
	var all []forgery
	bySpelling := map[int][]forgery{} // a server may refuse every request with some spelling
	for _, header := range strings.Fields(g.names) {
		for i, spelled := range spellings(header) {
			if spelled == "User-Api-Key" {
				continue // a key that is none is refused
			}
			f := forgery{g.name, header, spelled, g.value(e.mark, fmt.Sprint(len(all)+1))}
			all = append(all, f)
			bySpelling[i] = append(bySpelling[i], f)
		}
	}
	e.came = map[string][]string{}
	found, refused := len(e.findings), 0
	for i := range len(bySpelling) {
		for part := range slices.Chunk(bySpelling[i], batch) {
			refused += e.try(ctx, part)
		}
	}
	e.tell(g)
	if len(e.findings) > found {
		return
	}
	says := fmt.Sprintf("%s: none of %d headers came through", g.about, len(all))
	if refused > 0 {
		says += fmt.Sprintf("; %d of them are refused", refused)
	}
	e.find(doctor.Check(g.name), doctor.OK, says, "")
}

// tell reports which headers of a group came through: problems one by one, and warnings in one line.
func (e *examination) tell(g group) {
	advice, warnings := g.advice, []string{}
	for header := range strings.FieldsSeq(g.names) {
		as := e.came[header]
		switch {
		case len(as) == 0:
		case header == unknown:
			e.find(doctor.Check(g.name), doctor.Warning, "came through: "+strings.Join(as, ", "), "userkeys sends no such "+
				"header: let the website read only those of which the documentation tells")
		case g.state == doctor.Warning:
			warnings = append(warnings, as[0])
		default:
			e.find(doctor.Check(g.name), g.state, "came through: "+strings.Join(as, ", "), advice)
			advice = "" // once
		}
	}
	if n := len(warnings); n > 0 {
		e.find(doctor.Check(g.name), g.state, fmt.Sprintf("%d came through: %s", n, strings.Join(warnings, ", ")), advice)
	}
}

// try sends headers in one request, or in smaller ones if it is refused, and returns how many are refused.
func (e *examination) try(ctx context.Context, part []forgery) int {
	got, err := e.send(ctx, part)
	if errors.Is(err, errRefused) {
		e.tries++
	}
	switch {
	case errors.Is(err, errRefused) && len(part) == 1:
		return 1
	case errors.Is(err, errRefused) && e.tries < mostTries:
		if len(part) > 3 && e.alone(ctx, part[0]) && e.alone(ctx, part[len(part)/2]) && e.alone(ctx, part[len(part)-1]) {
			return len(part) // the spelling is
		}
		half := len(part) / 2
		return e.try(ctx, part[:half]) + e.try(ctx, part[half:])
	case err != nil:
		e.find(doctor.Check(part[0].group), doctor.Warning, fmt.Sprintf("%d headers such as %s were not tried: %s",
			len(part), part[0].spelled, err), "run this again, or name an address where nothing else limits requests")
		return 0
	}
	for _, f := range part {
		if as := f.cameAs(got); as != "" {
			says := f.spelled
			if !strings.EqualFold(as, f.spelled) {
				says += " (as " + as + ")"
			}
			e.came[f.name] = append(e.came[f.name], says)
		}
	}
	return 0
}

// alone reports whether a header is refused even alone.
func (e *examination) alone(ctx context.Context, f forgery) bool {
	_, err := e.send(ctx, []forgery{f})
	e.tries++
	return errors.Is(err, errRefused)
}

// cameAs returns the name under which a forged header reached the echo; empty if it did not.
func (f forgery) cameAs(got received) string {
	for name, values := range got.Marked {
		for _, value := range values {
			if slices.Contains(lists, f.name) && strings.EqualFold(name, f.spelled) {
				value = value[strings.LastIndexByte(value, ',')+1:]
			}
			if slices.Contains(strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }), f.value) {
				return name
			}
		}
	}
	return ""
}

// connection names identity headers in Connection, which tells some proxies to remove them.
func (e *examination) connection(ctx context.Context) {
	const advice = "remove the header Connection of clients, or refuse it if it names X-Userkeys-: a website takes a " +
		"user for another, or for nobody, if a part of who calls is missing"
	line := forgery{spelled: "Connection", value: "X-Userkeys-Username, " + plainValue(e.mark, "1")}
	got, err := e.send(ctx, []forgery{line})
	switch {
	case errors.Is(err, errRefused):
		e.find(connections, doctor.OK, "a request whose Connection names X-Userkeys-Username is refused", "")
	case err != nil:
		e.find(connections, doctor.Warning, err.Error(), "run this again")
	case len(got.Marked) > 0:
		e.find(connections, doctor.Problem, "Connection came through with what the client named in it", advice)
	default:
		e.find(connections, doctor.OK, "what a client names in Connection does not come through", "")
	}
	if e.cfg.Key == "" {
		e.find(connections, doctor.Skipped, "not known: whether a client can remove who calls, because there is no key "+
			"of the site", "get one with userkeys login")
		return
	}
	key := forgery{spelled: "User-Api-Key", value: e.cfg.Key.Reveal()}
	whole, err := e.send(ctx, []forgery{key})
	if errors.Is(err, errRefused) {
		e.find(connections, doctor.Warning, "not known: whether a client can remove who calls, because the stored key is "+
			"refused", "it may be revoked or expired: userkeys login gets another")
		return
	}
	if err != nil || len(whole.Identity) == 0 {
		e.find(connections, doctor.Warning, "with the stored key, no header of userkeys reaches the echo", "")
		return
	}
	line.value = strings.Join(whole.Identity, ", ")
	part, err := e.send(ctx, []forgery{key, line})
	lost := slices.DeleteFunc(whole.Identity, func(n string) bool { return slices.Contains(part.Identity, n) })
	switch {
	case errors.Is(err, errRefused) || err == nil && len(lost) == 0:
		e.find(connections, doctor.OK, "a client cannot remove who calls by naming it in Connection", "")
	case err != nil:
		e.find(connections, doctor.Warning, err.Error(), "run this again")
	default:
		e.find(connections, doctor.Problem, "by naming them in Connection a client removes "+strings.Join(lost, ", "), advice)
	}
}

// send makes a request with headers and returns what reached the echo.
func (e *examination) send(ctx context.Context, lines []forgery) (received, error) {
	var got received
	u, err := url.Parse(e.cfg.Site)
	if err != nil {
		return got, errors.New("the address of the site cannot be read")
	}
	u.RawQuery = url.Values{markParameter: {e.mark}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return got, errors.New("the address of the site cannot be read")
	}
	for _, f := range lines {
		r.Header[f.spelled] = []string{f.value}
	}
	if e.cfg.Asked != nil {
		e.cfg.Asked()
	}
	resp, err := e.http.Do(r)
	if err != nil {
		return got, fmt.Errorf("%s does not answer: %w", u.Host, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	switch {
	case err == nil && resp.StatusCode == http.StatusOK && json.Unmarshal(body, &got) == nil && got.Echo == e.mark:
		return got, nil
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return got, fmt.Errorf("the site answered with %d", resp.StatusCode)
	case resp.StatusCode >= 400:
		return got, fmt.Errorf("the site answered with %d: %w", resp.StatusCode, errRefused)
	}
	return got, fmt.Errorf("the answer (%d) is not of the echo", resp.StatusCode)
}
