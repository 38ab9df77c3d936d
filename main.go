// Potluck gives a community its own AI inside the chat that it already uses; members' own GPUs do the work.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"potluck/failpoint"
	"potluck/nearest"
)

// version is set by the Makefile.
var version = "dev"

func main() {
	if err := failpoint.Arm(os.Getenv(failpoint.Variable), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "potluck:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// subcommand is one thing that the program can do.
type subcommand struct {
	name, does string
	run        func(ctx context.Context, c call) error
	flags      func(*flag.FlagSet, *call) // besides -config; may be nil
}

// call is how the program was started.
type call struct {
	config Config
	out    io.Writer // for people
	log    *slog.Logger
	backup backupOptions
	// newKeys: potluck keys makes those that are missing.
	newKeys bool
}

func subcommands() []subcommand {
	return []subcommand{
		{name: "demo", does: "try Potluck: the page, a database and one worker on this machine", run: demo},
		{name: "serve", does: "run Potluck for a community", run: serve},
		{name: "check", does: "say what is wrong with the configuration, the data folder or the address, and how to mend it", run: check},
		{name: "audit", does: "check every invariant of the credit ledger and name any breach; also while Potluck runs", run: audit},
		{name: "backup", does: "copy everything to an empty folder (-to FOLDER) and check the copy; also while Potluck runs", run: backup,
			flags: func(f *flag.FlagSet, c *call) { c.backup.flags(f) }},
		{name: "keys", does: "say which keys are here; -new makes those that are lost for good, and says what that costs", run: keys,
			flags: func(f *flag.FlagSet, c *call) {
				f.BoolVar(&c.newKeys, "new", false, "make the keys that are missing: server.key costs every link of a worker, secret.key every text in the database")
			}},
		{name: "operator", does: "print a one-time address that makes you the operator of the Potluck that runs", run: operatorAddress},
		{name: "version", does: "print the version", run: func(_ context.Context, c call) error { fmt.Fprintln(c.out, "potluck", version); return nil }},
	}
}

// errUsage means that the words of the command line were wrong and that it was said already.
var errUsage = errors.New("usage")

// run is the whole program; it returns the exit code: 0 fine, 1 failed, 2 wrong usage.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, environ, stdout, stderr)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		return 2
	default:
		fmt.Fprintln(stderr, "potluck:", err)
		return 1
	}
}

func dispatch(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(stdout)
		return nil
	}
	cmd, ok := find(args[0])
	if !ok {
		names := []string{"help"}
		for _, s := range subcommands() {
			names = append(names, s.name)
		}
		fmt.Fprintf(stderr, "potluck: there is no command %q", args[0])
		if near := nearest.Of(args[0], names); near != "" {
			fmt.Fprintf(stderr, ": did you mean %q?", near)
		}
		fmt.Fprintln(stderr, "\nRun potluck help to see them all.")
		return errUsage
	}
	flags := flag.NewFlagSet("potluck "+cmd.name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("config", "", "configuration `file` (see config.example.yaml); without it, defaults and POTLUCK_ variables")
	c := call{out: stdout}
	if cmd.flags != nil {
		cmd.flags(flags, &c)
	}
	flags.Usage = func() {
		fmt.Fprintf(stderr, "potluck %s: %s\n\n", cmd.name, cmd.does)
		flags.PrintDefaults()
		fmt.Fprintln(stderr, "\n"+variables)
	}
	if err := flags.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "potluck %s: %q was not expected\n", cmd.name, flags.Arg(0))
		return errUsage
	}
	var err error
	if c.config, err = loadConfig(*path, environ); err != nil {
		return err
	}
	c.log = newLog(c.config.Log, stderr)
	return cmd.run(ctx, c)
}

func find(name string) (subcommand, bool) {
	for _, s := range subcommands() {
		if s.name == strings.TrimLeft(name, "-") {
			return s, true
		}
	}
	return subcommand{}, false
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "Potluck: everyone brings a GPU, everyone eats.")
	fmt.Fprintln(w)
	for _, s := range subcommands() {
		fmt.Fprintf(w, "  potluck %-8s %s\n", s.name, s.does)
	}
	fmt.Fprintln(w, "\nEach takes -config FILE.", variables)
	fmt.Fprintln(w, "The worker is a program of its own: potluck-worker help.")
}

// variables are those of the environment that a newcomer needs first.
const variables = `Each key of config.example.yaml is an environment variable, too; the first that matter:
  POTLUCK_HTTP_ADDR=127.0.0.1:8080   the address of the page
  POTLUCK_DATA_DIR=./data            the folder of everything that is kept`

func newLog(c LogConfig, w io.Writer) *slog.Logger {
	level, err := logLevel(c.Level)
	if err != nil {
		level = slog.LevelInfo // Validate has refused it already
	}
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func logLevel(s string) (slog.Level, error) {
	var l slog.Level
	err := l.UnmarshalText([]byte(s))
	return l, err
}
