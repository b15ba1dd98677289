package headers

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"userkeys/internal/doctor/behind"
)

// TestDoctorForgesWhatIsStripped: userkeys doctor --behind tries all that a client may never send, and nothing that it
// may.
func TestDoctorForgesWhatIsStripped(t *testing.T) {
	t.Parallel()
	forged := behind.Names()
	connection := strings.Fields("connection proxy-connection keep-alive proxy-authenticate proxy-authorization te trailer " +
		"transfer-encoding upgrade http2-settings")
	for name, f := range common {
		only := f == withoutKey || f == adminKey || f == asSpelled || f == mayHaveKey || slices.Contains(connection, name)
		if slices.Contains(forged, name) == only {
			t.Errorf("%s: forged is %v", name, only)
		}
	}
	for _, prefix := range append([]string{"x-userkeys-", "x-auth-request-", "x-forwarded-"}, edgePrefixes...) {
		if !slices.ContainsFunc(forged, func(n string) bool { return strings.HasPrefix(n, prefix) }) {
			t.Errorf("nothing that begins with %s is forged", prefix)
		}
	}
	for _, name := range forged {
		if out := (Strip{Table: NewTable(nil, nil)}).Passing(http.Header{http.CanonicalHeaderKey(name): {"x"}}, 0); len(out) > 0 {
			t.Errorf("%s passes, and the doctor says that this is a problem", name)
		}
	}
}
