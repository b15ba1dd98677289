package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"
)

// WebServer is a real web server that runs by what `userkeys recipe` prints.
type WebServer struct {
	*Site                // as clients of the web server reach it
	Addr  string         // where it listens
	Trust *x509.CertPool // has its certificate, if it has one
}

// place is where a web server runs: where it listens, and a folder with its files and its certificate.
type place struct{ addr, port, dir string }

func (p place) nginx(t testing.TB, recipe string) {
	t.Helper()
	nettest.StartNginx(t, p.addr, strings.NewReplacer(
		"listen "+p.port, "listen "+p.addr,
		"/etc/letsencrypt/live/127.0.0.1/fullchain.pem", p.dir+"/cert.pem",
		"/etc/letsencrypt/live/127.0.0.1/privkey.pem", p.dir+"/cert.pem").Replace(recipe))
}

func (p place) haproxy(t testing.TB, recipe, lua string) {
	t.Helper()
	writeFile(t, p.dir, "userkeys.lua", lua)
	file := writeFile(t, p.dir, "haproxy.cfg", strings.NewReplacer(
		"bind :"+p.port, "bind "+p.addr, "/etc/haproxy/userkeys.lua", p.dir+"/userkeys.lua",
		"/etc/haproxy/127.0.0.1.pem", p.dir+"/cert.pem").Replace(recipe))
	nettest.StartProgram(t, p.addr, nettest.FindProgram(t, "haproxy"), "-db", "-f", file)
}

func (p place) caddy(t testing.TB, program, recipe string) {
	t.Helper()
	site, rest, _ := strings.Cut(recipe, " { # yours\n")
	added := "\tbind 127.0.0.1\n"
	if strings.Contains(site, "\nhttps://") {
		added += "\ttls " + p.dir + "/cert.pem " + p.dir + "/cert.pem\n"
	}
	file := writeFile(t, p.dir, "Caddyfile", "{\n\tadmin off\n\tauto_https off\n}\n"+site+" {\n"+added+rest)
	nettest.StartProgram(t, p.addr, "env", "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir,
		program, "run", "--adapter", "caddyfile", "--config", file)
}

// Recipe is how a [WebServer] is started.
type Recipe struct {
	Server string                     // nginx, haproxy or caddy; caddy@v2.11.9 is of the Go module proxy
	Scheme string                     // http or https
	Addr   string                     // where it listens; empty: at a free port
	Args   []string                   // of `userkeys recipe`, beside --url
	Change func(recipe string) string // changes the recipe; nil: nobody does
}

// Start starts the web server. It ends with the test.
func (r Recipe) Start(t testing.TB) *WebServer {
	t.Helper()
	server, version, _ := strings.Cut(r.Server, "@")
	program := ""
	if version != "" {
		program = nettest.BuildProgram(t, "github.com/caddyserver/caddy/v2/cmd/"+r.Server)
	} else {
		program = nettest.FindProgram(t, server)
	}
	if r.Addr == "" {
		r.Addr = nettest.ReserveAddress(t)
	}
	dir, w := t.TempDir(), &WebServer{Addr: r.Addr, Site: At(t, r.Scheme+"://"+r.Addr)}
	args := append([]string{"--url", w.URL}, r.Args...)
	text := Run(t, "", append([]string{"recipe", server}, args...)...)
	if r.Change != nil {
		text = r.Change(text)
	}
	if r.Scheme == "https" {
		w.Trust = certificate(t, filepath.Join(dir, "cert.pem"))
	}
	p := place{addr: r.Addr, dir: dir}
	_, p.port, _ = net.SplitHostPort(r.Addr)
	switch server {
	case "nginx":
		p.nginx(t, text)
	case "haproxy":
		p.haproxy(t, text, Run(t, "", append([]string{"recipe", "haproxy-lua"}, args...)...))
	case "caddy":
		p.caddy(t, program, text)
	}
	return w
}

func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// certificate writes a certificate of 127.0.0.1 and its key, and returns what trusts it.
func certificate(t testing.TB, file string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now().Add(-time.Hour)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: from.AddDate(0, 0, 7),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	writeFile(t, filepath.Dir(file), filepath.Base(file), string(both))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(both)
	return pool
}
