package manage

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/cli"
	"userkeys/internal/rows"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/site"
)

// settings are the commands `userkeys settings`.
type settings struct {
	options sitedata.Options
	dry     bool
}

func newSettingsCommand() *cobra.Command {
	c := &settings{}
	cmd := &cobra.Command{
		Use: "settings", Short: "List and change site settings",
		Long: `List and change site settings. A change takes effect on a running site within a
second. The values of a list are separated by |.`,
		Example: `  userkeys settings list
  userkeys settings set max_user_api_reqs_per_minute 60
  userkeys settings add allow_user_api_key_scopes write
  userkeys settings remove allow_user_api_key_scopes write
  userkeys settings reset allow_user_api_key_scopes`,
	}
	c.options.AddFlags(cmd.PersistentFlags())
	list := &cobra.Command{
		Use: "list", Short: "List all settings", Args: cobra.NoArgs,
		RunE: c.options.With(settingsList),
	}
	cli.AddJSONFlag(list)
	get := &cobra.Command{
		Use: "get NAME", Short: "Print the value of a setting", Args: cobra.ExactArgs(1),
		RunE: c.options.With(settingsGet),
	}
	set := &cobra.Command{
		Use: "set NAME VALUE", Short: "Change a setting", Args: cobra.ExactArgs(2),
		RunE: c.options.With(func(cmd *cobra.Command, d *sitedata.Data, args []string) error {
			return settingsChange(cmd, d, args[0], args[1])
		}),
	}
	c.options.AddInitFlag(set.Flags())
	reset := &cobra.Command{
		Use: "reset NAME", Short: "Reset a setting to its default", Args: cobra.ExactArgs(1),
		RunE: c.options.With(func(cmd *cobra.Command, d *sitedata.Data, args []string) error {
			if err := d.Authority.ResetSetting(cmd.Context(), args[0], sitedata.Operator); err != nil {
				return err
			}
			return settingsShow(cmd, d, args[0])
		}),
	}
	cmd.AddCommand(list, get, set, c.addCommand(), c.removeCommand(), reset, c.presetCommand())
	return cmd
}

// settingsChange changes a setting and prints what it is then.
func settingsChange(cmd *cobra.Command, d *sitedata.Data, name, value string) error {
	err := d.Authority.ChangeSetting(cmd.Context(), name, value, sitedata.Operator)
	var e *userkeys.Error
	if errors.As(err, &e) && e.Reason == authority.ReasonUnknownScope && !d.HasConfig {
		return fmt.Errorf("%s; if the server has a --config, give it here too: its scopes are known only with it",
			e.Public)
	}
	if err != nil {
		return err
	}
	return settingsShow(cmd, d, name)
}

func (c *settings) addCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "add NAME VALUE...", Short: "Add values to a setting that is a list", Args: cobra.MinimumNArgs(2),
		Example: `  userkeys settings add allow_user_api_key_scopes write
  userkeys settings add allowed_user_api_auth_redirects https://app.example/done myapp://done`,
		RunE: c.options.With(func(cmd *cobra.Command, d *sitedata.Data, args []string) error {
			def, was, err := listSetting(d, args[0])
			if err != nil {
				return err
			}
			now := site.PresetValue{Name: def.Name, Value: strings.Join(args[1:], "|")}.AddTo(was)
			return settingsChange(cmd, d, def.Name, now)
		}),
	}
	c.options.AddInitFlag(cmd.Flags())
	return cmd
}

func (c *settings) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME VALUE...", Short: "Remove values from a setting that is a list",
		Args: cobra.MinimumNArgs(2),
		RunE: c.options.With(func(cmd *cobra.Command, d *sitedata.Data, args []string) error {
			def, was, err := listSetting(d, args[0])
			if err != nil {
				return err
			}
			rest := strings.Split(was, "|")
			for _, value := range strings.Split(strings.Join(args[1:], "|"), "|") {
				i := slices.Index(rest, value)
				if i < 0 {
					return fmt.Errorf("%s does not have %s; it has %s", def.Name, value, was)
				}
				rest = slices.Delete(rest, i, i+1)
			}
			return settingsChange(cmd, d, def.Name, strings.Join(rest, "|"))
		}),
	}
}

// listSetting is a setting that is a list, and its value.
func listSetting(d *sitedata.Data, name string) (site.Setting, string, error) {
	def, err := site.FindSetting(name)
	if err != nil {
		return def, "", err
	}
	if def.Kind != site.SettingList {
		return def, "", fmt.Errorf("%s is no list; change it with: userkeys settings set %s VALUE", def.Name, def.Name)
	}
	was, err := d.Authority.Settings().Value(def.Name)
	return def, was, err
}

func (c *settings) presetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "preset discourse", Short: "Allow what apps written for Discourse need",
		Long: `Add to the settings what apps written for Discourse rely on: scopes, among them
write and one_time_password; the redirect addresses and push addresses of these
apps; the feeds and calendars that accept a key in the address. Each change is
printed. Settings that the configuration pins are named, and stay as they are.
Settings that some apps need and that this command leaves off are named too, with
the commands that turn them on.`,
		Example: `  userkeys settings preset discourse --dry-run
  userkeys settings preset discourse`,
		Args: cobra.ExactArgs(1), ValidArgs: []string{"discourse"},
		RunE: c.options.With(c.preset),
	}
	c.options.AddInitFlag(cmd.Flags())
	cmd.Flags().BoolVar(&c.dry, "dry-run", false, "print what would change, and change nothing")
	return cmd
}

func (c *settings) preset(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	if args[0] != "discourse" {
		return fmt.Errorf("there is no preset %q; there is: discourse", args[0])
	}
	out := cmd.OutOrStdout()
	for _, p := range site.DiscoursePreset() {
		was, err := d.Authority.Settings().Value(p.Name)
		if err != nil {
			return err
		}
		now := p.AddTo(was)
		switch {
		case now == was:
			fmt.Fprintf(out, "%s: is so already\n", p.Name)
			continue
		case d.Authority.Pinned(p.Name):
			fmt.Fprintf(out, "%s: stays, for the configuration sets it: %s\n", p.Name, was)
			continue
		}
		if !c.dry {
			if err := d.Authority.ChangeSetting(cmd.Context(), p.Name, now, sitedata.Operator); err != nil {
				return err
			}
		}
		fmt.Fprintf(out, "%s:\n  was %s\n  now %s\n", p.Name, was, now)
	}
	if c.dry {
		fmt.Fprintln(out, "Nothing was changed.")
	}
	fmt.Fprintln(out, "Before a website, userkeys serve --own apps answers what these apps ask a site for; "+
		"without it the website must.")
	return sayGaps(out, d)
}

// sayGaps names the settings that the preset leaves off and that are off.
func sayGaps(out io.Writer, d *sitedata.Data) error {
	for _, gap := range site.DiscoursePresetGaps() {
		value, err := d.Authority.Settings().Value(gap.Name)
		if err != nil {
			return err
		}
		if value == "true" {
			continue
		}
		text := fmt.Sprintf("%s: stays off. %s To switch it on:\n", gap.Name, gap.Why)
		for _, c := range gap.Allow {
			text += fmt.Sprintf("  userkeys settings set %s %s\n", c.Name, c.Value)
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
	}
	return nil
}

func settingsList(cmd *cobra.Command, d *sitedata.Data, _ []string) error {
	s := d.Authority.Settings()
	var list []rows.Setting
	for _, def := range site.AllSettings() {
		row := rows.NewSetting(def, s)
		row.Pinned = d.Authority.Pinned(def.Name)
		list = append(list, row)
	}
	return cli.Listing(cmd, list, "NAME,VALUE,ABOUT", func(r rows.Setting) []string {
		value, about := "", r.Summary
		switch {
		case r.Value != nil:
			value = *r.Value
		case r.Set:
			value = hiddenValue
		}
		switch {
		case r.Pinned:
			about += " (set by the configuration)"
		case r.Changed:
			about += " (default " + r.Default + ")"
		}
		return []string{r.Name, value, about}
	})
}

// hiddenValue stands for a secret.
const hiddenValue = "(hidden)"

// settingsShow prints the value of a setting after a change. A secret is printed only by get, because what is on a
// screen gets into logs.
func settingsShow(cmd *cobra.Command, d *sitedata.Data, name string) error {
	v, err := d.Authority.Settings().Value(name)
	if err != nil {
		return err
	}
	if def, _ := site.FindSetting(name); def.Secret && v != "" {
		v = hiddenValue
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), v)
	return err
}

func settingsGet(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	v, err := d.Authority.Settings().Value(args[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), v)
	return err
}
