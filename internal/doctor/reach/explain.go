package reach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"userkeys/internal/outward"
)

// maxNames is how many names of a certificate are shown.
const maxNames = 5

// WhyUnreached returns why there was no answer, and what would help. host is how to name the host; patience is how
// long the answer was waited for.
func (h Hop) WhyUnreached(host string, patience time.Duration) (string, string) {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(h.Err, &dns) && dns.IsNotFound:
		return "nobody knows the name " + h.URL.Hostname(), "check how it is spelled, and that this machine is online"
	case errors.As(h.Err, &dns):
		return "the name " + h.URL.Hostname() + " cannot be looked up now",
			"check that this machine is online; else try again later"
	case speaksNoTLS(h.Err):
		return host + " does not speak https; most likely it speaks plain http",
			"write http://" + h.Host() + " if the site is on this machine; a site elsewhere needs https, or keys can be read " +
				"on the way"
	case errors.Is(h.Err, context.DeadlineExceeded), errors.As(h.Err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("%s gave no answer within %v", host, patience),
			"check host and port; a firewall that drops what it does not like looks like this too"
	case errors.Is(h.Err, context.Canceled):
		return "interrupted", ""
	case errors.Is(h.Err, syscall.ECONNREFUSED):
		return "nothing listens at " + host + " (connection refused)", "check the port, and that the site is running"
	case errors.Is(h.Err, syscall.EHOSTUNREACH), errors.Is(h.Err, syscall.ENETUNREACH):
		return "there is no way from this machine to " + host,
			"check the network of this machine, and whether the site is on a private one"
	case errors.Is(h.Err, io.EOF), errors.Is(h.Err, io.ErrUnexpectedEOF), errors.Is(h.Err, syscall.ECONNRESET):
		return host + " closes the connection without an answer",
			"check the port: another program may listen there, or the site's proxy may be broken"
	}
	return host + " cannot be asked: " + outward.Innermost(h.Err), "check the address"
}

func speaksNoTLS(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record)
}

// FailedTLS reports whether a connection failed because of TLS: the certificate, or the versions that the two sides
// speak.
func FailedTLS(err error) bool {
	var untrusted *tls.CertificateVerificationError
	var alert tls.AlertError
	var refused *net.OpError
	return errors.As(err, &untrusted) || errors.As(err, &alert) ||
		errors.As(err, &refused) && (refused.Op == "remote error" || refused.Op == "local error") // tls marks its alerts so
}

// WhyUntrusted returns what is wrong with the certificate of a server, and what would help.
func (h Hop) WhyUntrusted(now time.Time) (string, string) {
	var bad *tls.CertificateVerificationError
	if !errors.As(h.Err, &bad) || len(bad.UnverifiedCertificates) == 0 {
		return h.Host() + " and this program agree on no secure connection: " + outward.Innermost(h.Err),
			"check the port; a server this old or strict needs its administrator: TLS 1.2 or later is spoken here"
	}
	cert := bad.UnverifiedCertificates[0]
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(bad.Err, &invalid) && invalid.Reason == x509.Expired && now.Before(cert.NotBefore):
		return "the certificate is good only from " + cert.NotBefore.UTC().Format(time.DateTime) + " UTC",
			"check the clock of this machine; if it is right, the site's administrator must look at the certificate"
	case errors.As(bad.Err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate expired at " + cert.NotAfter.UTC().Format(time.DateTime) + " UTC",
			"the site's administrator must renew it; check the clock of this machine too"
	case errors.As(bad.Err, &name):
		return fmt.Sprintf("the certificate is for %s, not for %s (good until %s UTC)", namesOf(cert), h.URL.Hostname(),
				cert.NotAfter.UTC().Format(time.DateTime)),
			"use one of those names if it is the site; else its administrator needs a certificate for " + h.URL.Hostname()
	case errors.As(bad.Err, &unknown):
		return "this machine does not trust who signed the certificate: " + cert.Issuer.String() + " (good until " +
				cert.NotAfter.UTC().Format(time.DateTime) + " UTC)",
			"the site must send its whole chain of certificates; that of a private authority must be installed on this " +
				"machine (SSL_CERT_FILE names a file of them)"
	}
	return "the certificate is not valid: " + outward.Innermost(bad.Err), "the site's administrator must look at it"
}

func namesOf(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "nobody"
	case len(names) > maxNames:
		names = append(names[:maxNames], "others")
	}
	return strings.Join(names, ", ")
}
