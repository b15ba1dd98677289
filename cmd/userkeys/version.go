package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set at build time with -ldflags '-X main.version=...'.
var version = ""

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version and the commit it was built from", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), versionText())
			return err
		},
	}
}

func versionText() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return fmt.Sprintf("userkeys %s, %s %s/%s\nrevocation bound: 1s\n", buildDescription(version, info),
		runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// buildDescription is the version, named or else of the module, and the commit that it was built from.
func buildDescription(named string, info *debug.BuildInfo) string {
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if named == "" && !strings.HasPrefix(info.Main.Version, "v0.0.0-") { // that is no more than the commit
		named = info.Main.Version
	}
	if named == "" {
		named = "(devel)"
	}
	commit := settings["vcs.revision"]
	if commit == "" {
		return named + ", commit unknown"
	}
	text := named + ", commit " + commit[:min(12, len(commit))]
	if at := settings["vcs.time"]; at != "" {
		text += " of " + at
	}
	if settings["vcs.modified"] == "true" {
		text += " and changes since"
	}
	return text
}
