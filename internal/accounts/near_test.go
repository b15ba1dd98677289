package accounts

import (
	"context"
	"slices"
	"strings"
	"testing"

	"userkeys"
	"userkeys/site"
)

func TestNearUsername(t *testing.T) {
	t.Parallel()
	var taken []string
	find := func(_ context.Context, name string) (site.User, error) {
		if slices.Contains(taken, name) {
			return site.User{}, nil
		}
		return site.User{}, userkeys.Errorf(userkeys.NotFound, "nobody")
	}
	long := strings.Repeat("a", 58) + "-b-c"
	for _, tt := range []struct {
		names, want string
		taken       []string
	}{
		{names: "alice", want: "alice"},
		{names: "J\u00f6rg M\u00fcller", want: "Jorg-Muller"},
		{names: "Jo\u0308rg", want: "Jorg"},
		{names: "\u0141ukasz Stra\u00dfe \u00d8re", want: "Lukasz-Strasse-Ore"},
		{names: "O\u2019Brien, P.", want: "OBrien-P"},
		{names: "ann@mail.example", want: "ann"},
		{names: "@ann", want: "ann"},
		{names: "__x..", want: "x"},
		{names: "\u5c71\u7530\u592a\u90ce"},
		{names: "\u0412\u043b\u0430\u0434\u0438\u043c\u0438\u0440 2"},
		{names: "M\u00fcller \u5c71\u7530"},
		{names: "\u5c71\u7530|Taro Yamada", want: "Taro-Yamada"},
		{names: "a\u202eb", want: "a-b"},
		{names: "Admin"},
		{names: "root@evil.example"},
		{names: ""},
		{names: "@"},
		{names: "..."},
		{names: "alice", taken: []string{"alice", "alice-2"}, want: "alice-3"},
		{names: "alice|al", taken: []string{"alice", "alice-2", "alice-3", "alice-4", "alice-5"}, want: "al"},
		{names: long, want: strings.Repeat("a", 58) + "-b"},
		{names: long, taken: []string{strings.Repeat("a", 58) + "-b"}, want: strings.Repeat("a", 58) + "-2"},
	} {
		taken = tt.taken
		got, err := NearUsername(t.Context(), find, strings.Split(tt.names, "|")...)
		if got != tt.want || err != nil {
			t.Errorf("%q: %q, %v; want %q", tt.names, got, err, tt.want)
		}
		if got != "" && !IsUsername(got) {
			t.Errorf("%q is no user name", got)
		}
	}
	broken := func(context.Context, string) (site.User, error) {
		return site.User{}, userkeys.Errorf(userkeys.Unavailable, "the database is away")
	}
	if got, err := NearUsername(t.Context(), broken, "alice"); err == nil {
		t.Errorf("%q from a database that does not answer", got)
	}
}
