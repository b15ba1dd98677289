package main

import (
	"runtime/debug"
	"testing"
)

// Whoever upgrades or rolls back must be able to tell one build from another.
func TestBuildDescription(t *testing.T) {
	t.Parallel()
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	commit, at := setting("vcs.revision", "994d1eed0c6a4a1b8a6f3b3f7c2a9d5e1f0a7b6c"), setting("vcs.time", "2026-11-30T04:06:00Z")
	for _, test := range []struct {
		name, version string
		settings      []debug.BuildSetting
		want          string
	}{
		{"a release", "v1.2.0", []debug.BuildSetting{commit, at, setting("vcs.modified", "false")}, "v1.2.0, commit 994d1eed0c6a of 2026-11-30T04:06:00Z"},
		{"with changes since", "", []debug.BuildSetting{commit, at, setting("vcs.modified", "true")}, "(devel), commit 994d1eed0c6a of 2026-11-30T04:06:00Z and changes since"},
		{"a pseudo-version", "v0.0.0-20261130040600-994d1eed0c6a", []debug.BuildSetting{commit, at}, "(devel), commit 994d1eed0c6a of 2026-11-30T04:06:00Z"},
		{"without a repository", "", nil, "(devel), commit unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			info := &debug.BuildInfo{Settings: test.settings}
			info.Main.Version = test.version
			if got := buildDescription("", info); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	if got := buildDescription("v9", &debug.BuildInfo{}); got != "v9, commit unknown" {
		t.Errorf("a version given to the linker: %q", got)
	}
}
