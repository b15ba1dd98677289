package sitecmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"userkeys/internal/sitecmd/sitedata"
	"userkeys/store"
)

func newMigrateCommand() *cobra.Command {
	o := &sitedata.Options{}
	cmd := &cobra.Command{
		Use: "migrate", Short: "Upgrade the database to the schema of this version", Args: cobra.NoArgs,
		Long: `Upgrade the database to the schema of this version. The command serve does this
too when it starts; migrate lets you choose the time. The commands that manage a
site never change the schema, and refuse a database with another one.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := o.Resolve(cmd.Flags()); err != nil {
				return err
			}
			db, dialect, err := o.OpenDatabase(cmd.Context())
			if err != nil {
				return err
			}
			defer db.Close()
			st, err := store.Open(cmd.Context(), db, dialect)
			if err != nil {
				return err
			}
			n, err := st.Migrate(cmd.Context())
			if err != nil {
				return err
			}
			have, _, err := st.SchemaVersion(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "schema version %d, %d migrations applied\n", have, n)
			return nil
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}
