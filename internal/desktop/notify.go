package desktop

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"time"

	"userkeys/internal/cli"
)

// notifyTimeout bounds the program that shows a notification.
const notifyTimeout = 10 * time.Second

// Notify shows a notification with the program that USERKEYS_NOTIFY names, or
// with what the system has for it. What sites say does not reach a shell or a
// script: it travels as arguments or in the environment. A system without such a
// program shows nothing.
func Notify(ctx context.Context, title, text string) {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	cmd := desktopCommand(ctx, title, text)
	cmd.Env = cli.WithoutSecrets(cmd.Env)
	_ = cmd.Run() // there may be no such program
}

func desktopCommand(ctx context.Context, title, text string) *exec.Cmd {
	if program := os.Getenv("USERKEYS_NOTIFY"); program != "" {
		return exec.CommandContext(ctx, program, title, text)
	}
	switch runtime.GOOS {
	case "darwin":
		return exec.CommandContext(ctx, "osascript", "-e", "on run argv", "-e",
			"display notification (item 2 of argv) with title (item 1 of argv)", "-e", "end run", "--", title, text)
	case "windows":
		cmd := exec.CommandContext(ctx, "powershell", "-NoProfile", "-NonInteractive", "-Command", windowsNotification)
		cmd.Env = append(os.Environ(), "USERKEYS_TITLE="+title, "USERKEYS_TEXT="+text)
		return cmd
	}
	return exec.CommandContext(ctx, "notify-send", "--app-name=userkeys", "--", title, text)
}

// windowsNotification is a script for PowerShell.
const windowsNotification = `[Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ` +
	`ContentType=WindowsRuntime] > $null
$t = [Windows.UI.Notifications.ToastNotificationManager]::` +
	`GetTemplateContent([Windows.UI.Notifications.ToastTemplateType]::ToastText02)
$n = $t.GetElementsByTagName("text")
$n.Item(0).AppendChild($t.CreateTextNode($env:USERKEYS_TITLE)) > $null
$n.Item(1).AppendChild($t.CreateTextNode($env:USERKEYS_TEXT)) > $null
[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier("userkeys").` +
	`Show([Windows.UI.Notifications.ToastNotification]::new($t))`
