package userkeys

import (
	"crypto/rsa"
	"time"
)

// STUB: being written.

type PublicKey struct{ rsa *rsa.PublicKey }

func ParsePublicKey(text string) (PublicKey, error) { panic("stub") }
func (k PublicKey) Bits() int                       { panic("stub") }

type Padding string

const (
	PaddingPKCS1 Padding = "pkcs1"
	PaddingOAEP  Padding = "oaep"
)

func ParsePadding(s string) (Padding, error) { panic("stub") }

type Payload struct {
	Key       Key
	Nonce     string
	Push      bool
	API       int
	ExpiresAt time.Time
}

func (p Payload) JSON() []byte                                                       { panic("stub") }
func (p Payload) Fits(k PublicKey, padding Padding) error                            { panic("stub") }
func (p Payload) Seal(k PublicKey, padding Padding) (string, error)                  { panic("stub") }
func OpenPayload(key *rsa.PrivateKey, padding Padding, text string) (Payload, error) { panic("stub") }
