package outward

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"
)

// An issuer is a private authority.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "The test's authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().AddDate(-3, 0, 0), NotAfter: time.Now().AddDate(3, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	der, i.key = issue(t, i.cert, nil)
	var err error
	if i.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return i
}

// pool is a list of trusted authorities that holds this one only.
func (i *issuer) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(i.cert)
	return pool
}

// trusting makes c trust the authorities in pool, in place of the system's.
func trusting(c *http.Client, pool *x509.CertPool) *http.Client {
	c.Transport.(*transport).base.TLSClientConfig = &tls.Config{RootCAs: pool}
	return c
}

// issue makes a certificate; by nobody, it signs itself.
func issue(t *testing.T, cert *x509.Certificate, by *issuer) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := cert, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

func TestSS19_Certificates(t *testing.T) {
	t.Parallel()
	ca := newIssuer(t)
	trusted, other := ca.pool(), newIssuer(t).pool()
	for _, tt := range []struct {
		name    string
		change  func(*x509.Certificate)
		by      *issuer
		trust   *x509.CertPool
		server  func(*tls.Config)
		problem string
	}{
		{"of a private authority that is trusted", nil, ca, trusted, nil, ""},
		{"of a private authority that is not trusted", nil, ca, nil, nil, ProblemTLS},
		{"of another private authority than the trusted one", nil, ca, other, nil, ProblemTLS},
		{"signed by itself", nil, nil, nil, nil, ProblemTLS},
		{"signed by itself, and a private authority is trusted", nil, nil, trusted, nil, ProblemTLS},
		{"expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }, ca, trusted, nil, ProblemTLS},
		{"not valid yet", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, ca, trusted, nil, ProblemTLS},
		{"of another name", func(c *x509.Certificate) { c.DNSNames = []string{"other.test"} }, ca, trusted, nil, ProblemTLS},
		{"of no name", func(c *x509.Certificate) { c.DNSNames = nil }, ca, trusted, nil, ProblemTLS},
		{"of the address and not of the name", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, []net.IP{{127, 0, 0, 1}} }, ca, trusted, nil, ProblemTLS},
		{"for clients", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, ca, trusted, nil, ProblemTLS},
		{"an old version only", nil, ca, trusted, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, ProblemTLS},
		{"a server that asks for ours", nil, ca, trusted, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }, ProblemTLS},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"hub.test"}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0)}
			if tt.change != nil {
				tt.change(leaf)
			}
			der, key := issue(t, leaf, tt.by)
			reached := false
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
			s.Config.ErrorLog = log.New(io.Discard, "", 0) // it is the client that must tell
			s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
			if tt.server != nil {
				tt.server(s.TLS)
			}
			s.StartTLS()
			defer s.Close()
			at := "hub.test" + s.URL[strings.LastIndexByte(s.URL, ':'):]
			n := &nettest.Names{Zone: map[string]nettest.Record{"hub.test": {IPs: []string{"127.0.0.1"}}}}
			c := trusting(New(Config{Inward: func() []string { return []string{at} }, Resolver: n.Resolver()}), tt.trust)
			defer c.CloseIdleConnections()
			resp, err := post(t, c, "https://"+at)
			if err == nil {
				resp.Body.Close()
			}
			if Problem(err) != tt.problem || reached != (tt.problem == "") {
				t.Errorf("%q, reached %v: %s", Problem(err), reached, Detail(err))
			}
		})
	}
}

func TestTLSWithWhatSpeaksNone(t *testing.T) {
	t.Parallel()
	plain, c := server(t, func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }, Config{})
	if resp, err := post(t, c, strings.Replace(plain, "http:", "https:", 1)); Problem(err) != ProblemTLS {
		if err == nil {
			resp.Body.Close()
		}
		t.Errorf("plain HTTP: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "220 a mail server greets first\r\n")
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	c = New(Config{Inward: func() []string { return []string{l.Addr().String()} }})
	if resp, err := post(t, c, "https://"+l.Addr().String()); Problem(err) != ProblemTLS {
		if err == nil {
			resp.Body.Close()
		}
		t.Errorf("no TLS: %v", err)
	}
}

// TestHTTP2: a receiver that speaks it is spoken to so.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	c := New(Config{Inward: func() []string { return []string{s.Listener.Addr().String()} }})
	trusting(c, s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
	defer c.CloseIdleConnections()
	resp, err := post(t, c, s.URL)
	if err != nil {
		t.Fatal(Detail(err))
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "HTTP/2.0" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestOnlyHTTP1: a receiver that would speak HTTP/2 is spoken to in HTTP/1.1 where that is asked for.
func TestOnlyHTTP1(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	target := strings.TrimPrefix(s.URL, "https://")
	c := trusting(New(Config{OnlyHTTP1: true, Inward: func() []string { return []string{target} }}), pool)
	resp, err := c.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "HTTP/1.1" {
		t.Errorf("it was spoken to in %s", body)
	}
}
