package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

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
