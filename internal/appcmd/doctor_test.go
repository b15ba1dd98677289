package appcmd

import (
	"bytes"
	"strings"
	"testing"

	"userkeys/internal/doctor"
)

func TestDoctorMarks(t *testing.T) {
	t.Parallel()
	findings := []doctor.Finding{
		{Check: doctor.CheckAddress, State: doctor.OK, Says: "a"},
		{Check: doctor.CheckClock, State: doctor.Warning, Says: "b", Advice: "c"},
		{Check: doctor.CheckTLS, State: doctor.Problem, Says: "d"},
		{Check: doctor.CheckScope, State: doctor.Skipped, Says: "e"},
		{Check: doctor.CheckTrust, State: doctor.Skipped, Says: "e"},
	}
	tests := []struct {
		name  string
		color bool
		want  string
	}{
		{"plain", false, "ok address     a\n!  clock       b\n                -> c\nx  tls         d\n-  ...         scope, trust: e\n\nproblems: 1, warnings: 1 (requests sent: 3)\n"},
		{"colored", true, "\x1b[31mx \x1b[0m tls"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			d := &examining{out: &out, color: tt.color}
			if err := d.print(findings, 3); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("got %q, want %q in it", out.String(), tt.want)
			}
		})
	}
}
