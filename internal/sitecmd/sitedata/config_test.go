package sitedata

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestConfigNamesTheLine: an error of a configuration file names the first mistake, the same at each start, and the line
// that has it, also where another table has the same words.
func TestConfigNamesTheLine(t *testing.T) {
	t.Parallel()
	const login = "[[login]]\nname = \"a\"\nkind = \"header\"\nowner-gone = \"never\"\nheader = \"X-A\"\nfrom = [\"127.0.0.1\"]\n"
	for text, want := range map[string]string{
		"upstreem = \"x\"\nzzz = 1\naaa = 1\n":                                ":3: there is no option aaa",
		"url = \"http://a\"\n[tabel]\nx = 1\n":                                ":2: there is no option tabel",
		"# title = 1\n[settings] # of title\ntitle = \"T\"\nzz = 1\naa = 1\n": ":5: ",
		login + strings.Replace(login, "never", "soon", 1):                    ":10: login a: owner-gone is a number",
		login + strings.Replace(login, "owner-gone", "# owner-gone", 1):       ":7: login a: owner-gone is missing",
		login + login: ":8: there are two logins",
		login + "issuer = \"https://id\"\nurl = \"https://x\"\n": ":7: login a: issuer is no key of a login of kind",
		login + "[[login.rule]]\ngroup = \"x\"\nnaem = 1\n":      ":9: a login has no naem",
		"[[scope]]\nname = \"a\"\nsentence = \"read TODO\"\nroutes = [\"GET /a\"]\n" +
			"[[scope]]\nname = \"b\"\nsentence = \"TODO\"\nroutes = [\"GET /b\"]\n": ":7: scope b: write the sentence",
		"[[identity-header]]\nname = \"Remote-User\"\nvalue = \"username\"\n[[identity-header]]\nname = \"Host\"\nvalue = \"email\"\n": ":5: ",
	} {
		file := filepath.Join(t.TempDir(), "userkeys.toml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 8 {
			flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
			new(ServeOptions).AddFlags(flags)
			if _, err := readConfig(file, flags); err == nil || !strings.Contains(err.Error(), file+want) {
				t.Errorf("%s\n%v, want %q", text, err, want)
				break
			}
		}
	}
}
