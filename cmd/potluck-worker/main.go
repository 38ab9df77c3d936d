// Command potluck-worker lends this machine's GPU to a community's Potluck.
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
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"potluck/failpoint"
	"potluck/nearest"
	"potluck/workers/agent"
)

// version is set by the Makefile.
var version = "dev"

func program() string {
	return "potluck-worker " + version + " " + runtime.GOOS + "/" + runtime.GOARCH
}

const usage = `potluck-worker lends this machine's GPU to a community's Potluck.

  potluck-worker join <string>    link this machine; the string comes from /worker link in the chat
  potluck-worker run              take jobs until Ctrl-C (once: finish what runs, twice: stop at once)
  potluck-worker status           whose worker this is, whether it runs, what it does
  potluck-worker engines          which inference programs are found on this machine, and which are not
  potluck-worker pause [reason]   take nothing new; a running worker sees it at once
  potluck-worker resume           take jobs again
  potluck-worker version

Each of them takes -dir FOLDER (or POTLUCK_WORKER_DIR); -h after a command shows its flags.
What this machine may do stands in config.yaml in that folder.
`

var commands = []string{"join", "run", "status", "engines", "pause", "resume", "help", "version"}

// errUsage has been explained already.
var errUsage = errors.New("usage")

func main() {
	if err := failpoint.Arm(os.Getenv(failpoint.Variable), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "potluck-worker:", err)
		os.Exit(2)
	}
	switch err := execute(os.Args[1:], os.Stdout, os.Stderr); {
	case err == nil:
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "potluck-worker:", err)
		os.Exit(1)
	}
}

func execute(args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return errUsage
	}
	name, args := args[0], args[1:]
	c := &cli{stdout: stdout, stderr: stderr, flags: flag.NewFlagSet("potluck-worker "+name, flag.ContinueOnError)}
	c.flags.SetOutput(stderr)
	c.flags.StringVar(&c.dir, "dir", "", "`folder` of this worker's key, link and configuration")
	switch name {
	case "join":
		return c.join(args)
	case "run":
		return c.run(args)
	case "status":
		return c.status(args)
	case "engines":
		return c.engines(args)
	case "pause":
		return c.pause(args)
	case "resume":
		return c.resume(args)
	case "version", "-version", "--version":
		fmt.Fprintln(stdout, program())
		return nil
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	}
	if near := nearest.Of(name, commands); near != "" {
		fmt.Fprintf(stderr, "potluck-worker: there is no command %q, did you mean %q?\n", name, near)
	} else {
		fmt.Fprintf(stderr, "potluck-worker: there is no command %q, see potluck-worker help\n", name)
	}
	return errUsage
}

type cli struct {
	stdout, stderr io.Writer
	flags          *flag.FlagSet
	dir            string
	demo           demoFlag
	verbose        bool
}

// demoFlag is -demo, -demo=fill or -demo fill.
type demoFlag struct {
	value agent.Demo
	set   bool
}

func (d *demoFlag) String() string   { return string(d.value) }
func (d *demoFlag) IsBoolFlag() bool { return true }
func (d *demoFlag) Set(s string) (err error) {
	d.value, err = agent.ParseDemo(s)
	d.set = err == nil
	return err
}

func (c *cli) runFlags() {
	c.flags.Var(&c.demo, "demo", "offer the demonstration engine: true, or fill (only where nothing real was found)")
	c.flags.BoolVar(&c.verbose, "v", false, "log more")
}

// parse takes flags before and behind the words, and returns the words. most < 0: any number.
func (c *cli) parse(args []string, most int) ([]string, error) {
	for i := 0; i+1 < len(args); i++ {
		if args[i] == "-demo" || args[i] == "--demo" {
			if _, err := agent.ParseDemo(args[i+1]); err == nil {
				args = append(append(append([]string{}, args[:i]...), "-demo="+args[i+1]), args[i+2:]...)
			}
		}
	}
	var words []string
	for {
		if err := c.flags.Parse(args); err != nil {
			return nil, errUsage // the flag package has said what is wrong, or shown the help
		}
		if c.flags.NArg() == 0 {
			break
		}
		words, args = append(words, c.flags.Arg(0)), c.flags.Args()[1:]
	}
	if most >= 0 && len(words) > most {
		fmt.Fprintf(c.stderr, "%s: %q is too much\n", c.flags.Name(), words[most])
		return nil, errUsage
	}
	return words, nil
}

func (c *cli) folder() (agent.Folder, error) {
	if c.dir != "" {
		return agent.Folder(c.dir), nil
	}
	return agent.DefaultFolder()
}

// open is parse, and the folder that the flags name.
func (c *cli) open(args []string, most int) (words []string, f agent.Folder, err error) {
	if words, err = c.parse(args, most); err != nil {
		return nil, "", err
	}
	f, err = c.folder()
	return words, f, err
}

// locked is the folder of the parsed flags, for this process alone until unlock.
func (c *cli) locked() (f agent.Folder, unlock func(), err error) {
	if f, err = c.folder(); err != nil {
		return "", nil, err
	}
	unlock, err = f.Lock()
	return f, unlock, err
}

// untilSignal ends with Ctrl-C or a request to stop.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

func (c *cli) join(args []string) error {
	replace := c.flags.Bool("replace", false, "give up the link to another server")
	name := c.flags.String("name", "", "how the worker is called in the chat")
	andRun := c.flags.Bool("run", false, "take jobs at once")
	c.runFlags()
	words, err := c.parse(args, -1) // a string that was broken over lines comes in several words
	if err != nil {
		return err
	}
	if len(words) == 0 {
		fmt.Fprintln(c.stderr, "potluck-worker join needs the string that /worker link answered in the chat")
		return errUsage
	}
	f, unlock, err := c.locked()
	if err != nil {
		return err
	}
	defer unlock()
	ctx, stop := untilSignal()
	l, err := agent.Join(ctx, f, strings.Join(words, ""), agent.JoinOptions{Replace: *replace, Name: *name, Program: program()})
	stop()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "Linked to %s as %s, owner %s.\n", l.Server, l.Name, l.Owner)
	if !*andRun {
		fmt.Fprintf(c.stdout, "What this machine may do stands in %s.\nTo begin: potluck-worker run%s\n", f.ConfigPath(), c.dirHint())
		return nil
	}
	return c.serve(f)
}

// dirHint repeats -dir, so that what is shown can be copied.
func (c *cli) dirHint() string {
	if c.dir == "" {
		return ""
	}
	return " -dir " + c.dir
}

func (c *cli) run(args []string) error {
	joinString := c.flags.String("join", "", "link with this `string` first, unless linked already; - reads it from standard input, where no other user sees it")
	c.runFlags()
	if _, err := c.parse(args, 0); err != nil {
		return err
	}
	f, unlock, err := c.locked()
	if err != nil {
		return err
	}
	defer unlock()
	if *joinString != "" {
		text, err := joinText(*joinString, os.Stdin)
		if err != nil {
			return err
		}
		ctx, stop := untilSignal()
		_, err = agent.JoinOnce(ctx, f, text, agent.JoinOptions{Program: program()})
		stop()
		if err != nil {
			return err
		}
	}
	return c.serve(f)
}

// joinText is the flag's value, or what stands on standard input.
func joinText(flag string, stdin io.Reader) (string, error) {
	if flag != "-" {
		return flag, nil
	}
	const longest = 4096 // bytes; a join string has about 150
	b, err := io.ReadAll(io.LimitReader(stdin, longest))
	if err != nil {
		return "", fmt.Errorf("read the join string: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// serve runs the worker of a locked folder. The first signal drains it, the second stops it at once.
func (c *cli) serve(f agent.Folder) error {
	level := slog.LevelInfo
	if c.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: level}))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	cfg, err := f.Config(ctx)
	if err != nil {
		return err
	}
	if c.demo.set {
		cfg.Settings.Demo = c.demo.value
	}
	cfg.Program, cfg.Log, cfg.Discover = program(), log, cfg.Settings.Look()
	a, err := agent.New(cfg)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	finished := make(chan error, 1)
	go func() { finished <- a.Run(ctx) }()
	for n := 0; ; {
		select {
		case err := <-finished:
			return f.NoteEnd(err)
		case <-signals:
			if n++; n == 1 {
				a.Drain()
			} else {
				stop()
			}
		}
	}
}

func (c *cli) status(args []string) error {
	_, f, err := c.open(args, 0)
	if err != nil {
		return err
	}
	l, err := f.Link()
	if err != nil {
		return err
	}
	reason, paused := f.Paused()
	s, running, err := f.Status()
	if err != nil {
		return fmt.Errorf("read the worker's status: %w", err)
	}
	if l.Unlinked && !running {
		fmt.Fprintf(c.stdout, "This worker was unlinked by %s, where its owner was %s: /worker link in the chat gives a new string for potluck-worker join%s\n", l.Server, l.Owner, c.dirHint())
		return nil
	}
	fmt.Fprintf(c.stdout, "Linked to %s as %s (worker %d), owner %s.\n", l.Server, l.Name, l.Worker, l.Owner)
	switch {
	case !running:
		fmt.Fprintf(c.stdout, "Not running. To begin: potluck-worker run%s\n", c.dirHint())
	case s.State == "connected":
		fmt.Fprintf(c.stdout, "Running for %s, connected.\n", time.Since(s.Started).Round(time.Second))
	case s.Problem != "":
		fmt.Fprintf(c.stdout, "Running, but not connected: %s.\n", s.Problem)
	default:
		fmt.Fprintln(c.stdout, "Running, connecting.")
	}
	if paused {
		fmt.Fprintf(c.stdout, "Paused%s. To go on: potluck-worker resume%s\n", after(": ", reason), c.dirHint())
	}
	if running {
		if len(s.Offers) == 0 && (s.State == "connected" || s.Problem != "") { // it looks for programs before it connects
			fmt.Fprintf(c.stdout, "Offers nothing: see potluck-worker engines%s\n", c.dirHint())
		}
		for _, o := range s.Offers {
			fmt.Fprintln(c.stdout, "Offers", o)
		}
		for _, j := range s.Jobs {
			fmt.Fprintf(c.stdout, "Doing %s with %s for %s\n", j.Kind, j.Model, time.Since(j.Since).Round(time.Second))
		}
		fmt.Fprintf(c.stdout, "Done since the start: %d, failed: %d, places: %d.\n", s.Done, s.Failed, s.Slots)
	}
	fmt.Fprintln(c.stdout, "What it earned: write /credits in the chat.")
	return nil
}

func after(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func (c *cli) engines(args []string) error {
	c.runFlags()
	_, f, err := c.open(args, 0)
	if err != nil {
		return err
	}
	settings, err := f.Settings()
	if err != nil {
		return err
	}
	if c.demo.set {
		settings.Demo = c.demo.value
	}
	ctx, stop := untilSignal()
	defer stop()
	found, missed := settings.Look()(ctx)
	table := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for _, e := range found {
		fmt.Fprintf(table, "found\t%s\t%s%s\n", e.Engine.Name(), e.Where, after("  ", e.Note))
		agent.CloseEngine(e.Engine)
	}
	for _, m := range missed {
		fmt.Fprintf(table, "not found\t%s\t%s\n", m.Name, m.Why)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(found) == 0 {
		fmt.Fprintln(c.stdout, "Nothing that could do a job. Start an inference program, or name its address under openai in", f.ConfigPath())
	}
	return nil
}

func (c *cli) pause(args []string) error {
	words, f, err := c.open(args, -1)
	if err != nil {
		return err
	}
	if _, err := f.Link(); errors.Is(err, agent.ErrNotLinked) {
		return fmt.Errorf("nothing to pause in %s: %w", f, err)
	}
	if err := f.Pause(strings.Join(words, " ")); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "Paused: what runs is finished, nothing new is taken. To go on: potluck-worker resume%s\n", c.dirHint())
	return nil
}

func (c *cli) resume(args []string) error {
	_, f, err := c.open(args, 0)
	if err != nil {
		return err
	}
	if err := f.Resume(); err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, "Jobs are taken again.")
	return nil
}
