package page

import (
	"strings"
	"testing"
	"time"

	"userkeys"
)

func TestStyleLoadsNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"style.css", "page.js"} {
		content, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, no := range []string{"http:", "https:", "url(", "@import", "innerHTML", "eval("} {
			if strings.Contains(string(content), no) {
				t.Errorf("%s has %s", name, no)
			}
		}
	}
}

func TestShownName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "Notifier", "Notifier"},
		{"fillers only", "\u3164\u115f\u2800", "an app without a name"},
		{"variation selectors", "A\ufe0e\ufe0f\U000e0100B", "AB"},
		{"tags", "A\U000e0041\U000e007fB", "AB"},
		{"private use", "A\ue000B", "AB"},
		{"no UTF-8", "A\xffB", "AB"},
		{"line ends", "A\r\nB\u2028C", "ABC"},
		{"composed", "e\u0301", "\u00e9"},
		{"200 emoji stay", strings.Repeat("\U0001f511", 200), strings.Repeat("\U0001f511", 200)},
		{"201 are cut", strings.Repeat("x", 201), strings.Repeat("x", 200) + "..."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := ShownName(tt.in); got != tt.want {
				t.Errorf("%q is shown as %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func FuzzShownName(f *testing.F) {
	f.Add("Not\u202eeifier")
	f.Add("a\u0301\u0335\u0335\u0335")
	f.Add("\u200d\U0001f468\u200d\U0001f469")
	f.Fuzz(func(t *testing.T, in string) {
		got := ShownName(in)
		if got == "" || strings.ContainsAny(got, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff\x00\n\r\u2028\u2029") {
			t.Errorf("%q is shown as %q", in, got)
		}
		if again := ShownName(got); again != got && !strings.HasSuffix(got, "...") {
			t.Errorf("%q changes when shown again: %q", got, again)
		}
	})
}

func TestRelative(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ago  time.Duration
		want string
	}{
		{0, "just now"},
		{59 * time.Second, "just now"},
		{time.Minute, "1 minute ago"},
		{59 * time.Minute, "59 minutes ago"},
		{time.Hour, "1 hour ago"},
		{47 * time.Hour, "1 day ago"},
		{59 * Day, "59 days ago"},
		{60 * Day, "2 months ago"},
		{800 * Day, "2 years ago"},
		{-time.Second, "in a moment"},
		{-90 * time.Minute, "in 1 hour"},
		{-7 * Day, "in 7 days"},
	} {
		if got := relative(testNow.Add(-tt.ago), testNow); got != tt.want {
			t.Errorf("%v ago is %q, want %q", tt.ago, got, tt.want)
		}
	}
	if MomentAt(time.Time{}, testNow).Known() {
		t.Error("no time is known")
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 61 * time.Second: "61 seconds", 90 * time.Minute: "90 minutes", time.Hour: "1 hour",
		36 * time.Hour: "36 hours", 7 * Day: "7 days",
	} {
		if got := Lifetime(d); got != want {
			t.Errorf("a lifetime of %v reads %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 1500 * time.Millisecond: "2 seconds", 5 * time.Minute: "5 minutes",
		5*time.Minute + time.Second: "6 minutes", 3 * time.Hour: "3 hours",
	} {
		if got := Waiting(d); got != want {
			t.Errorf("waiting %v reads %q, want %q", d, got, want)
		}
	}
}

func TestSentence(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "it is off": "It is off.", userkeys.NotPermitted: userkeys.NotPermitted, "why?": "Why?", "add https://a.example/": "Add https://a.example/"} {
		if got := Sentence(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 128204: "128,204", 1204331: "1,204,331", -1: "-1", -100: "-100", -1000: "-1,000"} {
		if got := number(n); got != want {
			t.Errorf("%d reads %q, want %q", n, got, want)
		}
	}
}

var testNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
