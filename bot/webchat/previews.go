package webchat

import (
	"bytes"
	"io"
	"slices"
	"sync"

	"potluck/bot"
	"potluck/community"
)

const (
	maxPreviews     = 64
	maxPreviewBytes = 16 << 20
)

// previews holds the pictures of messages that are not final: unfinished ones, which no file is to keep. When there are too many, the
// oldest go; after a restart all are gone, and the message gets new ones or its final.
type previews struct {
	mu    sync.Mutex
	kept  []preview // oldest first
	bytes int
}

type preview struct {
	of   community.MessageID
	name string
	data []byte
}

// replace forgets what a message showed and keeps what it shows now.
func (p *previews) replace(of community.MessageID, pictures []bot.Picture) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = slices.DeleteFunc(p.kept, func(v preview) bool {
		if v.of != of {
			return false
		}
		p.bytes -= len(v.data)
		return true
	})
	for _, pic := range pictures {
		if len(pic.Data) > maxPreviewBytes {
			continue
		}
		p.kept = append(p.kept, preview{of, pic.Name, pic.Data})
		p.bytes += len(pic.Data)
	}
	for len(p.kept) > maxPreviews || p.bytes > maxPreviewBytes {
		p.bytes -= len(p.kept[0].data)
		p.kept = slices.Delete(p.kept, 0, 1)
	}
}

func (p *previews) open(name string) (io.ReadSeekCloser, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.kept {
		if v.name == name {
			return inMemory{bytes.NewReader(v.data)}, true
		}
	}
	return nil, false
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }
