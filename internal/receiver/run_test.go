package receiver

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// running is a receiver behind a real socket.
func (r *rig) running(secure *tls.Config) (address string, stop func() error) {
	r.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, ln, secure) }()
	r.t.Cleanup(cancel)
	return ln.Addr().String(), func() error { cancel(); return <-ended }
}

// What hangs never answers, not even at the end, which comes at once; what is slow answers late.
func TestHangAndDelay(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Faults = Faults{Hang: true, First: 1, Delay: 50 * time.Millisecond} })
	address, stop := r.running(nil)
	send := func(id string) (int, error) {
		req := signed(t, id, body)
		out, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+address+"/push", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		out.Header = req.Header
		resp, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		return resp.StatusCode, nil
	}
	hung := make(chan error, 1)
	go func() {
		_, err := send("m1")
		hung <- err
	}()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		n := len(r.told)
		r.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing came")
		}
	}
	if e := r.last(); e.Result != Failed || e.Status != 0 {
		t.Errorf("told %+v", e)
	}
	began := time.Now()
	if status, err := send("m2"); status != 200 || err != nil || time.Since(began) < 50*time.Millisecond {
		t.Errorf("the second: %d, %v", status, err)
	}
	select {
	case err := <-hung:
		t.Fatalf("it answered: %v", err)
	default:
	}
	if err := stop(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if err := <-hung; err == nil {
		t.Error("what hangs was answered at the end")
	}
}

// TestRunIsBounded tests F33: a client that sends its headers too slowly, or too many, is cut off.
func TestRunIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	address, stop := r.running(nil)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, "POST /push HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10)) // it may be cut off while this is sent
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.Contains(line, "431") {
		t.Errorf("answered %q", line)
	}
	slow, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	_, _ = io.WriteString(slow, "POST /push HTTP/1.1\r\nHost:")
	if err := slow.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(slow); err != nil {
		t.Errorf("slow headers are waited for: %v", err)
	}
	if len(r.told) != 0 {
		t.Errorf("told %+v", r.told)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestRunByTLS(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	address, stop := r.running(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	req := signed(t, "m1", body)
	out, err := http.NewRequestWithContext(t.Context(), "POST", "https://"+address+"/push", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	out.Header = req.Header
	resp, err := transport.RoundTrip(out)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Proto != "HTTP/2.0" || r.last().Result != Verified {
		t.Errorf("%s %s, %+v", resp.Proto, resp.Status, r.last())
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
