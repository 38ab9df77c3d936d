package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"potluck/workers/protocol"
)

// ApertiumConfig says where Apertium is installed. The zero value is Debian's place.
type ApertiumConfig struct {
	ModesDir string        // folder of *.mode files; default /usr/share/apertium/modes
	Path     string        // folders of the programs, separated as in PATH; default PATH
	Alive    int           // warm pipes at most, 30–300 MB each; default 4
	Idle     time.Duration // a pipe unused for so long is closed; default 10 minutes
	Timeout  time.Duration // for one line; default 5 s, and 20 s for a pipe's first (it loads its dictionaries)
	Settle   time.Duration // how long Offers waits for the self-tests; default 3 s
}

// Direction is one installed translation direction and whether it works.
type Direction struct {
	protocol.Pair
	Mode  string // name of the mode file without ".mode"
	Ready bool   // the self-test gave a text
	Why   string // why it is not ready, for the owner
}

// Apertium translates with the pipelines of an installed Apertium. It keeps one warm pipe per direction.
type Apertium struct {
	cfg ApertiumConfig

	life  context.Context // ends with Close
	end   context.CancelFunc
	parts sync.WaitGroup // self-tests, and programs that are ending

	mu         sync.Mutex
	directions []Direction
	commands   map[string][][]string // mode → programs with arguments
	pipes      map[string]*pipe
	changed    chan struct{} // closed when a pipe became free or a self-test ended
	testing    bool          // self-tests were started
	tested     chan struct{} // closed when all self-tests have ended
	sweeping   *time.Timer
}

// pipe is one running pipeline. While busy it belongs to the one who took it, else to Apertium.mu.
type pipe struct {
	mode  string
	busy  bool
	used  time.Time
	fresh bool // nothing was translated yet
	in    io.WriteCloser
	out   *bufio.Reader
	kill  func() // ends all programs; may be called at any time, repeatedly
	wait  func() // returns when they are gone
}

var modeName = regexp.MustCompile(`^([a-z]{2,3})-([a-z]{2,3})\.mode$`)

// NewApertium reads the modes folder. It fails when there is none, or none of its modes is a plain pair; nothing is started yet.
func NewApertium(cfg ApertiumConfig) (*Apertium, error) {
	if cfg.ModesDir == "" {
		cfg.ModesDir = "/usr/share/apertium/modes"
	}
	if cfg.Path == "" {
		cfg.Path = os.Getenv("PATH")
	}
	if cfg.Alive <= 0 {
		cfg.Alive = 4
	}
	if cfg.Idle <= 0 {
		cfg.Idle = 10 * time.Minute
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Settle <= 0 {
		cfg.Settle = 3 * time.Second
	}
	files, err := os.ReadDir(cfg.ModesDir)
	if err != nil {
		return nil, fmt.Errorf("read the modes folder of Apertium: %w", err)
	}
	a := &Apertium{cfg: cfg, commands: map[string][][]string{}, pipes: map[string]*pipe{}, changed: make(chan struct{}), tested: make(chan struct{})}
	seen := map[[2]string]bool{}
	for _, f := range files {
		m := modeName.FindStringSubmatch(f.Name())
		if m == nil {
			continue // a variant such as spa-cat_valencia
		}
		from, to := baseLanguage(m[1]), baseLanguage(m[2])
		if from == to || seen[[2]string{from, to}] {
			continue
		}
		seen[[2]string{from, to}] = true
		mode := strings.TrimSuffix(f.Name(), ".mode")
		d := Direction{Pair: protocol.Pair{From: from, To: to, Quality: apertiumQuality(from, to)}, Mode: mode, Why: "not tested yet"}
		commands, err := a.readMode(mode)
		if err != nil {
			d.Why = err.Error()
		} else {
			a.commands[mode] = commands
		}
		a.directions = append(a.directions, d)
	}
	if len(a.directions) == 0 {
		return nil, errors.New("no language pair of Apertium is installed")
	}
	a.life, a.end = context.WithCancel(context.Background())
	return a, nil
}

// Name is "apertium".
func (*Apertium) Name() string { return "apertium" }

// Close stops every program that was started and waits for them. Runs that go on end with an error.
func (a *Apertium) Close() error {
	a.end()
	a.mu.Lock()
	var all []*pipe
	for _, p := range a.pipes {
		p.kill()
		all = append(all, p)
	}
	clear(a.pipes)
	if a.sweeping != nil {
		a.sweeping.Stop()
	}
	a.announce()
	a.mu.Unlock()
	a.parts.Wait()
	for _, p := range all {
		p.wait()
	}
	return nil
}

// Directions tells the state of every installed direction, for the list of engines.
func (a *Apertium) Directions() []Direction {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.directions)
}

// Offers lists the directions that have passed their self-test. The first call starts the tests and waits a moment for them.
func (a *Apertium) Offers(ctx context.Context) ([]protocol.Offer, error) {
	a.mu.Lock()
	if !a.testing && a.life.Err() == nil {
		a.testing = true
		a.parts.Go(a.selfTest)
	}
	a.mu.Unlock()
	settle := time.NewTimer(a.cfg.Settle)
	defer settle.Stop()
	select {
	case <-a.tested:
	case <-settle.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var pairs []protocol.Pair
	for _, d := range a.Directions() {
		if d.Ready {
			pairs = append(pairs, d.Pair)
		}
	}
	if len(pairs) == 0 {
		return nil, nil
	}
	return []protocol.Offer{{Kind: protocol.Translate, Engine: a.Name(), Model: "apertium", Loaded: true, Pairs: pairs}}, nil
}

// selfTest translates one sentence in each direction: broken pairs exist that answer nothing and exit with 0.
func (a *Apertium) selfTest() {
	defer close(a.tested)
	for i, d := range a.Directions() {
		if a.commands[d.Mode] == nil {
			continue
		}
		sentence := testSentence[d.From]
		if sentence == "" {
			sentence = "2026 OK."
		}
		got, err := a.line(a.life, d.Mode, []protocol.Piece{{Text: sentence}})
		if a.life.Err() != nil {
			return
		}
		a.mu.Lock()
		a.directions[i].Ready = err == nil && plainLength(got) > 0
		switch {
		case err != nil:
			a.directions[i].Why = "the self-test ended with an error: " + err.Error()
		case !a.directions[i].Ready:
			a.directions[i].Why = "the self-test gave no text: this pair is broken in this version"
		default:
			a.directions[i].Why = ""
		}
		a.announce()
		a.mu.Unlock()
	}
}

// Run translates segment by segment, line by line.
func (a *Apertium) Run(ctx context.Context, job protocol.Assign, out Output) (Result, error) {
	if job.Kind != protocol.Translate || job.Translate == nil {
		return Result{}, &JobError{Fault: protocol.FaultRequest, Detail: "Apertium only translates"}
	}
	begun := time.Now()
	from, to := baseLanguage(job.Translate.From), baseLanguage(job.Translate.To)
	i := slices.IndexFunc(a.directions, func(d Direction) bool { return d.From == from && d.To == to }) // From and To never change
	if i < 0 || a.commands[a.directions[i].Mode] == nil {
		return Result{}, &JobError{Fault: protocol.FaultEngine, Detail: "language pair not installed"}
	}
	mode := a.directions[i].Mode
	var res Result
	for n, segment := range job.Translate.Segments {
		if plainLength(segment) > maxSegment {
			return Result{}, &JobError{Fault: protocol.FaultTooLong, Detail: "segment too long"}
		}
		translated, err := eachLine(segment, func(line []protocol.Piece) ([]protocol.Piece, error) { return a.line(ctx, mode, line) })
		if err != nil {
			if ctx.Err() != nil {
				return Result{}, ctx.Err()
			}
			return Result{}, &JobError{Fault: protocol.FaultEngine, Detail: "Apertium pipeline", Cause: err}
		}
		res.Done.Segments = append(res.Done.Segments, translated)
		out.Progress(float64(n+1)/float64(len(job.Translate.Segments)), n+1, len(job.Translate.Segments))
	}
	res.Done.Finish = "stop"
	res.Done.TookMS = time.Since(begun).Milliseconds()
	return res, nil
}

// line translates one line. A pipe that died since its last use is replaced once; one that fails on the line itself is not.
func (a *Apertium) line(ctx context.Context, mode string, pieces []protocol.Piece) ([]protocol.Piece, error) {
	for {
		p, err := a.take(ctx, mode)
		if err != nil {
			return nil, err
		}
		fresh := p.fresh
		timeout := a.cfg.Timeout
		if fresh {
			timeout *= 4
		}
		limit, cancel := context.WithTimeout(ctx, timeout)
		answer, err := p.ask(limit, streamed(pieces)+streamEnd)
		expired := limit.Err() != nil
		cancel()
		a.give(p, err == nil)
		switch {
		case err == nil:
			got, err := unstream(answer)
			if err != nil {
				return nil, err
			}
			return tidy(pieces, got), nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case expired:
			return nil, fmt.Errorf("no answer in %v", timeout)
		case fresh || a.life.Err() != nil:
			return nil, err
		}
	}
}

// tidy takes out double blanks that transfer rules leave behind, unless the author wrote some.
func tidy(source, got []protocol.Piece) []protocol.Piece {
	double := func(p protocol.Piece) bool { return strings.Contains(p.Text, "  ") }
	if slices.ContainsFunc(source, double) {
		return got
	}
	for i := range got {
		for double(got[i]) {
			got[i].Text = strings.ReplaceAll(got[i].Text, "  ", " ")
		}
	}
	return got
}

// take returns the pipe of a mode for this caller alone, and starts it when needed. At the limit it closes the pipe that has been unused
// for longest, or waits until one becomes free.
func (a *Apertium) take(ctx context.Context, mode string) (*pipe, error) {
	for {
		a.mu.Lock()
		if a.life.Err() != nil {
			a.mu.Unlock()
			return nil, errors.New("closed")
		}
		p := a.pipes[mode]
		if p != nil && !p.busy {
			p.busy = true
			a.mu.Unlock()
			return p, nil
		}
		if p == nil {
			var oldest *pipe
			if len(a.pipes) >= a.cfg.Alive {
				for _, q := range a.pipes {
					if !q.busy && (oldest == nil || q.used.Before(oldest.used)) {
						oldest = q
					}
				}
			}
			if oldest != nil {
				delete(a.pipes, oldest.mode)
				oldest.kill()
			}
			if len(a.pipes) < a.cfg.Alive {
				p, err := a.start(mode)
				if err == nil {
					a.pipes[mode] = p
				}
				a.mu.Unlock()
				if oldest != nil {
					oldest.wait()
				}
				return p, err
			}
		}
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// give puts a pipe back; a broken one is ended.
func (a *Apertium) give(p *pipe, sound bool) {
	if !sound {
		p.kill()
		p.wait()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p.busy, p.fresh, p.used = false, false, time.Now()
	if !sound && a.pipes[p.mode] == p {
		delete(a.pipes, p.mode)
	}
	if a.sweeping == nil && a.life.Err() == nil {
		a.sweeping = time.AfterFunc(a.cfg.Idle, a.sweep)
	}
	a.announce()
}

// sweep closes the pipes that nobody used for cfg.Idle.
func (a *Apertium) sweep() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweeping = nil
	if a.life.Err() != nil {
		return
	}
	for mode, p := range a.pipes {
		if !p.busy && time.Since(p.used) >= a.cfg.Idle {
			delete(a.pipes, mode)
			p.kill()
			a.parts.Go(p.wait)
		}
	}
	if len(a.pipes) > 0 {
		a.sweeping = time.AfterFunc(a.cfg.Idle, a.sweep)
	}
}

// announce wakes everybody who waits for a pipe. a.mu is held.
func (a *Apertium) announce() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// ask sends one sentence and reads its answer. When ctx ends the pipe is killed: an answer that comes later would be taken for the next one's.
func (p *pipe) ask(ctx context.Context, sentence string) (string, error) {
	defer context.AfterFunc(ctx, p.kill)()
	if _, err := io.WriteString(p.in, sentence+"\x00"); err != nil {
		return "", fmt.Errorf("write to the pipeline: %w", err)
	}
	var b strings.Builder
	for limit := 16*len(sentence) + 4096; b.Len() < limit; {
		c, err := p.out.ReadByte()
		if err != nil {
			return "", fmt.Errorf("read from the pipeline: %w", err)
		}
		if c == 0 {
			return b.String(), nil
		}
		b.WriteByte(c)
	}
	return "", errors.New("the pipeline answered without an end")
}

// readMode reads a mode file: programs joined by "|", arguments in single or double quotes. Nothing of it goes through a shell.
func (a *Apertium) readMode(mode string) ([][]string, error) {
	b, err := os.ReadFile(filepath.Join(a.cfg.ModesDir, mode+".mode"))
	if err != nil {
		return nil, errors.New("its mode file cannot be read")
	}
	var commands [][]string
	var words []string
	var word strings.Builder
	var quote rune
	open := false // a word has begun, perhaps an empty quoted one
	endWord := func() {
		switch w := word.String(); {
		case !open:
		case w == "$1":
			words = append(words, "-n") // generate without marks on unknown words
		case w == "$2":
		default:
			words = append(words, w)
		}
		word.Reset()
		open = false
	}
	endCommand := func() {
		endWord()
		if len(words) > 0 {
			commands = append(commands, words)
		}
		words = nil
	}
	for _, r := range strings.TrimSpace(string(b)) {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, open = r, true
		case r == '|':
			endCommand()
		case r == ' ' || r == '\t' || r == '\n':
			endWord()
		case strings.ContainsRune("`;&<>()", r):
			return nil, errors.New("its mode file needs a shell")
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if quote != 0 {
		return nil, errors.New("its mode file has an open quote")
	}
	endCommand()
	if len(commands) == 0 {
		return nil, errors.New("its mode file is empty")
	}
	for i, c := range commands {
		program, err := a.program(c[0])
		if err != nil {
			return nil, fmt.Errorf("the program %s is not installed", filepath.Base(c[0]))
		}
		// -z: flush at a NUL, so that one pipe serves many sentences.
		commands[i] = append([]string{program, "-z"}, c[1:]...)
	}
	return commands, nil
}

func (a *Apertium) program(name string) (string, error) {
	if filepath.IsAbs(name) {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(a.cfg.Path) {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", exec.ErrNotFound
}

// start runs the programs of a mode, joined by pipes. a.mu is held.
func (a *Apertium) start(mode string) (*pipe, error) {
	first, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", mode, err)
	}
	var running []*exec.Cmd
	stdin := first
	kill := sync.OnceFunc(func() {
		for _, c := range running {
			killGroup(c)
		}
		in.Close()
	})
	for _, command := range a.commands[mode] {
		read, write, err := os.Pipe()
		if err == nil {
			c := exec.Command(command[0], command[1:]...)
			c.Stdin, c.Stdout = stdin, write
			// Apertium decodes by locale: without UTF-8 it would garble every accent.
			c.Env = []string{"LC_ALL=C.UTF-8", "LANG=C.UTF-8", "PATH=" + a.cfg.Path}
			ownGroup(c)
			err = c.Start()
			stdin.Close()
			write.Close()
			stdin = read
			if err == nil {
				running = append(running, c)
				continue
			}
		}
		stdin.Close()
		kill()
		for _, c := range running {
			_ = c.Wait()
		}
		return nil, fmt.Errorf("start %s: %w", mode, err)
	}
	output := stdin
	wait := sync.OnceFunc(func() {
		for _, c := range running {
			_ = c.Wait()
		}
		output.Close()
	})
	return &pipe{mode: mode, busy: true, fresh: true, in: in, out: bufio.NewReader(output), kill: kill, wait: wait}, nil
}

// apertiumQuality: only between close relatives is the result good enough to be posted without being asked for.
func apertiumQuality(from, to string) protocol.Quality {
	relatives := [][2]string{{"es", "ca"}, {"fr", "ca"}, {"pt", "ca"}, {"es", "pt"}, {"fr", "oc"}, {"nn", "nb"}, {"sv", "da"}}
	if slices.Contains(relatives, [2]string{from, to}) || slices.Contains(relatives, [2]string{to, from}) {
		return protocol.Postable
	}
	return protocol.Rough
}

// baseLanguage brings a code of ISO 639-3 or BCP 47 to the BCP 47 base language; a language without a two-letter code keeps three.
func baseLanguage(code string) string {
	base, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(code, "_", "-")), "-")
	if short, ok := twoLetters[base]; ok {
		return short
	}
	return base
}

var twoLetters = map[string]string{
	"afr": "af", "ara": "ar", "arg": "an", "asm": "as", "ava": "av", "aze": "az", "bak": "ba", "bel": "be", "ben": "bn", "bos": "bs", "bre": "br",
	"bul": "bg", "cat": "ca", "ces": "cs", "chv": "cv", "cor": "kw", "cym": "cy", "dan": "da", "deu": "de", "ell": "el", "eng": "en", "epo": "eo",
	"est": "et", "eus": "eu", "fao": "fo", "fas": "fa", "fin": "fi", "fra": "fr", "gla": "gd", "gle": "ga", "glg": "gl", "glv": "gv", "grn": "gn",
	"guj": "gu", "hat": "ht", "hau": "ha", "hbs": "sh", "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu", "hye": "hy", "ibo": "ig", "ina": "ia",
	"ind": "id", "isl": "is", "ita": "it", "jpn": "ja", "kal": "kl", "kan": "kn", "kat": "ka", "kaz": "kk", "kir": "ky", "kor": "ko", "lat": "la",
	"lav": "lv", "lit": "lt", "mal": "ml", "mar": "mr", "mkd": "mk", "mlt": "mt", "mon": "mn", "msa": "ms", "nep": "ne", "nld": "nl", "nno": "nn",
	"nob": "nb", "oci": "oc", "ori": "or", "oss": "os", "pan": "pa", "pol": "pl", "por": "pt", "ron": "ro", "rus": "ru", "san": "sa", "slk": "sk",
	"slv": "sl", "sme": "se", "sna": "sn", "spa": "es", "sqi": "sq", "srd": "sc", "srp": "sr", "swa": "sw", "swe": "sv", "tam": "ta", "tat": "tt",
	"tel": "te", "tgk": "tg", "tgl": "tl", "tuk": "tk", "tur": "tr", "uig": "ug", "ukr": "uk", "urd": "ur", "uzb": "uz", "vie": "vi", "xho": "xh",
	"zho": "zh", "zul": "zu",
}

var testSentence = map[string]string{
	"en": "The house is big.", "es": "La casa es grande.", "ca": "La casa és gran.", "fr": "La maison est grande.", "pt": "A casa é grande.",
	"it": "La casa è grande.", "oc": "L'ostal es grand.", "ro": "Casa este mare.", "gl": "A casa é grande.", "nb": "Huset er stort.",
	"nn": "Huset er stort.", "sv": "Huset är stort.", "da": "Huset er stort.", "ru": "Дом большой.", "uk": "Будинок великий.",
	"be": "Дом вялікі.", "pl": "Dom jest duży.", "eo": "La domo estas granda.", "sh": "Kuća je velika.", "mk": "Куќата е голема.",
	"bg": "Къщата е голяма.", "eu": "Etxea handia da.", "an": "A casa ye gran.", "sc": "Sa domo est manna.",
}
