package userkeys

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// The headers of a signed push: those of Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md), in canonical spelling.
const (
	PushIDHeader        = "Webhook-Id"
	PushTimestampHeader = "Webhook-Timestamp"
	PushSignatureHeader = "Webhook-Signature"
)

// PushTolerance is how old a push may be, and how far ahead the site's clock: what
// is older may be a copy that somebody kept.
const PushTolerance = 5 * time.Minute

// MaxPushSignatures is how many keys one push can be signed for.
const MaxPushSignatures = 64

// Bounds of the headers, in bytes.
const (
	maxPushID        = 255
	maxPushSignature = 8 << 10 // MaxPushSignatures have 3071, which leaves room for versions to come
)

// Reasons of [VerifyPush]'s refusals, for programs.
const (
	ReasonNoSignature  = "no signature"  // unsigned, or signed in versions that are not known here
	ReasonBadSignature = "bad signature" // forged, changed on the way, or signed for another key
	ReasonTooOld       = "too old"       // genuine, but older than [PushTolerance]
	ReasonTooNew       = "too new"       // genuine, but from later than [PushTolerance] from now
)

const (
	pushSecretPrefix    = "whsec_"
	pushSignatureV1     = "v1,"
	pushSecretBytes     = 32
	minMachineSecret    = 32
	pushInfo            = "userkeys push v1"
	hiddenPushSecret    = "[push secret]"
	maxPushSecretText   = 1 << 10
	pushTimestampDigits = 12
)

// A PushSecret is what a site signs the pushes of one key with, and what the app
// checks them by: 32 bytes that only these two know. It does not print
// itself, and the zero PushSecret neither signs nor verifies.
type PushSecret struct{ key [pushSecretBytes]byte }

// NewPushSecret derives the secret of a key (its id and when it was made) from the machine's own
// secret of at least 32 bytes, so that nothing need be stored: HKDF-SHA256 without a salt, with the info
// "userkeys push v1|ID|MICROSECONDS" of Unix time. Another machine secret makes other secrets of all keys.
func NewPushSecret(machine []byte, keyID int64, createdAt time.Time) (PushSecret, error) {
	switch {
	case len(machine) < minMachineSecret:
		return PushSecret{}, Errorf(InvalidParameters, "the machine secret has %d bytes; it needs at least %d",
			len(machine), minMachineSecret)
	case keyID <= 0 || createdAt.IsZero():
		return PushSecret{}, Errorf(InvalidParameters,
			"a push secret is that of a stored key, with an id and the time that it was made")
	}
	key, err := hkdf.Key(sha256.New, machine, nil, fmt.Sprintf("%s|%d|%d", pushInfo, keyID, createdAt.UnixMicro()),
		pushSecretBytes)
	if err != nil {
		return PushSecret{}, &Error{Code: Internal, Public: "the push secret could not be made", Err: err}
	}
	return PushSecret{[pushSecretBytes]byte(key)}, nil
}

// ParsePushSecret reads what [PushSecret.Reveal] wrote, white space around it or not.
func ParsePushSecret(text string) (PushSecret, error) {
	bad := func(why string) (PushSecret, error) {
		return PushSecret{}, Errorf(InvalidParameters, "this is no push secret: %s", why)
	}
	text = strings.TrimSpace(text)
	encoded, ok := strings.CutPrefix(text, pushSecretPrefix)
	switch {
	case text == "":
		return bad("it is empty")
	case len(text) > maxPushSecretText:
		return bad("it is far too long")
	case !ok:
		return bad("it must begin with " + pushSecretPrefix)
	}
	key, err := decodeBase64(encoded)
	if err != nil {
		return bad("what follows " + pushSecretPrefix + " is not base64; was it cut off?")
	}
	if len(key) != pushSecretBytes {
		return bad(fmt.Sprintf("it has %d bytes, and a site's has %d; was it cut off?", len(key), pushSecretBytes))
	}
	s := PushSecret{[pushSecretBytes]byte(key)}
	if s.IsZero() {
		return bad("it is nothing but zeros")
	}
	return s, nil
}

// decodeBase64 reads base64 in its one spelling: Go's decoder alone would skip line ends.
func decodeBase64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}

// Reveal is the secret's text, "whsec_" and base64, as libraries of Standard Webhooks read it; for
// the one place that hands it out.
func (s PushSecret) Reveal() string {
	return pushSecretPrefix + base64.StdEncoding.EncodeToString(s.key[:])
}

// IsZero reports whether there is no secret.
func (s PushSecret) IsZero() bool { return s == PushSecret{} }

// Equal compares without telling by its time where two secrets differ.
func (s PushSecret) Equal(other PushSecret) bool {
	return subtle.ConstantTimeCompare(s.key[:], other.key[:]) == 1
}

// String hides the secret, so that no log shows it by accident.
func (PushSecret) String() string { return hiddenPushSecret }

// GoString hides the secret from %#v.
func (PushSecret) GoString() string { return hiddenPushSecret }

// Format hides the secret from every other verb.
func (PushSecret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hiddenPushSecret)) }

// LogValue hides the secret from slog.
func (PushSecret) LogValue() slog.Value { return slog.StringValue(hiddenPushSecret) }

// mac is HMAC-SHA256 of "ID.TIMESTAMP.BODY".
func (s PushSecret) mac(id, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, s.key[:])
	h.Write([]byte(id + "." + timestamp + "."))
	h.Write(body)
	return h.Sum(nil)
}

// PushHeaders are the values of the headers of a signed push.
type PushHeaders struct {
	ID        string // [PushIDHeader]: the same at every try to deliver it
	Timestamp string // [PushTimestampHeader]: Unix seconds of this try
	Signature string // [PushSignatureHeader]: one "v1,BASE64" for each secret, with spaces between
}

// SignPush signs a push for the keys that it goes to, at most [MaxPushSignatures]: the app of each verifies
// with its own secret. The id is 1 to 255 visible ASCII characters without a full stop.
func SignPush(id string, at time.Time, body []byte, secrets ...PushSecret) (PushHeaders, error) {
	seconds := at.Unix()
	h := PushHeaders{ID: id, Timestamp: strconv.FormatInt(seconds, 10)}
	switch {
	case !isPushID(id):
		return PushHeaders{}, Errorf(InvalidParameters,
			"the id of a push is 1 to %d visible ASCII characters without a full stop", maxPushID)
	case seconds < 0 || len(h.Timestamp) > pushTimestampDigits:
		return PushHeaders{}, Errorf(InvalidParameters, "a push is of a time after 1970")
	case len(secrets) == 0 || len(secrets) > MaxPushSignatures:
		return PushHeaders{}, Errorf(InvalidParameters, "a push is signed for 1 to %d keys, not for %d", MaxPushSignatures,
			len(secrets))
	}
	var out strings.Builder
	for i, s := range secrets {
		if s.IsZero() {
			return PushHeaders{}, errNoPushSecret()
		}
		if i > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(pushSignatureV1 + base64.StdEncoding.EncodeToString(s.mac(id, h.Timestamp, body)))
	}
	h.Signature = out.String()
	return h, nil
}

// isPushID: a full stop would let two ids and times sign as the same text.
func isPushID(id string) bool {
	if id == "" || len(id) > maxPushID {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] >= 0x7f || id[i] == '.' {
			return false
		}
	}
	return true
}

func errNoPushSecret() *Error {
	return Errorf(MissingParameter,
		"there is no push secret; a site gives it to the key's app at /user-api-key/push-secret.json")
}

// VerifyPush tells which of the secrets signed a push, by their places in secrets, which is one at least where
// there is no error. The body is that of the request, byte for byte. Whoever reads notifications of several
// keys out of one body may believe only those whose own secret is among the signers: one app's secret must not
// vouch for what is another's.
//
// Every secret is tried with every signature, whatever matched before, in constant time. That a push is not heard
// twice within [PushTolerance] is for the caller to see to, by the id.
func VerifyPush(h PushHeaders, body []byte, now time.Time, secrets ...PushSecret) ([]int, error) {
	sentAt, err := h.SentAt()
	if err != nil {
		return nil, err
	}
	given, err := h.signatures()
	if err != nil {
		return nil, err
	}
	var signers []int
	for i, s := range secrets {
		if s.IsZero() {
			return nil, errNoPushSecret()
		}
		want, same := s.mac(h.ID, h.Timestamp, body), 0
		for _, g := range given {
			same |= subtle.ConstantTimeCompare(want, g)
		}
		if same == 1 {
			signers = append(signers, i)
		}
	}
	switch age := now.Sub(sentAt); {
	case len(secrets) == 0:
		return nil, errNoPushSecret()
	case len(signers) == 0:
		return nil, pushError(InvalidAccess, ReasonBadSignature,
			"the push is not signed with the secret of this key: it is forged, was changed on the way, or is another key's")
	case age > PushTolerance:
		return nil, pushError(InvalidAccess, ReasonTooOld,
			"the push was sent %v ago: it is a copy that somebody kept, or a clock is wrong", age.Round(time.Second))
	case age < -PushTolerance:
		return nil, pushError(InvalidAccess, ReasonTooNew,
			"the push is from %v ahead: a clock is wrong", (-age).Round(time.Second))
	}
	return signers, nil
}

// SentAt reads the timestamp. Unless the signature was verified it is only what somebody claims.
func (h PushHeaders) SentAt() (time.Time, error) {
	if h.ID == "" && h.Timestamp == "" && h.Signature == "" {
		return time.Time{}, pushError(MissingParameter, ReasonNoSignature,
			"the push is not signed: it has no headers webhook-id, webhook-timestamp and webhook-signature")
	}
	if !isPushID(h.ID) {
		return time.Time{}, pushError(InvalidParameters, ReasonBadSignature,
			"webhook-id must be 1 to %d visible ASCII characters without a full stop", maxPushID)
	}
	if h.Timestamp == "" || len(h.Timestamp) > pushTimestampDigits || strings.Trim(h.Timestamp, "0123456789") != "" {
		return time.Time{}, pushError(InvalidParameters, ReasonBadSignature, "webhook-timestamp must be seconds since 1970")
	}
	seconds, err := strconv.ParseInt(h.Timestamp, 10, 64)
	if err != nil { // cannot happen: so few digits
		return time.Time{}, pushError(InvalidParameters, ReasonBadSignature, "webhook-timestamp must be seconds since 1970")
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// signatures are those of version 1. Others are skipped, so that a site may sign in a new way beside.
func (h PushHeaders) signatures() ([][]byte, error) {
	if len(h.Signature) > maxPushSignature {
		return nil, pushError(InvalidParameters, ReasonBadSignature,
			"webhook-signature is longer than %d bytes", maxPushSignature)
	}
	var out [][]byte
	for text := range strings.SplitSeq(h.Signature, " ") {
		encoded, ok := strings.CutPrefix(text, pushSignatureV1)
		if !ok {
			continue
		}
		if len(out) == MaxPushSignatures {
			return nil, pushError(InvalidParameters, ReasonBadSignature,
				"webhook-signature has more than %d signatures", MaxPushSignatures)
		}
		signature, err := decodeBase64(encoded)
		if err != nil || len(signature) != sha256.Size {
			return nil, pushError(InvalidParameters, ReasonBadSignature,
				"webhook-signature has a signature of version 1 that is not the base64 of %d bytes", sha256.Size)
		}
		out = append(out, signature)
	}
	if len(out) == 0 {
		return nil, pushError(MissingParameter, ReasonNoSignature,
			"webhook-signature has no signature of version 1, such as v1,BASE64")
	}
	return out, nil
}

func pushError(code Code, reason, format string, args ...any) *Error {
	err := Errorf(code, format, args...)
	err.Reason = reason
	return err
}
