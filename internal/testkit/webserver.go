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

// webServers start each web server with a recipe, which they may change as people would: where it listens, its
// certificate, and what they add.
var webServers = map[string]func(t testing.TB, addr, recipe, dir string, args []string){
	"nginx": func(t testing.TB, addr, recipe, dir string, _ []string) {
		_, port, _ := net.SplitHostPort(addr)
		nettest.StartNginx(t, addr, strings.NewReplacer(
			"listen "+port, "listen "+addr,
			"/etc/letsencrypt/live/127.0.0.1/fullchain.pem", dir+"/cert.pem",
			"/etc/letsencrypt/live/127.0.0.1/privkey.pem", dir+"/cert.pem").Replace(recipe))
	},
	"haproxy": func(t testing.TB, addr, recipe, dir string, args []string) {
		_, port, _ := net.SplitHostPort(addr)
		writeFile(t, dir, "userkeys.lua", Run(t, "", append([]string{"recipe", "haproxy-lua"}, args...)...))
		file := writeFile(t, dir, "haproxy.cfg", strings.NewReplacer(
			"bind :"+port, "bind "+addr, "/etc/haproxy/userkeys.lua", dir+"/userkeys.lua",
			"/etc/haproxy/127.0.0.1.pem", dir+"/cert.pem").Replace(recipe))
		nettest.StartProgram(t, addr, nettest.FindProgram(t, "haproxy"), "-db", "-f", file)
	},
	"caddy": func(t testing.TB, addr, recipe, dir string, _ []string) {
		site, rest, _ := strings.Cut(recipe, " { # yours\n")
		added := "\tbind 127.0.0.1\n"
		if strings.Contains(site, "\nhttps://") {
			added += "\ttls " + dir + "/cert.pem " + dir + "/cert.pem\n"
		}
		file := writeFile(t, dir, "Caddyfile", "{\n\tadmin off\n\tauto_https off\n}\n"+site+" {\n"+added+rest)
		nettest.StartProgram(t, addr, "env", "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir,
			nettest.FindProgram(t, "caddy"), "run", "--adapter", "caddyfile", "--config", file)
	},
}

// StartWebServer starts a web server at a free port; see [StartWebServerAt]. scheme is http or https.
func StartWebServer(t testing.TB, name, scheme string, args []string) *WebServer {
	t.Helper()
	return StartWebServerAt(t, name, scheme+"://"+nettest.ReserveAddress(t), args)
}

// StartWebServerAt starts a web server at an address, by the recipe for this --url and the arguments in args. Each of
// the functions in change changes the recipe.
func StartWebServerAt(
	t testing.TB, name, address string, args []string, change ...func(recipe string) string,
) *WebServer {
	t.Helper()
	nettest.FindProgram(t, name)
	scheme, addr, _ := strings.Cut(address, "://")
	dir, w := t.TempDir(), &WebServer{Addr: addr, Site: At(t, address)}
	args = append([]string{"--url", address}, args...)
	recipe := Run(t, "", append([]string{"recipe", name}, args...)...)
	for _, c := range change {
		recipe = c(recipe)
	}
	if scheme == "https" {
		w.Trust = certificate(t, filepath.Join(dir, "cert.pem"))
	}
	webServers[name](t, addr, recipe, dir, args)
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
