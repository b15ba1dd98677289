package scenario_test

// HTTP itself: messages that are malformed, too large, too slow, or that two programs read differently. Group HT of
// docs/attacks.md.

import (
	"bytes"
	"compress/gzip"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// TestFraming tries the attacks HT: messages whose parts two programs could read differently.
func TestFraming(t *testing.T) {
	t.Parallel()
	behind(t, func(sc *scene, up *testkit.Upstream) {
		key := sc.keyLine(true)
		sc.row("HT1 Content-Length and Transfer-Encoding: what is inside is judged by itself", func(sc *scene) {
			inner := "GET /smuggled HTTP/1.1\r\nHost: x\r\nX-Userkeys-Username: root\r\n\r\n"
			answers := sc.RawAnswers("GET /x HTTP/1.1\r\nHost: x\r\n"+key+sprint("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 5+len(inner))+inner, 2)
			for _, g := range up.Take() {
				if g.Target == "/smuggled" && (g.Header.Get("X-Userkeys-Username") != "" || g.Header.Get("User-Api-Key") != "") {
					sc.t.Errorf("the second request got the first one's identity: %v", g.Header)
				}
			}
			if answers[0].StatusCode != 400 && answers[0].StatusCode != 200 || answers[0].StatusCode == 400 && answers[1].StatusCode != 0 {
				sc.t.Errorf("status %d, then %d", answers[0].StatusCode, answers[1].StatusCode)
			}
		})
		sc.row("HT1 the second request on a connection needs a key of its own", func(sc *scene) {
			first := "GET /session/current.json HTTP/1.1\r\nHost: x\r\n"
			answers := sc.RawAnswers(first+key+"\r\n"+first+"\r\n"+first+key+"\r\n", 3)
			for i, status := range []int{200, 404, 200} {
				if answers[i].StatusCode != status {
					sc.t.Errorf("answer %d: %d, want %d", i, answers[i].StatusCode, status)
				}
			}
		})
		for what, c := range map[string]struct {
			lines  string
			status int
		}{
			"HT3 xchunked":                 {"Transfer-Encoding: xchunked\r\n", 501},
			"HT3 chunked, identity":        {"Transfer-Encoding: chunked, identity\r\n", 501},
			"HT3 two lines":                {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501},
			"HT3 a vertical tab":           {"Transfer-Encoding: \x0bchunked\r\n", 400},
			"HT3 two lengths":              {"Content-Length: 1\r\nContent-Length: 2\r\n", 400},
			"HT3 a negative length":        {"Content-Length: -1\r\n", 400},
			"HT3 a length with a sign":     {"Content-Length: +1\r\n", 400},
			"HT5 a space before the colon": {"X-A : b\r\n", 400},
			"HT5 no colon":                 {"X-A\r\n", 400},
			"HT5 an empty name":            {": b\r\n", 400},
			"HT5 NUL in a value":           {"X-A: b\x00c\r\n", 400},
			"HT5 a bare CR in a value":     {"X-A: b\rX-Userkeys-Username: root\r\n", 400},
			"HT5 a name that is no token":  {"X\"A: b\r\n", 400},
			"HT6 33 KB of headers":         {"X-A: " + strings.Repeat("a", 33<<10) + "\r\n", 431},
			"HT6 1 MB of headers":          {"X-A: " + strings.Repeat("a", 1<<20) + "\r\n", 431},
			"HT6 101 headers":              {strings.Repeat("X-A: b\r\n", 101), 431},
			"HT6 20 000 headers":           {strings.Repeat("a:\r\n", 20000), 431},
			"HT6 GR19 3 001 cookies": {"Cookie: " + strings.Repeat("a=b; ",
				3001) + "c=d\r\nX-Pad: " + strings.Repeat("a", 18000) + "\r\n", 431},
			"RP23 two hosts":                    {"Host: y\r\n", 400},
			"HT5 a host that is none":           {"Host: a b\r\n", 400},
			"RQ8 a line of 64 KB (in a header)": {"Referer: http://x/" + strings.Repeat("a", 64<<10) + "\r\n", 431},
		} {
			for who, line := range map[string]string{"with a key": key, "without": ""} {
				for _, path := range []string{"/x", "/user-api-key/new"} {
					sc.row(what+" "+who+" at "+path, func(sc *scene) {
						for range 2 {
							a := sc.Raw("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + line + c.lines + "\r\n")
							if a.StatusCode != c.status || strings.Contains(a.Body, sc.victim.Key.Reveal()) {
								sc.t.Errorf("status %d, want %d: %.300s", a.StatusCode, c.status, a.Body)
							}
						}
						if got := up.Take(); len(got) > 0 {
							sc.t.Errorf("reached the upstream: %+v", got)
						}
					})
				}
			}
		}
		for size, status := range map[int]int{64 << 10: 431, 1 << 20: 431} {
			sc.row(sprint("RQ8 a query of %d bytes", size), func(sc *scene) {
				a := sc.Raw("GET /user-api-key/new?" + strings.Repeat("a", size) + " HTTP/1.1\r\nHost: x\r\n\r\n")
				if a.StatusCode != status && a.StatusCode != 414 {
					sc.t.Errorf("status %d", a.StatusCode)
				}
			})
		}
		for what, c := range map[string]struct {
			request string
			status  int
		}{
			"RP23 HTTP/1.0 without Host": {"GET /x HTTP/1.0\r\n" + key + "\r\n", 400},
			"RP23 HTTP/1.1 without Host": {"GET /x HTTP/1.1\r\n" + key + "\r\n", 400},
			"RP23 HTTP/1.2":              {"GET /x HTTP/1.2\r\nHost: x\r\n" + key + "\r\n", 505},
			"RP23 HTTP/0.9":              {"GET /x\r\n\r\n", 400},
			"RP23 PRI * HTTP/2.0":        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
			"RP23 HTTP/3.0":              {"GET /x HTTP/3.0\r\nHost: x\r\n\r\n", 505},
			"HT5 bare LF": {"GET /session/current.json HTTP/1.1\nHost: x\n" + strings.ReplaceAll(key, "\r",
				"") + "\n", 200},
		} {
			sc.row(what, func(sc *scene) {
				a := sc.Raw(c.request)
				if a.StatusCode != c.status && (c.status != 505 || a.StatusCode != 400) {
					sc.t.Errorf("status %d, want %d", a.StatusCode, c.status)
				}
				if got := up.Take(); len(got) > 0 {
					sc.t.Errorf("reached the upstream: %+v", got)
				}
			})
		}
		sc.row("HT13 a body in gzip", func(sc *scene) {
			_, form := sc.consent()
			var zipped bytes.Buffer
			z := gzip.NewWriter(&zipped)
			_, _ = z.Write([]byte(form.Encode())) // to memory
			_ = z.Close()
			before := sc.Keys()
			a := post(sc.alice, "/user-api-key", urlencoded, zipped.String(), "Content-Encoding", "gzip")
			if a.StatusCode != 415 {
				sc.t.Errorf("status %d, want 415: %.300s", a.StatusCode, a.Body)
			}
			sc.unchanged(before)
		})
		sc.row("HT7 a slow client is cut, and honest ones do not wait", slowClients)
	})
}

// slowClients opens connections that send their headers byte by byte.
func slowClients(sc *scene) {
	const many = 200
	address := strings.TrimPrefix(sc.URL, "http://")
	began := time.Now()
	closed := make(chan time.Duration, many)
	var wg, open sync.WaitGroup
	defer wg.Wait()
	for range many {
		open.Add(1)
		wg.Go(func() {
			conn, err := net.Dial("tcp", address)
			open.Done()
			if err != nil {
				sc.t.Error(err)
				closed <- 0
				return
			}
			defer conn.Close()
			go func() {
				for _, c := range []byte("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: aaaaaaaaaaaaaaaaaaaa") {
					if _, err := conn.Write([]byte{c}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			_ = conn.SetReadDeadline(began.Add(2 * nettest.Patience)) // else it would hang
			var b [512]byte
			for err == nil {
				_, err = conn.Read(b[:])
			}
			closed <- time.Since(began)
		})
	}
	open.Wait()
	start := time.Now()
	sc.victim.Call("GET", "/session/current.json").Must(sc.t, 200)
	if took := time.Since(start); took > nettest.Bound(time.Second) {
		sc.t.Errorf("an honest request took %v", took)
	}
	for range many {
		if after := <-closed; after > nettest.Bound(9*time.Second) {
			sc.t.Errorf("a slow connection was closed after %v", after)
			return
		}
	}
}
