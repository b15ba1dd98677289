package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"userkeys"
)

func newSettingsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "settings", Short: "List and change site settings",
		Long: `List and change site settings. A change is in force on a running site within
a second. Lists are written a|b.`,
		Example: `  userkeys settings list
  userkeys settings set allow_user_api_key_scopes 'read|write|notifications|session_info'
  userkeys settings reset allow_user_api_key_scopes`,
	}
	addDataFlags(cmd.PersistentFlags())
	list := &cobra.Command{Use: "list", Short: "List all settings", Args: cobra.NoArgs, RunE: withOffice(settingsList)}
	addJSONFlag(list)
	get := &cobra.Command{Use: "get NAME", Short: "Print the value of a setting", Args: cobra.ExactArgs(1), RunE: withOffice(settingsGet)}
	set := &cobra.Command{
		Use: "set NAME VALUE", Short: "Change a setting", Args: cobra.ExactArgs(2),
		RunE: withOffice(func(cmd *cobra.Command, d *office, args []string) error {
			if err := d.authority.ChangeSetting(cmd.Context(), args[0], args[1], commandActor); err != nil {
				return err
			}
			return settingsShow(cmd, d, args[0])
		}),
	}
	addInitFlag(set.Flags())
	reset := &cobra.Command{
		Use: "reset NAME", Short: "Give a setting its default back", Args: cobra.ExactArgs(1),
		RunE: withOffice(func(cmd *cobra.Command, d *office, args []string) error {
			if err := d.authority.ResetSetting(cmd.Context(), args[0], commandActor); err != nil {
				return err
			}
			return settingsShow(cmd, d, args[0])
		}),
	}
	cmd.AddCommand(list, get, set, reset, newPresetCommand())
	return cmd
}

func newPresetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "preset discourse", Short: "Open the site as Discourse ships it, for the apps that exist",
		Long: `Add to the settings that apps written for Discourse rely on: the scopes, write
and one_time_password among them; the ways back and push addresses of its apps;
the feeds and calendars where a key may stand in the address. Each change is
printed. Settings that the configuration pins stay as they are, and are named.`,
		Example: `  userkeys settings preset discourse --dry-run
  userkeys settings preset discourse`,
		Args: cobra.ExactArgs(1), ValidArgs: []string{"discourse"},
		RunE: withOffice(settingsPreset),
	}
	addInitFlag(cmd.Flags())
	cmd.Flags().Bool("dry-run", false, "print what would change, and change nothing")
	return cmd
}

func settingsPreset(cmd *cobra.Command, d *office, args []string) error {
	if args[0] != "discourse" {
		return fmt.Errorf("there is no preset %q; there is: discourse", args[0])
	}
	dry, err := cmd.Flags().GetBool("dry-run")
	if err != nil {
		return err
	}
	say := func(format string, a ...any) {
		if err == nil {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), format, a...)
		}
	}
	for _, p := range userkeys.DiscoursePreset() {
		was, readErr := d.authority.Settings().Value(p.Name)
		if readErr != nil {
			return readErr
		}
		now := p.AddTo(was)
		switch {
		case now == was:
			say("%s: is so already\n", p.Name)
			continue
		case d.authority.Pinned(p.Name):
			say("%s: stays, for the configuration sets it: %s\n", p.Name, was)
			continue
		}
		if !dry {
			if err := d.authority.ChangeSetting(cmd.Context(), p.Name, now, commandActor); err != nil {
				return err
			}
		}
		say("%s:\n  was %s\n  now %s\n", p.Name, was, now)
	}
	return err
}

// settingRow is a setting in a listing.
type settingRow struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default string `json:"default"`
	Type    string `json:"type"`
	Pinned  bool   `json:"pinned"`
	Summary string `json:"summary"`
}

func settingsList(cmd *cobra.Command, d *office, _ []string) error {
	s := d.authority.Settings()
	var rows []settingRow
	for _, def := range userkeys.AllSettings() {
		v, err := shownValue(s, def.Name)
		if err != nil {
			return err
		}
		rows = append(rows, settingRow{def.Name, v, def.Default, string(def.Kind), d.authority.Pinned(def.Name), def.Summary})
	}
	return listing(cmd, rows, "NAME,VALUE,ABOUT", func(r settingRow) []string {
		about := r.Summary
		switch {
		case r.Pinned:
			about += " (set by the configuration)"
		case r.Value != r.Default:
			about += " (default " + r.Default + ")"
		}
		return []string{r.Name, r.Value, about}
	})
}

// shownValue is a setting's value as it may stay on a screen and in a log: a
// secret is shown to who asks for it by name, with get, and to nobody else.
func shownValue(s userkeys.Settings, name string) (string, error) {
	v, err := s.Value(name)
	if def, _ := userkeys.FindSetting(name); def.Secret && v != "" {
		v = "(hidden)"
	}
	return v, err
}

// settingsShow prints what a setting is after a change.
func settingsShow(cmd *cobra.Command, d *office, name string) error {
	v, err := shownValue(d.authority.Settings(), name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), v)
	return err
}

func settingsGet(cmd *cobra.Command, d *office, args []string) error {
	v, err := d.authority.Settings().Value(args[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), v)
	return err
}
