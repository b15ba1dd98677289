package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"userkeys"
)

// AddJSONFlag adds --json to a command.
func AddJSONFlag(cmd *cobra.Command) {
	cmd.Flags().Bool("json", false, "print JSON")
}

// JSON reports whether --json was given.
func JSON(cmd *cobra.Command) bool {
	asked, err := cmd.Flags().GetBool("json")
	return err == nil && asked
}

// Listing prints rows as JSON with --json, and otherwise as a table with the given head, whose names are separated by
// commas.
func Listing[T any](cmd *cobra.Command, rows []T, head string, line func(T) []string) error {
	out := cmd.OutOrStdout()
	if JSON(cmd) {
		if rows == nil {
			rows = []T{}
		}
		return WriteJSON(out, rows)
	}
	table := [][]string{strings.Split(head, ",")}
	for _, r := range rows {
		table = append(table, line(r))
	}
	return PrintTable(out, table)
}

// WriteJSON prints a value as indented JSON, for programs and people.
func WriteJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// ForTerminal returns out or, if it is a terminal, a writer that removes what would control it. A file gets every
// byte.
func ForTerminal(out io.Writer) io.Writer {
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &Harmless{to: out}
	}
	return out
}

// Harmless writes text of others to a terminal. It replaces control characters except tabs and line ends by question
// marks, and each character that turns, joins or hides the text around it by U+FFFD. A carriage return is replaced
// too, because what follows it could overwrite what stands before.
type Harmless struct {
	to   io.Writer
	rest []byte // the end of what was written last, if it is a carriage return or the begin of a character
}

func (w *Harmless) Write(p []byte) (int, error) {
	text := append(w.rest, p...)
	w.rest = nil
	var shown strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\r' && len(text) == 1, !utf8.FullRune(text):
			w.rest, text = bytes.Clone(text), nil
			continue
		case r == '\n' || r == '\t' || r == '\r' && text[1] == '\n':
			shown.WriteRune(r)
		case unicode.IsControl(r):
			shown.WriteByte('?')
		default:
			shown.WriteString(userkeys.Printable(string(r)))
		}
		text = text[size:]
	}
	if _, err := io.WriteString(w.to, shown.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// PrintTable prints rows in columns. On a terminal, what does not fit into a line is cut.
func PrintTable(out io.Writer, rows [][]string) error {
	return printTable(out, rows, columnsOf(out))
}

// columnsOf returns how many columns a terminal has; 0: out is none.
func columnsOf(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

const tableGap = 2 // between columns

func printTable(out io.Writer, rows [][]string, columns int) error {
	for _, cells := range rows {
		for i := range cells {
			cells[i] = userkeys.Printable(cells[i]) // apps and users wrote some
		}
	}
	if columns > 0 {
		cutCells(rows, columns)
	}
	tw := tabwriter.NewWriter(out, 0, 0, tableGap, ' ', 0)
	for _, cells := range rows {
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// leastCell is the width that a column is not cut below.
const leastCell = 8

// cutCells cuts the cells of the widest columns, so that each row fits into a line if that is possible. The first
// column stays whole: it has the names and numbers that other commands are given.
func cutCells(rows [][]string, columns int) {
	var widths []int
	left := columns
	for _, cells := range rows {
		for i, c := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, w := range widths {
		left -= w
	}
	for left -= tableGap * (len(widths) - 1); left < 0; left++ {
		widest, most := 0, leastCell
		for i, w := range widths {
			if i > 0 && w > most {
				widest, most = i, w
			}
		}
		if widest == 0 {
			break
		}
		widths[widest]--
	}
	for _, cells := range rows {
		for i, c := range cells {
			if runes := []rune(c); len(runes) > widths[i] {
				cells[i] = string(runes[:widths[i]-1]) + "\u2026"
			}
		}
	}
}

// Moment formats a time for a table. The zero time is "-".
func Moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// TimeCell formats a time of a JSON value for a table. nil is "-".
func TimeCell(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return Moment(*t)
}

// Browsable returns addr as a person would type it. A server on all addresses is reached at 127.0.0.1.
func Browsable(addr net.Addr) string {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ap.Addr().IsUnspecified() {
		ap = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port())
	}
	return ap.String()
}

// OrDash returns s for a table. An empty text is "-".
func OrDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
