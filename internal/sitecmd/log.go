package sitecmd

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"userkeys/internal/sitecmd/sitedata"
)

func newLogger(o *sitedata.ServeOptions, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.LogLevel)); err != nil {
		return nil, fmt.Errorf("--log-level: %q is none of debug, info, warn, error", o.LogLevel)
	}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: durationsWithUnit}
	switch strings.ToLower(o.LogFormat) {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("--log-format: %q is neither text nor json", o.LogFormat)
}

// durationsWithUnit writes every duration as text, such as 1.5s, in both formats: JSON would have a bare number.
func durationsWithUnit(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
