package receiver

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	answers := func(f Faults, rolls ...float64) (out []int) {
		i := -1
		r := newRig(t, func(c *Config) {
			c.Faults, c.Roll = f, func() float64 { i++; return rolls[i%len(rolls)] }
		})
		for n := range 4 {
			w := r.push(fmt.Sprint("m", n), body)
			out = append(out, w.Code)
			if failed := w.Code != 200; failed != (r.last().Result == Failed) || failed && r.last().Why != "on purpose" {
				t.Errorf("%d is told as %+v", w.Code, r.last())
			}
		}
		return out
	}
	for _, c := range []struct {
		name  string
		f     Faults
		rolls []float64
		want  []int
	}{
		{"none", Faults{}, []float64{0}, []int{200, 200, 200, 200}},
		{"always", Faults{Status: 503}, []float64{0.9}, []int{503, 503, 503, 503}},
		{"the first two", Faults{Status: 500, First: 2}, []float64{0}, []int{500, 500, 200, 200}},
		{"a share", Faults{Status: 429, Rate: 0.5}, []float64{0.49, 0.5}, []int{429, 200, 429, 200}},
		{"the first, and a share of the others", Faults{Status: 410, First: 1, Rate: 0.5}, []float64{0.9, 0.1, 0.9, 0.1}, []int{410, 410, 200, 410}},
	} {
		if got := answers(c.f, c.rolls...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	r := newRig(t, func(c *Config) {
		c.Faults = Faults{Status: 308, Moved: "https://new.example/push", After: 1500 * time.Millisecond, First: 1}
	})
	if w := r.push("m1", body); w.Code != 308 || w.Header().Get("Location") != "https://new.example/push" || w.Header().Get("Retry-After") != "2" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := r.push("m1", body); w.Code != 200 || r.last().Result != Verified {
		t.Errorf("what failed on purpose is taken for a duplicate: %d %+v", w.Code, r.last())
	}
	if w := r.push("", body); w.Code != 401 {
		t.Errorf("a receiver that fails takes what is not signed: %d", w.Code)
	}
}

func TestFaultsCheck(t *testing.T) {
	t.Parallel()
	for says, f := range map[string]Faults{
		"from 300 to 599":        {Status: 204},
		"answers with no status": {Status: 503, Hang: true},
		"a share of them":        {Status: 503, Rate: 1.5},
		"is not negative":        {Status: 503, First: -1},
		"a time to wait":         {Delay: -1},
		"belong to a failure":    {After: time.Second},
		"not said how":           {Rate: 0.5},
	} {
		if err := f.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", f, err, says)
		}
	}
	for _, f := range []Faults{{}, {Hang: true, First: 3}, {Status: 599, Rate: 1, After: time.Hour}, {Delay: time.Hour}} {
		if err := f.Check(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
