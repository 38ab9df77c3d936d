package workers

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"potluck/ledger"
	"potluck/workers/protocol"
)

// examine is the pool's own check of what a worker returned: sizes, numbers and keeps. Its error is for the log and means OutcomeRejected.
func examine(j *Job, d *protocol.Done, blobs []string) error {
	switch j.Kind {
	case protocol.Chat:
		return examineText(d.Text)
	case protocol.Image:
		return examineBlobs(max(j.Image.Count, 1), d.Blobs, blobs)
	case protocol.Translate:
		return examineSegments(j.Translate.Segments, d.Segments)
	default:
		return fmt.Errorf("kind %q does not exist", j.Kind)
	}
}

func examineText(text string) error {
	switch {
	case len(text) > protocol.MaxText:
		return fmt.Errorf("text of %d bytes", len(text))
	case !utf8.ValidString(text):
		return errors.New("text is no UTF-8")
	case strings.TrimSpace(text) == "":
		return errors.New("text is empty")
	}
	return nil
}

func examineBlobs(want, claimed int, paths []string) error {
	if claimed != want {
		return fmt.Errorf("%d pictures, want %d", claimed, want)
	}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return errors.New("a picture was never uploaded")
		}
		if info.Size() == 0 || info.Size() > protocol.MaxBlob {
			return fmt.Errorf("a picture of %d bytes", info.Size())
		}
	}
	return nil
}

func examineSegments(source, result [][]protocol.Piece) error {
	if len(result) != len(source) {
		return fmt.Errorf("%d segments, want %d", len(result), len(source))
	}
	size := 0
	for i, segment := range result {
		left := map[int]int{}
		wantText, haveText := false, false
		for _, p := range source[i] {
			if p.Keep > 0 {
				left[p.Keep]++
			}
			wantText = wantText || strings.TrimSpace(p.Text) != ""
		}
		for _, p := range segment {
			switch {
			case p.Keep < 0, p.Keep > 0 && p.Text != "":
				return fmt.Errorf("segment %d: a piece is neither text nor keep", i)
			case p.Keep > 0:
				left[p.Keep]--
			case !utf8.ValidString(p.Text):
				return fmt.Errorf("segment %d is no UTF-8", i)
			}
			haveText = haveText || strings.TrimSpace(p.Text) != ""
			size += len(p.Text)
		}
		for n, count := range left {
			if count != 0 {
				return fmt.Errorf("segment %d: keep %d is there %+d times too often", i, n, -count)
			}
		}
		if wantText && !haveText {
			return fmt.Errorf("segment %d is empty", i)
		}
	}
	if size > protocol.MaxText {
		return fmt.Errorf("translation of %d bytes", size)
	}
	return nil
}

// measure is the size of what was done: only what the server itself can count, and of a text only what people can see. visible may be longer than what
// was written where an address is shown behind its link; that is nobody's work.
func measure(j *Job, written, visible string) ledger.Work {
	w := j.Work
	if j.Chat != nil {
		w.OutTokens = min(ledger.Tokens(seen(written)), ledger.Tokens(seen(visible)))
		if j.Chat.MaxTokens > 0 {
			w.OutTokens = min(w.OutTokens, j.Chat.MaxTokens)
		}
	}
	return w
}

// seen is a text without what shows nothing: invisible runes, and all but the first of each run of blanks.
func seen(text string) string {
	blank := true
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			if blank {
				return -1
			}
			blank = true
			return r
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point):
			return -1
		}
		blank = false
		return r
	}, strings.TrimSpace(text))
}

// bill says what is paid for a job of that price and what goes back. A job on the asker's own worker costs and earns nothing.
func bill(p ledger.Price, held ledger.Amount, own bool) ledger.Bill {
	b := ledger.Bill{Price: p, Held: held, Own: own}
	if !own {
		b.Paid = min(max(p.Amount, 0), held)
	}
	b.Returned = held - b.Paid
	return b
}

// fsync is how files and folders become durable; tests see which did.
var fsync = (*os.File).Sync

// onDisk brings uploaded pictures and their names to the disk: a job that is paid has them after a power cut, too. It is for results only, as every call
// makes all other writes wait.
func onDisk(dir string, paths []string) error {
	for _, p := range paths {
		f, err := os.OpenFile(p, os.O_RDWR, 0) // Windows syncs only what may be written
		if err != nil {
			return err
		}
		if err := errors.Join(fsync(f), f.Close()); err != nil {
			return err
		}
	}
	if len(paths) == 0 {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = fsync(d)
	if runtime.GOOS == "windows" { // which has no such call for a folder, and needs none
		err = nil
	}
	return errors.Join(err, d.Close())
}
