package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	t.Parallel()
	const (
		pass   = `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n" + `{"Action":"pass","Package":"p","Elapsed":1.5}`
		skip   = `{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:12: there is no chromium here\n"}` + "\n" + `{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestB"}`
		fail   = `{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:3: wrong\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestC"}` + "\n" + `{"Action":"fail","Package":"p"}`
		order  = `{"Action":"output","Package":"p","Output":"-test.shuffle 1234\n"}`
		died   = `{"Action":"output","Package":"p","Test":"TestD","Output":"=== RUN   TestD\n"}` + "\n" + `{"Action":"output","Package":"p","Test":"TestD","Output":"panic: nil map\n"}` + "\n" + `{"Action":"fail","Package":"p"}`
		broken = `{"Action":"build-output","ImportPath":"p","Output":"p.go:1: syntax error\n"}` + "\n" + `{"Action":"build-fail","ImportPath":"p"}`
	)
	tests := []struct {
		name   string
		events string
		ci     bool
		ok     bool
		want   string
	}{
		{"all passed", pass, true, true, "1 tests passed, 0 failed, 0 skipped"},
		{"skipped on a bare machine", pass + "\n" + skip, false, true, "skipped p TestB: there is no chromium here"},
		{"skipped in CI", pass + "\n" + skip, true, false, "nothing may be skipped"},
		{"failed", fail, false, false, "c_test.go:3: wrong"},
		{"run twice", pass + "\n" + skip + "\n" + pass + "\n" + skip, false, true, "1 tests passed, 0 failed, 1 skipped\nskipped p TestB: there is no chromium here\n"},
		{"failed once in two runs", strings.Replace(fail, `{"A`, strings.ReplaceAll(pass, "TestA", "TestC")+"\n"+`{"A`, 1), false, false, "0 tests passed, 1 failed"},
		{"passed after it failed", fail + "\n" + strings.ReplaceAll(pass, "TestA", "TestC"), false, false, "0 tests passed, 1 failed"},
		{"failed in an order", order + "\n" + fail, false, false, "FAIL p 0.0s, to be repeated with -shuffle=1234\n"},
		{"passed in an order", order + "\n" + pass, true, true, "ok   p 1.5s\n"},
		{"died in the middle", died, false, false, "TestD did not end:\npanic: nil map\nFAIL p 0.0s\n\n0 tests passed, 1 failed"},
		{"does not build", broken, false, false, "syntax error"},
		{"nothing ran", "postgres did not start", false, false, "postgres did not start"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			ok := report(strings.NewReader(tt.events), &out, tt.ci)
			if ok != tt.ok || !strings.Contains(out.String(), tt.want) {
				t.Errorf("report = %v, want %v; it printed:\n%s", ok, tt.ok, out.String())
			}
		})
	}
}
